package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sessiond/sessiond/loadtest/fault"
	"github.com/sessiond/sessiond/loadtest/ledger"
	"github.com/sessiond/sessiond/loadtest/load"
	"github.com/sessiond/sessiond/loadtest/report"
	"github.com/sessiond/sessiond/loadtest/scenario"
)

// redisStock is the only target that is not a URL.
const redisStock = "redis-stock"

// cli is the command line. A scenario may set any flag except the token.
type cli struct {
	Scenario scenario.Flag `placeholder:"NAME|FILE" help:"Read flags from a file: one of ${scenarios}, or a path. Flags on the command line override it."`

	Target []string `placeholder:"URL" help:"Instances to load, round robin; or redis-stock, a plain go-redis handler in this process, as the control. Default: http://127.0.0.1:8080."`
	Token  string   `env:"LOADTEST_TOKEN" placeholder:"KEY" help:"API key; with the scope ops too, unless --cluster names --ops-listen addresses. Set it in the environment to keep it out of the process list."`
	Tenant string   `default:"default" help:"The API key's tenant."`
	CAFile string   `name:"ca-file" placeholder:"FILE" help:"Trust these CA certificates (PEM) instead of the system's."`
	Redis  []string `placeholder:"HOST:PORT" help:"Cluster nodes, for redis-stock."`

	RedisUsername string `placeholder:"NAME" help:"Redis ACL user, for redis-stock."`
	RedisPassword string `env:"LOADTEST_REDIS_PASSWORD" placeholder:"PASSWORD" help:"Redis ACL password, for redis-stock. Set it in the environment to keep it out of the process list."`

	Cluster []string `placeholder:"URL" help:"Instances to ask about the cluster's shards and events. Default: the targets."`

	Rate     string        `default:"500" help:"Requests per second: a number, ramp:FROM:TO:WITHIN, sine:MEAN:AMPLITUDE:PERIOD or steps:RATExTIME,RATExTIME."`
	Poisson  bool          `help:"Draw the gaps between arrivals from an exponential distribution. Without it they are even."`
	Together time.Duration `default:"1ms" help:"Start all arrivals due within this time together, which saves CPU. Latency includes the wait."`
	Duration time.Duration `default:"1m" help:"How long to run the load. 0: until Ctrl-C."`
	Mix      string        `default:"read=70,update=14,patch=5,create=4,delete=2,rotate=2,list=3" help:"Weights of create, read, update, patch, delete, rotate and list."`
	Payload  []int         `default:"256" placeholder:"BYTES" help:"Sizes of the session data, chosen uniformly."`

	Sessions        int           `default:"1000" help:"Sessions created before the load starts."`
	Users           int           `default:"100" help:"Users who own some of these sessions."`
	SessionsPerUser int           `default:"3" help:"Sessions that each user owns."`
	IdleTTL         time.Duration `name:"idle-ttl" default:"30m" help:"Idle TTL of the sessions."`
	MaxTTL          time.Duration `name:"max-ttl" default:"24h" help:"Absolute TTL of the sessions."`
	Grace           time.Duration `default:"30s" help:"How long the old ID still works after a rotation."`
	Zipf            float64       `help:"Choose sessions by Zipf's law with this exponent, which must be above 1. 0: uniformly."`
	Guarded         float64       `default:"0.2" help:"Share of updates sent with If-Match, from 0 to 1."`

	MaxInFlight int           `default:"4096" help:"Most requests in flight. Further arrivals count as not sent."`
	Timeout     time.Duration `default:"10s" help:"Timeout of one request."`
	NoRedial    bool          `help:"Fail a request whose connection is refused. By default it goes to another target, as behind a load balancer."`
	Durability  string        `enum:",async,replicated,strict" default:"" help:"Durability to ask for with every write: async, replicated or strict. Default: the service's."`
	Prefer      string        `placeholder:"PREFERENCE" help:"Prefer header to send with every read, for instance read=master."`
	Seed        uint64        `help:"Seed for the choice of operations and sessions, to repeat a run. 0: random."`

	Fault     []fault.Step `placeholder:"AT:ACTION:TARGET" help:"What to break, and when: 10s:kill:vm2."`
	FaultBy   string       `default:"docker" placeholder:"docker|ssh|COMMAND" help:"How to break it: docker acts on containers by label, service or name; ssh on a systemd unit; anything else is a command for sh with the action as $$1 and the target as $$2."`
	FaultUnit string       `default:"redis-server" help:"The systemd unit for ssh."`
	Project   string       `env:"COMPOSE_PROJECT_NAME" help:"The Compose project for docker. Empty: all containers."`

	Sweep time.Duration `default:"30s" help:"Time limit for reading every session back after the load."`
	Out   string        `placeholder:"DIR" help:"Directory for the report. Default: out/SCENARIO-TIME."`

	report.Limits `embed:"" group:"Limits"`

	options []report.Option
}

