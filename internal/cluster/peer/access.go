package peer

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Access says how to reach the nodes of a cluster. Only Addrs is needed.
type Access struct {
	Addrs    []string // host:port of some nodes; the others are learned from them
	Username string   // of a Redis ACL user; empty for the default user
	Password string
	TLS      *tls.Config // nil: plain TCP

	// Attempt bounds one dial and one round trip to one node. It is short against the deadline of a request, so that a
	// node that stopped answering costs one attempt and not the request. Zero means 1 s.
	Attempt time.Duration

	// Dial replaces net.Dialer where the addresses that the cluster announces cannot be reached as they are. TLS is not
	// put on top of it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// dial is the network's dialler, with TLS if the config says so.
func (a Access) dial() dialFunc {
	switch {
	case a.Dial != nil:
		return a.Dial
	case a.TLS != nil:
		return (&tls.Dialer{Config: a.TLS}).DialContext
	}
	return new(net.Dialer).DialContext
}

// questions makes the connections for questions to one node.
func (a Access) questions(addr string, dial dialFunc) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: addr, Username: a.Username, Password: a.Password, Dialer: dial,
		DialTimeout: a.Attempt, DialerRetries: 1, ReadTimeout: a.Attempt, WriteTimeout: a.Attempt,
		MaxRetries: -1, PoolSize: 4, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}
