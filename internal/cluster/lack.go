package cluster

import (
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// A replica's answer that there is no key (a "lack"). A replica does not notice that its master moves keys elsewhere, so
// such an answer counts only once it is proven that the slot was not being moved.

// A lack is a replica's first answer that may be due to a missing key. The zero value is none.
type lack struct {
	answer *peer.Attempt
	master *peer.Peer // the master of the replica
	at     time.Time  // when the answer came
}

// mayLack reports whether the answer may be due to a key that has moved elsewhere: nil to GET, an empty string to GETRANGE,
// and any reply of a script, because it may access many keys.
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

// lacks records such an answer of a replica, and makes the watcher collect the proof. Of several answers from one shard it
// keeps the first, whose proof comes first.
func (r *reading) lacks(s *watch.Shard, a *peer.Attempt) {
	if r.lacking.answer == nil || r.lacking.master != s.Master {
		r.lacking = lack{a, s.Master, time.Now()}
	}
	r.client.watch.HastenMasters(r.lacking.at)
}

// fromReplica waits for a replica's answer. If the answer needs a proof that is not there yet, it fails with
// errMaybeMoving, and the read takes another round.
func (r *reading) fromReplica(s *watch.Shard, a *peer.Attempt) (redis.Cmder, error) {
	if err, _ := a.Wait(); err != nil && !errors.Is(err, redis.Nil) {
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
