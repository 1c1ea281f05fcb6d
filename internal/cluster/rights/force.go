package rights

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

//go:embed force.lua
var forceSource string

var forceScript = redis.NewScript(forceSource)

// A Candidate is a replica that is to take over.
type Candidate struct {
	Peer     *peer.Peer
	ID       string
	Now      time.Time // its clock, in an answer that came before Force is called
	Evidence Evidence
}

// Force asks a replica to take over without its master's consent (CLUSTER FAILOVER FORCE), under a lease that outlasts
// whatever the request starts. The lease is never given back. Force fails with a *Refusal if there is no lease, or with
// the reason why the replica has not asked for votes.
func (c *Council) Force(ctx context.Context, to Candidate) error {
	c.mu.Lock()
	lasts := forgottenLasts(c.nodeTimeout())
	c.mu.Unlock()
	t, err := c.lease(ctx, Forced, to.ID, to.Evidence, lasts)
	if err != nil {
		return err
	}
	masters := strings.Join(t.sets[0], " ")
	deadline := to.Now.Add(forceLimit).UnixMilli()
	// Sent whole: a replica's script cache is its own, and a second round trip would cost time.
	reply, err := forceScript.Eval(ctx, to.Peer.Questions(), nil, to.Evidence.Process, to.Evidence.Master, to.Evidence.Stream, to.Evidence.Offset, deadline, masters).Text()
	if err == nil && reply != "asked" {
		err = fmt.Errorf("the replica has not asked for votes: %s", reply)
	}
	return err
}
