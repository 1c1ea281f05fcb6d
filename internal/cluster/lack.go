package cluster

import (
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// What a replica says for want of a key. It does not notice that its master gives keys away, so that an answer of this
// kind counts only once it is known that the slot was not on the move.

// A lack is a replica's first answer that may be for want of a key. The zero value is none.
type lack struct {
	answer *peer.Attempt
	master *peer.Peer // whose replica gave it
	at     time.Time  // when it came
}

// mayLack reports whether the answer may be for want of a key that was given away: none to GET, nothing to GETRANGE, and
// whatever a script says that looks at many.
func mayLack(a *peer.Attempt) bool {
	if a.Err != nil {
		return errors.Is(a.Err, redis.Nil)
	}
	switch cmd := a.Cmd.(type) {
	case *redis.StringCmd:
		return cmd.Val() == ""
	case *redis.Cmd:
		return true
	}
	return false
}

// lacks notes that a replica has given such an answer, and has the watcher look for the proof. Of several from the same
// shard the first stays, whose proof may be there already.
func (r *reading) lacks(s *watch.Shard, a *peer.Attempt) {
	if r.lacking.answer == nil || r.lacking.master != s.Master {
		r.lacking = lack{a, s.Master, time.Now()}
	}
	r.client.watch.HastenMasters(r.lacking.at)
}

// fromReplica waits for a replica's answer. Without the proof that it needs the read goes round.
func (r *reading) fromReplica(s *watch.Shard, a *peer.Attempt) (redis.Cmder, error) {
	err, _ := a.Wait()
	if transient(err) {
		return a.Cmd, err
	}
	if mayLack(a) {
		r.lacks(s, a)
		if !s.Absent(r.slot, r.lacking.at) {
			return nil, errMaybeMoving
		}
		a = r.lacking.answer
	}
	r.terms.ReadReplica()
	r.client.metrics.reads.WithLabelValues("replica").Inc()
	return a.Cmd, a.Err
}
