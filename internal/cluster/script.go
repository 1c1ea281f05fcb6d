package cluster

import (
	"context"
	"crypto/sha1"
	"encoding/hex"

	"github.com/redis/go-redis/v9"
)

// A Script is a Lua script. It is run by its digest (EVALSHA), and sent whole (EVAL) to a node that does not have it yet.
type Script struct {
	source, sha string
	loose, wide bool
}

// NewScript prepares a script from its source.
//
// A script that acknowledges an effect must write something even if it finds the effect already there: WAIT proves that the
// replica has what the script saw only if it follows a write on the same connection.
func NewScript(source string) *Script {
	digest := sha1.Sum([]byte(source))
	return &Script{source: source, sha: hex.EncodeToString(digest[:])}
}

// Loosely returns the script with Async as its default durability, whatever the client's default is.
func (s *Script) Loosely() *Script {
	other := *s
	other.loose = true
	return &other
}

// Widely returns the script marked as one that accesses more keys of its slot than it is given. While a slot is being
// moved, its keys may be on two nodes. On the source Redis fails such a script. On the target (ASKING) it runs the
// script, which takes the keys that have not arrived yet for absent. So a wide script does not follow ASK but waits for
// the end of the move.
func (s *Script) Widely() *Script {
	other := *s
	other.wide = true
	return &other
}

// command makes the command that runs the script, by its digest or whole. The suffix completes the name of the command:
// "" or "_ro".
func (s *Script) command(ctx context.Context, whole bool, suffix string, keys []string, args []any) *redis.Cmd {
	name, body := "evalsha", s.sha
	if whole {
		name, body = "eval", s.source
	}
	call := make([]any, 0, 3+len(keys)+len(args))
	call = append(call, name+suffix, body, len(keys))
	for _, k := range keys {
		call = append(call, k)
	}
	return redis.NewCmd(ctx, append(call, args...)...)
}

// durability is the durability that one run of the script must achieve.
func (s *Script) durability(asked, standard Durability) Durability {
	switch {
	case asked != "":
		return asked
	case s.loose:
		return Async
	}
	return standard
}
