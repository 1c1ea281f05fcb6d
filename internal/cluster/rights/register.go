package rights

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A Register is a master in its role of granting rights.
type Register struct {
	ID   string
	Peer *peer.Peer
	Slot int // the lowest that it owns
	key  string
}

//go:embed register.lua
var registerSource string

var registerScript = redis.NewScript(registerSource)

// A request is what one round asks of every register.
type request struct {
	operation string // open, mark or lease
	accounted seal
	seals     bool   // the register may keep what is accounted for as a seal
	master    string // one that must still be a register; empty for any
	args      []any  // of the operation
}

// An answer is a register's.
type answer struct {
	verdict Verdict
	seal    seal
}

// ask sends a request to a register.
func (r Register) ask(ctx context.Context, q request) (answer, error) {
	masters := ""
	if q.seals {
		masters = q.accounted.String()
	}
	args := append([]any{q.operation, r.ID, r.Slot, q.accounted.epoch, masters}, q.args...)
	reply, err := registerScript.Run(ctx, r.Peer.Questions(), []string{r.key}, args...).Slice()
	if err != nil {
		return answer{}, err
	}
	return parseAnswer(reply)
}

func parseAnswer(reply []any) (answer, error) {
	if len(reply) != 3 {
		return answer{}, fmt.Errorf("a register replied %v", reply)
	}
	verdict, _ := reply[0].(string)
	epoch, _ := reply[1].(string)
	masters, _ := reply[2].(string)
	sealed, err := parseSeal(epoch, masters)
	return answer{Verdict(verdict), sealed}, err
}

// key is the key of a register whose lowest slot this is. Its hash tag is the smallest number that hashes to the slot.
func key(slot int) string {
	for n := 0; ; n++ {
		if tag := strconv.Itoa(n); view.Slot(tag) == slot {
			return "sessiond:rights:{" + tag + "}"
		}
	}
}

// milliseconds rounds up, so that an age is never understated.
func milliseconds(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }
