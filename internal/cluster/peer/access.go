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
	Addrs    []string // host:port of the seeds: some nodes, from which the others are learned
	Username string   // of a Redis ACL user; empty for the default user
	Password string
	TLS      *tls.Config // nil: plain TCP

	// Attempt bounds one dial and one round trip to one node. It is shorter than the deadline of a request, so that a node
	// that stops answering costs one attempt and not the request. Zero means 1 s.
	Attempt time.Duration

	// Dial replaces net.Dialer if the addresses that the cluster announces cannot be reached as they are. TLS does not apply
	// to its connections.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// dial returns Dial if it is set, and otherwise a net.Dialer, with TLS if it is configured.
func (a Access) dial() dialFunc {
	switch {
	case a.Dial != nil:
		return a.Dial
	case a.TLS != nil:
		return (&tls.Dialer{Config: a.TLS}).DialContext
	}
	return new(net.Dialer).DialContext
}

// questions makes the client for questions to one node.
func (a Access) questions(addr string, dial dialFunc) *redis.Client {
	rdb := redis.NewClient(&redis.Options{
		Addr: addr, Username: a.Username, Password: a.Password, Dialer: dial,
		DialTimeout: a.Attempt, DialerRetries: 1, ReadTimeout: a.Attempt, WriteTimeout: a.Attempt,
		MaxRetries: -1, PoolSize: 4, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	rdb.AddHook(replyHook{})
	return rdb
}
