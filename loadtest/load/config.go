// Package load puts an open-loop load of session operations on one or several instances of the service, or on anything
// that offers the same HTTP calls, and lets a ledger judge the answers.
//
// Open loop: requests start by a schedule, whether or not the ones before were answered, and latency counts from the
// intended start, so that a stall is felt by all the requests that it would have hit (no coordinated omission).
package load

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sessiond/sessiond/loadtest/ledger"
)

// A Config describes the load. Targets, Rate and Mix must be set; the zero value of the rest is usable.
type Config struct {
	// Targets are the base URLs of the instances; requests go to them in turn.
	Targets []string
	// Token is the API key, sent as a bearer token; none if empty.
	Token string
	// Tenant is the API key's, which Slot figures need, and the judgement of lists. "default" if empty.
	Tenant string

	// Rate is the schedule of arrivals, reads and writes together.
	Rate Schedule
	// Poisson draws the gaps between arrivals from an exponential distribution; without it they are even.
	Poisson bool
	// Together starts arrivals that are due within this time at once, which saves CPU: 1 ms takes about a quarter off at
	// 2,000 requests/s. They start that much late at most, and their latency counts it. 0 starts each when it is due.
	Together time.Duration
	// Duration ends the load; 0 leaves that to the context.
	Duration time.Duration
	// Mix weighs the operations; those without a weight do not occur.
	Mix Mix
	// PayloadSizes are the lengths of the padding in each write's data, in bytes, drawn evenly. 256 if empty.
	PayloadSizes []int

	// Sessions are made by Prepare. 1000 if 0.
	Sessions int
	// Users own SessionsPerUser (1 if 0) of those each, the rest have no user. A user never has more at a time than
	// that, and those whose creation or deletion has an unknown outcome.
	Users, SessionsPerUser int
	// UserPrefix is what users' names begin with. "load-" and a random number if empty.
	UserPrefix string
	// Lifetime is what sessions are created with. 30 minutes idle and 24 hours at most where 0.
	Lifetime ledger.Lifetime
	// Grace is how long an ID stands for its successor after a rotation: 30 seconds if 0, none if negative. The old ID
	// is read in the first half only, since its use after the grace revokes the session.
	Grace time.Duration
	// Zipf is the exponent of the distribution of keys, above 1: 1.1 is a usual one. Uniform if 0.
	Zipf float64
	// Guarded is the share of updates that carry If-Match, where the ETag is known. 0 to 1.
	Guarded float64
	// Revisit is the share of reads that go to deleted sessions and old IDs. 1 in 50 if 0, none if negative.
	Revisit float64

	// MaxInFlight bounds the requests under way; arrivals beyond it are counted as not sent. 4096 if 0.
	MaxInFlight int
	// Timeout of one request. 10 seconds if 0, a bit above the service's own deadline.
	Timeout time.Duration
	// DialTimeout of one connection. 1 second if 0.
	DialTimeout time.Duration
	// NoRedial fails a request whose connection was refused, instead of trying the other targets. Such a request was
	// never sent, and a load balancer would do the same when an instance stops.
	NoRedial bool
	// CheckEvery is how often each target is asked whether it is ready (/readyz), from New on: one that says anything but
	// 200, or nothing three times in a row, is left alone, as by a load balancer. 0 asks nothing.
	CheckEvery time.Duration
	// Durability is sent with every write: `Prefer: durability=...`. None if empty.
	Durability string
	// Prefer is sent with every read, for instance "read=master". None if empty.
	Prefer string

	// Ledger judges the answers. A new one if nil.
	Ledger *ledger.Ledger
	// Observe is called with every result, concurrently and before the request counts as done; it must be quick.
	Observe func(Result)
	// Transport sends the requests. Outside tests it is one of net/http with connections enough for MaxInFlight.
	Transport http.RoundTripper
	// Seed makes the choice of operations and keys repeatable; random if 0.
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

// Class separates reads from writes.
func (o Op) Class() Class {
	if o == Read || o == List {
		return Reads
	}
	return Writes
}

// A Class is reads or writes.
type Class uint8

const (
	Reads Class = iota
	Writes
	classes
)

func (c Class) String() string { return [...]string{"reads", "writes"}[c] }

// MarshalText writes the name, for reports.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// withDefaults fills in the zero values, and refuses what cannot work.
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
			return nil, fmt.Errorf("load: target %q is no http(s) URL", text)
		}
		targets = append(targets, &target{base: u})
	}
	return targets, nil
}
