package cluster

import (
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// What a replica says for want of a key. It does not notice that its master gives keys away, so that an answer of this
// kind counts only once it is known that the slot was not on the move.

// mayLack reports whether the answer may be for want of a key that was given away: none to GET, nothing to GETRANGE, and
// whatever a script says that looks at many.
func (a *attempt) mayLack() bool {
	if a.err != nil {
		return errors.Is(a.err, redis.Nil)
	}
	switch cmd := a.cmd.(type) {
	case *redis.StringCmd:
		return cmd.Val() == ""
	case *redis.Cmd:
		return true
	}
	return false
}

// lacks notes that a replica has given such an answer, and has the watcher look for the proof. Of several from the same
// shard the first stays, whose proof may be there already.
func (r *reading) lacks(p *placement, a *attempt) {
	if r.lacking == nil || r.lackingOf != p.master {
		r.lacking, r.lackingOf, r.lackingAt = a, p.master, time.Now()
	}
	r.client.watch.urge(r.lackingAt)
}

// fromReplica is value for an answer of the replica. Without the proof that it needs the read goes round.
func (r *reading) fromReplica(p *placement, where int, a *attempt) (redis.Cmder, error) {
	err, _ := a.wait()
	if transient(err) {
		return a.cmd, err
	}
	if a.mayLack() {
		r.lacks(p, a)
		if !r.client.watch.absent(p, where, r.lackingAt) {
			return nil, errMaybeMoving
		}
		a = r.lacking
	}
	r.terms.ReadReplica()
	r.client.metrics.reads.WithLabelValues("replica").Inc()
	return a.cmd, a.err
}
