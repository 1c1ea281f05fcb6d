// Package load puts an open-loop load of session operations on instances of the service, or on anything with the same HTTP
// API, and has a ledger judge the answers.
//
// Open loop means that requests start on schedule, whether or not earlier ones were answered, and that latency counts from
// the intended start. A stall thus counts for every request that it delays (no coordinated omission).
package load

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sessiond/sessiond/loadtest/ledger"
)

// A Config describes the load. Targets, Rate and Mix must be set. The zero value of the rest is usable.
type Config struct {
	// Targets are the base URLs of the instances. Requests go to them round robin.
	Targets []string
	// Token is the API key, sent as a bearer token. None if empty.
	Token string
	// Tenant is the API key's tenant. Slots and the judgement of lists depend on it. "default" if empty.
	Tenant string

	// Rate is the schedule of arrivals, reads and writes together.
	Rate Schedule
	// Poisson draws the gaps between arrivals from an exponential distribution. Without it they are even.
	Poisson bool
	// Together starts all arrivals due within this time together, which saves CPU: 1 ms saves about a quarter at 2,000
	// requests/s. An arrival starts at most this late, and its latency includes the delay. 0 starts each when it is due.
	Together time.Duration
	// Duration is how long the load lasts. 0: until the context ends.
	Duration time.Duration
	// Mix weighs the operations. Operations without a weight do not occur.
	Mix Mix
	// PayloadSizes are the lengths of the padding in each write's data, in bytes, drawn uniformly. 256 if empty.
	PayloadSizes []int

	// Sessions is how many Prepare creates. 1000 if 0.
	Sessions int
	// Users own SessionsPerUser (1 if 0) sessions each. The remaining sessions have no user. At any time, a user has at
	// most that many, plus those whose creation or deletion has an unknown outcome.
	Users, SessionsPerUser int
	// UserPrefix is the prefix of users' names. "load-" and a random number if empty.
	UserPrefix string
	// Lifetime holds the TTLs of new sessions. 30 minutes idle and 24 hours absolute where 0.
	Lifetime ledger.Lifetime
	// Grace is how long the old ID works after a rotation. 30 seconds if 0, none if negative. The old ID is read only in
	// the first half of it, because its use after the grace revokes the session.
	Grace time.Duration
	// Zipf is the exponent of the distribution of keys, above 1; 1.1 is common. Uniform if 0.
	Zipf float64
	// Guarded is the share of updates that carry If-Match, if the ETag is known. 0 to 1.
	Guarded float64
	// Revisit is the share of reads that go to deleted sessions and old IDs. 0.02 if 0, none if negative.
	Revisit float64

	// MaxInFlight bounds the requests in flight. Further arrivals count as not sent. 4096 if 0.
	MaxInFlight int
	// Timeout of one request. 10 seconds if 0, slightly above the service's own deadline.
	Timeout time.Duration
	// DialTimeout of one connection. 1 second if 0.
	DialTimeout time.Duration
	// NoRedial fails a request whose connection was refused. Without it, the request goes to another target, as behind a
	// load balancer: it was never sent.
	NoRedial bool
	// CheckEvery is how often each target's readiness (/readyz) is checked, from New on. A target that answers anything
	// but 200, or misses three checks in a row, gets no requests, as behind a load balancer. 0 checks nothing.
	CheckEvery time.Duration
	// Durability is sent with every write: `Prefer: durability=...`. None if empty.
	Durability string
	// Prefer is sent with every read, for instance "read=master". None if empty.
	Prefer string

	// Ledger judges the answers. A new one if nil.
	Ledger *ledger.Ledger
	// Observe is called with every result, concurrently and before the request counts as done. It must be quick.
	Observe func(Result)
	// RootCAs are the authorities that certificates of targets must be from. The system's if nil.
	RootCAs *x509.CertPool
	// Transport sends the requests. Outside tests it is an http.Transport with enough connections for MaxInFlight.
	Transport http.RoundTripper
	// Seed makes the choice of operations and keys repeatable. Random if 0.
	Seed uint64
}

// A Mix gives each operation a weight.
type Mix struct {
	Create, Read, Update, Patch, Delete, Rotate, List float64
}

func (m Mix) weights() [ops]float64 {
	return [ops]float64{Create: m.Create, Read: m.Read, Update: m.Update, Patch: m.Patch, Delete: m.Delete, Rotate: m.Rotate, List: m.List}
}

// An Op is an operation of the API.
type Op uint8

const (
	Create Op = iota // POST /v1/sessions
	Read             // GET /v1/sessions/{id}
	Update           // PUT /v1/sessions/{id}
	Patch            // PATCH /v1/sessions/{id}
	Delete           // DELETE /v1/sessions/{id}
	Rotate           // POST /v1/sessions/{id}/rotate
	List             // GET /v1/users/{user}/sessions
	ops
)

func (o Op) String() string {
	return [...]string{"create", "read", "update", "patch", "delete", "rotate", "list"}[o]
}

// MarshalText writes the name, for reports.
func (o Op) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Class returns Reads or Writes.
func (o Op) Class() Class {
	if o == Read || o == List {
		return Reads
	}
	return Writes
}

// A Class is either reads or writes.
type Class uint8

const (
	Reads Class = iota
	Writes
	classes
)

func (c Class) String() string { return [...]string{"reads", "writes"}[c] }

// MarshalText writes the name, for reports.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// withDefaults fills in the zero values, and rejects a configuration that cannot work.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Tenant, "default")
	setDefault(&c.Sessions, 1000)
	setDefault(&c.SessionsPerUser, 1)
	setDefault(&c.Lifetime.Idle, 30*time.Minute)
	setDefault(&c.Lifetime.Max, 24*time.Hour)
	setDefault(&c.Grace, 30*time.Second)
	c.Grace = max(c.Grace, 0)
	setDefault(&c.Revisit, 0.02)
	setDefault(&c.MaxInFlight, 4096)
	setDefault(&c.Timeout, 10*time.Second)
	setDefault(&c.DialTimeout, time.Second)
	if len(c.PayloadSizes) == 0 {
		c.PayloadSizes = []int{256}
	}
	if c.Ledger == nil {
		c.Ledger = ledger.New(ledger.Config{})
	}
	total := 0.0
	for _, w := range c.Mix.weights() {
		if w < 0 {
			return c, errors.New("load: a weight is negative")
		}
		total += w
	}
	for _, size := range c.PayloadSizes {
		if size < 0 {
			return c, errors.New("load: a payload size is negative")
		}
	}
	switch {
	case len(c.Targets) == 0:
		return c, errors.New("load: no target")
	case c.Rate == nil:
		return c, errors.New("load: no schedule of arrivals")
	case total == 0:
		return c, errors.New("load: the mix is empty")
	case c.Mix.List > 0 && c.Users == 0:
		return c, errors.New("load: a list needs users")
	case c.Users*c.SessionsPerUser > c.Sessions:
		return c, fmt.Errorf("load: %d users with %d sessions each are more than %d sessions", c.Users, c.SessionsPerUser, c.Sessions)
	case c.Zipf != 0 && c.Zipf <= 1:
		return c, errors.New("load: the Zipf exponent must be above 1")
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func parseTargets(texts []string) ([]*target, error) {
	var targets []*target
	for _, text := range texts {
		u, err := url.Parse(strings.TrimSuffix(text, "/"))
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("load: target %q is not an http(s) URL", text)
		}
		targets = append(targets, &target{base: u})
	}
	return targets, nil
}
