package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sessiond/sessiond/internal/httpapi"
	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
)

// serveCmd is the command line of serve.
type serveCmd struct {
	Listen   string     `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to serve on (${default})."`
	TLS      tlsFlags   `embed:""`
	Embedded bool       `help:"Keep sessions in this process instead of a cluster. For evaluation and tests."`
	Redis    redisFlags `embed:""`
	Audit    auditFlags `embed:""`

	Durability     string        `enum:"async,replicated,strict" default:"replicated" help:"Copies that a write needs before it is acknowledged, unless the request asks otherwise: async (the master only), replicated or strict (${default})."`
	HedgeDelay     time.Duration `default:"40ms" help:"How long a read waits for the master before it also asks the replica (${default})."`
	WriteQueue     int           `default:"4096" help:"Maximum number of writes of one tenant in progress per shard, including those that wait for a promotion (${default})."`
	FailoverAssist time.Duration `placeholder:"DURATION" help:"Ask the replica to take over from a master that has been silent for this long, instead of waiting for the cluster-node-timeout; 0 leaves the failover to Redis."`

	RequestTimeout  time.Duration `default:"8s" help:"Deadline of a request, at most 1m (${default}). Redis alone needs up to 5 s to promote a replica. A write may be sent again until the deadline, and Redis recognises it by marks that last a minute."`
	ShutdownTimeout time.Duration `default:"10s" help:"How long requests in progress may take after SIGTERM (${default})."`
	DrainDelay      time.Duration `default:"1s" help:"How long to accept requests after SIGTERM, while /readyz fails and every answer closes its connection, so that callers move to other instances (${default})."`
	MaxBodyBytes    int64         `default:"65536" help:"Maximum size of a request's body in bytes (${default})."`

	MaxConnections           int `placeholder:"N" help:"Maximum number of connections from callers; 0 for three quarters of the descriptors that the process may open, at most 10000."`
	MaxConnectionsPerAddress int `placeholder:"N" help:"Maximum number of connections from one address, and from one /64 of IPv6; 0 for half of --max-connections."`

	KeyFile         string        `placeholder:"FILE" help:"API keys and tenants; read again on SIGHUP. Without it there is one tenant and no authentication, and --listen must be a loopback address."`
	OpsListen       string        `placeholder:"HOST:PORT" help:"Serve metrics, the state of the cluster, its events, the live page and readiness in detail here, without keys, and no longer at --listen. Without it, a key file makes them need a key with the scope ops."`
	Pprof           bool          `help:"Serve profiles of the process (net/http/pprof) below /debug/pprof/ at --ops-listen. They show function names and sizes, and cost CPU while they are made."`
	AllowedHost     []string      `placeholder:"NAME" help:"Without a key file, and at --ops-listen: a name in the Host header of requests that is answered to, besides localhost and IP addresses, so that no web page reaches the service by DNS rebinding."`
	SecretFile      string        `placeholder:"FILE" help:"Secrets that are mixed into what is derived from session IDs, so that neither reading nor writing Redis is enough to guess an ID or to forge a session. All instances need the same."`
	RecordFormat    int           `enum:"1,2" default:"2" help:"Format of new records: 1 while instances of version 0.1.0 serve the same cluster, else 2, which binds the user to the ID (${default}). Both are read."`
	InsecureNoAuth  bool          `help:"Allow --listen on other than loopback addresses without authentication."`
	Tenant          string        `default:"default" help:"Name of the single tenant that is served without a key file (${default})."`
	DefaultIdleTTL  time.Duration `name:"default-idle-ttl" default:"30m" help:"Idle timeout of a session that does not ask for one (${default})."`
	DefaultMaxTTL   time.Duration `name:"default-max-ttl" default:"24h" help:"Absolute timeout of a session that does not ask for one (${default})."`
	TTLLimit        time.Duration `name:"ttl-limit" default:"720h" help:"Largest timeout that a session may ask for (${default})."`
	SessionsPerUser int           `default:"100" help:"Maximum number of sessions per user, up to 1000; 0 for no limit (${default})."`
	OnLimit         string        `enum:"deny,evict-oldest" default:"evict-oldest" help:"What happens when a user who has reached the limit starts another session: deny it or evict-oldest (${default})."`

	SharedConcurrency int     `placeholder:"N" help:"How many requests this instance works on at a time while several tenants send some; 0 for 8 per core. More suits nodes that take several milliseconds to answer."`
	RequestsPerSecond float64 `placeholder:"N" help:"Maximum number of requests per second of one tenant to this instance; 0 for no limit."`
	RequestsInFlight  int     `placeholder:"N" help:"Maximum number of requests of one tenant in progress on this instance; 0 for no limit."`
	MaxSessions       int64   `placeholder:"N" help:"About how many live sessions one tenant may have, as the census estimates them; 0 for no limit."`
	MaxBytes          int64   `placeholder:"N" help:"About how many bytes the sessions of one tenant may have in Redis, as the census estimates them; 0 for no limit."`

	Page        bool          `default:"true" negatable:"" help:"Serve the live page at /; --no-page disables it."`
	SlowRequest time.Duration `default:"250ms" help:"Log every request that takes at least this long, besides those that fail (${default})."`
	LogRequests int           `default:"10" help:"Maximum number of log lines per second for the other requests; negative for no limit (${default})."`
	Census      time.Duration `default:"30s" help:"How often to estimate the number of live sessions from a sample of the keys; 0 for never (${default})."`
	LogFormat   string        `enum:"text,json" default:"text" help:"Log format: text or json (${default})."`
	LogLevel    string        `enum:"debug,info,warn,error" default:"info" help:"Log level: debug, info, warn or error (${default})."`

	secrets *session.Secrets // from the secret file
}