// name is the name of the run.
func (c *cli) name() string {
	if c.Scenario == "" {
		return "load"
	}
	s, err := scenario.Open(string(c.Scenario))
	if err != nil { // it was read a moment ago
		return "load"
	}
	return s.Name
}

// stock reports whether the target is the control.
func (c *cli) stock() bool { return slices.Contains(c.Target, redisStock) }

// config builds the load's configuration from the flags. The targets are left to the drill.
func (c *cli) config() (load.Config, error) {
	rate, err := load.ParseSchedule(c.Rate)
	if err != nil {
		return load.Config{}, err
	}
	mix, err := load.ParseMix(c.Mix)
	if err != nil {
		return load.Config{}, err
	}
	return load.Config{
		Token: c.Token, Tenant: c.Tenant, Rate: rate, Poisson: c.Poisson, Together: c.Together, Duration: c.Duration, Mix: mix,
		PayloadSizes: c.Payload, Sessions: c.Sessions, Users: c.Users, SessionsPerUser: c.SessionsPerUser,
		Lifetime: ledger.Lifetime{Idle: c.IdleTTL, Max: c.MaxTTL}, Grace: cmp.Or(c.Grace, -1), Zipf: c.Zipf, Guarded: c.Guarded,
		MaxInFlight: c.MaxInFlight, Timeout: c.Timeout, NoRedial: c.NoRedial, Durability: c.Durability, Prefer: c.Prefer, Seed: c.Seed,
	}, nil
}

// authorities are those of --ca-file; nil for the system's.
func (c *cli) authorities() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca-file: %s has no certificate", c.CAFile)
	}
	return pool, nil
}

// means returns how faults are made. It rejects faults that it cannot make, and those due after the end of the load.
func (c *cli) means() (fault.Means, error) {
	m := fault.Means{By: c.FaultBy, Unit: c.FaultUnit, Project: c.Project}
	for _, s := range c.Fault {
		if err := m.Check(s); err != nil {
			return m, err
		}
		if c.Duration > 0 && s.At >= c.Duration {
			return m, fmt.Errorf("fault %s: the load ends at %s", s, c.Duration)
		}
	}
	return m, nil
}

// Validate is called by kong.
func (c *cli) Validate() error {
	if _, err := c.config(); err != nil {
		return err
	}
	if _, err := c.means(); err != nil {
		return err
	}
	switch {
	case c.stock() && len(c.Target) > 1:
		return errors.New("--target redis-stock cannot be combined with other targets")
	case c.stock() && len(c.Redis) == 0:
		return errors.New("--target redis-stock needs --redis")
	case c.Duration < 0 || c.Sweep <= 0 || c.Timeout <= 0:
		return errors.New("--sweep and --timeout must be above zero, and --duration must not be negative")
	case c.Guarded < 0 || c.Guarded > 1:
		return errors.New("--guarded must be between 0 and 1")
	}
	return nil
}

// optionsOf lists the flags that are set, for the report. The token is a secret.
func optionsOf(parsed *kong.Context) []report.Option {
	var options []report.Option
	for _, f := range parsed.Model.Flags {
		if f.Name != "token" && f.Name != "help" && !f.Target.IsZero() {
			options = append(options, report.Option{Name: f.Name, Value: fmt.Sprint(f.Target)})
		}
	}
	return options
}
