package peer

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Access says how to reach the nodes of a cluster. Only Addrs is needed.
type Access struct {
	Addrs    []string // host:port of the seeds: some nodes, from which the others are learned
	Username string   // of a Redis ACL user; empty for the default user
	Password string

	// Credentials replaces Username and Password. It is asked for each new connection, and must not block. Nil: they stay
	// the same.
	Credentials func() (username, password string)

	// TLS is asked for each new connection. If it sets a ServerName, all certificates must be for that name, and otherwise
	// for the node's announced host name or the address. Nil: plain TCP.
	TLS func() *tls.Config

	// Attempt bounds one dial and one round trip to one node. It is shorter than the deadline of a request, so that a node
	// that stops answering costs one attempt and not the request. Zero means 1 s.
	Attempt time.Duration

	// NodeTimeout is the cluster-node-timeout of nodes that do not tell theirs (CONFIG GET is denied). Zero means unknown.
	NodeTimeout time.Duration

	// VMs are the VMs of nodes whose hostnames and addresses do not tell them, see [view.View.PlaceOn].
	VMs map[string]string

	// Dial replaces net.Dialer if the addresses that the cluster announces cannot be reached as they are. Without Lookup it
	// gets names as they are, too.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Lookup replaces the system's resolver. Outside tests it is nil.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// questions makes the client for questions to one node.
func (a Access) questions(addr string, dial dialFunc) *redis.Client {
	rdb := redis.NewClient(&redis.Options{
		Addr: addr, Username: a.Username, Password: a.Password, CredentialsProvider: a.Credentials, Dialer: dial,
		DialTimeout: a.Attempt, DialerRetries: 1, ReadTimeout: a.Attempt, WriteTimeout: a.Attempt,
		MaxRetries: -1, PoolSize: 4, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	rdb.AddHook(replyHook{})
	return rdb
}
