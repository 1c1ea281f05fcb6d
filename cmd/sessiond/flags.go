package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
)

// serveCmd is the command line of serve.
type serveCmd struct {
	Listen   string     `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to serve on (${default})."`
	Embedded bool       `help:"Keep sessions in this process instead of a cluster, for trying the API and for tests."`
	Redis    redisFlags `embed:""`

	Durability     string        `enum:"async,replicated,strict" default:"replicated" help:"Copies that a write must have before it is acknowledged, where the request asks for nothing else: async (the master's), replicated or strict (${default})."`
	HedgeDelay     time.Duration `default:"40ms" help:"How long a read waits for its master before its replica is asked too (${default})."`
	WriteQueue     int           `default:"4096" help:"Writes under way to one shard at most, those that wait for a promotion included (${default})."`
	FailoverAssist time.Duration `placeholder:"DURATION" help:"Ask the replica of a master that has been silent for so long to take over, instead of waiting for the cluster-node-timeout; 0 leaves it to Redis."`

	RequestTimeout  time.Duration `default:"8s" help:"Deadline of a request (${default}): Redis alone needs up to 5 s to promote a replica."`
	ShutdownTimeout time.Duration `default:"10s" help:"How long requests under way may take after SIGTERM (${default})."`
	DrainDelay      time.Duration `default:"1s" help:"How long requests are still taken after SIGTERM, while /readyz says no and every answer closes its connection, so that callers leave by themselves (${default})."`
	MaxBodyBytes    int64         `default:"65536" help:"Limit of a request's body (${default})."`

	KeyFile         string        `placeholder:"FILE" help:"API keys and tenants; read again on SIGHUP. Without it there is one tenant and no authentication, and --listen must be a loopback address."`
	InsecureNoAuth  bool          `help:"Serve on other addresses than loopback without authentication."`
	Tenant          string        `default:"default" help:"Name of the one tenant without a key file (${default})."`
	DefaultIdleTTL  time.Duration `name:"default-idle-ttl" default:"30m" help:"Idle timeout of a session that asks for none (${default})."`
	DefaultMaxTTL   time.Duration `name:"default-max-ttl" default:"24h" help:"Absolute timeout of a session that asks for none (${default})."`
	TTLLimit        time.Duration `name:"ttl-limit" default:"720h" help:"Largest timeout that may be asked for (${default})."`
	SessionsPerUser int           `default:"100" help:"Sessions that one user may have at a time; 0 for any number (${default})."`
	OnLimit         string        `enum:"deny,evict-oldest" default:"evict-oldest" help:"What one session more does: deny or evict-oldest (${default})."`

	Page        bool          `default:"true" negatable:"" help:"Serve the live page at /; --no-page does not."`
	SlowRequest time.Duration `default:"250ms" help:"Log every request that takes so long, and every one that fails (${default})."`
	LogRequests int           `default:"10" help:"Log so many of the other requests in a second at most; negative for all (${default})."`
	Census      time.Duration `default:"30s" help:"How often to estimate the number of live sessions, from a sample of the keys; 0 for never (${default})."`
	LogFormat   string        `enum:"text,json" default:"text" help:"text or json (${default})."`
	LogLevel    string        `enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error (${default})."`
}

// minAssist is the least silence of a master that may be acted on.
const minAssist = 200 * time.Millisecond

// Validate is called by kong.
func (s *serveCmd) Validate() error {
	if !s.Embedded && len(s.Redis.Redis) == 0 {
		return errors.New("name the nodes of the cluster with --redis, or use --embedded")
	}
	if r := s.Redis; s.Embedded && (len(r.Redis) > 0 || r.RedisUsername != "" || r.RedisPassword != "" || r.RedisTLS || r.RedisCAFile != "") {
		return errors.New("--embedded and --redis, with all that begins so, exclude each other")
	}
	if s.DrainDelay < 0 || s.MaxBodyBytes <= 0 || s.RequestTimeout <= 0 || s.ShutdownTimeout <= 0 {
		return errors.New("--max-body-bytes, --request-timeout and --shutdown-timeout must be positive, and --drain-delay not negative")
	}
	if s.SlowRequest < 0 || s.Census < 0 {
		return errors.New("--slow-request and --census must not be negative")
	}
	if s.HedgeDelay < 0 || s.WriteQueue <= 0 || s.FailoverAssist < 0 {
		return errors.New("--hedge-delay and --failover-assist must not be negative, and --write-queue must be positive")
	}
	if s.FailoverAssist > 0 && s.FailoverAssist < minAssist {
		return fmt.Errorf("--failover-assist below %s would take a slow moment for a death", minAssist)
	}
	if s.KeyFile == "" && !s.InsecureNoAuth && !loopback(s.Listen) {
		return errors.New("--listen is not a loopback address: name a --key-file, or say --insecure-no-auth")
	}
	_, err := keys.NewGrant(s.Tenant, 0, s.limits())
	return err
}

// loopback reports whether only this host can reach the address. What cannot be parsed fails later, when it is listened on.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	return err != nil || host == "localhost" || ip != nil && ip.IsLoopback()
}

// limits are those of a tenant that has none of its own.
func (s *serveCmd) limits() keys.Limits {
	return keys.Limits{
		Policy: session.Policy{
			DefaultIdle: s.DefaultIdleTTL, DefaultMax: s.DefaultMaxTTL, TTLLimit: s.TTLLimit,
			MaxPerUser: s.SessionsPerUser, EvictOldest: keys.OnLimit(s.OnLimit) == keys.EvictOldest,
		},
		MaxBody: s.MaxBodyBytes,
	}
}