// minAssist is the shortest silence of a master that may start a failover.
const minAssist = 200 * time.Millisecond

// maxRequestTimeout is the longest deadline of a request. A write may be sent again until then. The marks by which scripts
// recognise it last a minute, and tombstones, which keep a late create from undoing a delete, five minutes.
const maxRequestTimeout = time.Minute

// Validate checks what the flags say together. kong calls it.
func (s *serveCmd) Validate() error {
	if !s.Embedded && len(s.Redis.Redis) == 0 {
		return errors.New("--redis or --embedded is required: name some nodes of the cluster, or use the embedded store")
	}
	if s.Embedded && s.Redis.any() {
		return errors.New("--embedded cannot be combined with --redis or the other --redis-* flags")
	}
	if s.DrainDelay < 0 || s.MaxBodyBytes <= 0 || s.RequestTimeout <= 0 || s.ShutdownTimeout <= 0 {
		return errors.New("--max-body-bytes, --request-timeout and --shutdown-timeout must be positive, and --drain-delay must not be negative")
	}
	if s.RequestTimeout > maxRequestTimeout {
		return fmt.Errorf("--request-timeout must be at most %s: a write that is sent again later than that would not be recognised", maxRequestTimeout)
	}
	if s.MaxConnections < 0 || s.MaxConnectionsPerAddress < 0 || s.SharedConcurrency < 0 {
		return errors.New("--max-connections, --max-connections-per-address and --shared-concurrency must not be negative")
	}
	if s.SlowRequest < 0 || s.Census < 0 {
		return errors.New("--slow-request and --census must not be negative")
	}
	if s.Census == 0 && (s.MaxSessions > 0 || s.MaxBytes > 0) {
		return errors.New("--max-sessions and --max-bytes need a --census")
	}
	if s.HedgeDelay < 0 || s.WriteQueue <= 0 || s.FailoverAssist < 0 {
		return errors.New("--hedge-delay and --failover-assist must not be negative, and --write-queue must be positive")
	}
	if s.HedgeDelay > s.RequestTimeout/2 {
		return errors.New("--hedge-delay must be at most half of --request-timeout: a read does not look at its deadline before")
	}
	if s.Pprof && s.OpsListen == "" {
		return errors.New("--pprof needs --ops-listen: profiles are for operators only")
	}
	if s.FailoverAssist > 0 && s.FailoverAssist < minAssist {
		return fmt.Errorf("--failover-assist must be 0 or at least %s: a shorter silence is no sign of a failure", minAssist)
	}
	if s.KeyFile == "" && !s.InsecureNoAuth && !loopback(s.Listen) {
		return errors.New("--listen is not a loopback address: set --key-file, or allow it with --insecure-no-auth")
	}
	if _, err := s.connections(descriptors()); err != nil {
		return err
	}
	_, err := keys.NewGrant(s.Tenant, 0, s.limits())
	return err
}

// loopback reports whether only this host can reach the address. It is true for an address that cannot be parsed: that
// fails later, with a better error, in net.Listen.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	return err != nil || host == "localhost" || ip != nil && ip.IsLoopback()
}

// hosts are the names that requests may be for; nil for any. Where a key is needed, no web page has one.
func (s *serveCmd) hosts() []string {
	if s.KeyFile != "" {
		return nil
	}
	return s.opsHosts()
}

// opsHosts are the names that requests to the second listener may be for. No key is needed there.
func (s *serveCmd) opsHosts() []string {
	return append([]string{}, s.AllowedHost...) // not nil, even if there are none
}

// ops says who may see metrics, cluster and page.
func (s *serveCmd) ops() httpapi.OpsAccess {
	switch {
	case s.OpsListen != "":
		return httpapi.OpsApart
	case s.KeyFile != "":
		return httpapi.OpsByKey
	}
	return httpapi.OpsOpen
}

// limits apply to every tenant that does not set its own.
func (s *serveCmd) limits() keys.Limits {
	return keys.Limits{
		Policy: session.Policy{
			DefaultIdle: s.DefaultIdleTTL, DefaultMax: s.DefaultMaxTTL, TTLLimit: s.TTLLimit,
			MaxPerUser: s.SessionsPerUser, EvictOldest: keys.OnLimit(s.OnLimit) == keys.EvictOldest,
		},
		MaxBody: s.MaxBodyBytes,
		Secrets: s.secrets,
		Quota:   keys.Quota{PerSecond: s.RequestsPerSecond, InFlight: s.RequestsInFlight, Sessions: s.MaxSessions, Bytes: s.MaxBytes},
	}
}
