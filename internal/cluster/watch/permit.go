package watch

import (
	"errors"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// A Takeover is a request to a replica to take over from its master.
type Takeover struct {
	Shard, Replica, Master string // by name
	Forced                 bool   // whether without its master's agreement
}

// Permit is asked before each request to a replica to take over. An error forbids it. Otherwise done is called with the outcome:
// nil if the replica has taken the request on.
type Permit func(Takeover) (done func(error), err error)

// errNotCalledFor is the outcome of a request that was not made after all.
var errNotCalledFor = errors.New("it is no longer called for")

// permit asks whether the replica may be asked.
func (a *assistant) permit(s *Shard, replica *peer.Peer, forced bool) (done func(error), err error) {
	if a.watch.cfg.Permit == nil {
		return func(error) {}, nil
	}
	return a.watch.cfg.Permit(Takeover{s.name, a.watch.Topology().Line(replica.Addr).Name(), s.Info.Name(), forced})
}
