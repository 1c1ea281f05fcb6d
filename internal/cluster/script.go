package cluster

import (
	"context"
	"crypto/sha1"
	"encoding/hex"

	"github.com/redis/go-redis/v9"
)

// A Script is a Lua script, run by its digest (EVALSHA) and sent whole (EVAL) to a node that does not hold it yet.
type Script struct {
	source, sha string
	loose, wide bool
}

// NewScript prepares a script from its source.
//
// Where it acknowledges something, it must write something, even if it finds all done already: only behind a write on
// the same connection does WAIT prove that the replica has what the script saw.
func NewScript(source string) *Script {
	digest := sha1.Sum([]byte(source))
	return &Script{source: source, sha: hex.EncodeToString(digest[:])}
}

// Loosely returns the script with another default: it waits for no replica unless the request asks for it.
func (s *Script) Loosely() *Script {
	other := *s
	other.loose = true
	return &other
}

// Widely returns the script as one that looks at more keys of its slot than it is given. While a slot is on the move they
// may be in two places: where the slot leaves Redis fails such a script, but where it arrives (ASKING) it lets the script
// take what has not come yet for absent. So a wide script waits for the end of the move instead of following it there.
func (s *Script) Widely() *Script {
	other := *s
	other.wide = true
	return &other
}

// command is the call of the script, by its digest or whole. The suffix is that of the two commands' names.
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

// durability is what one call of the script has to achieve.
func (s *Script) durability(asked, standard Durability) Durability {
	switch {
	case asked != "":
		return asked
	case s.loose:
		return Async
	}
	return standard
}
