package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sessiond/sessiond/loadtest/fault"
	"github.com/sessiond/sessiond/loadtest/ledger"
	"github.com/sessiond/sessiond/loadtest/load"
	"github.com/sessiond/sessiond/loadtest/report"
	"github.com/sessiond/sessiond/loadtest/scenario"
)

// redisStock is the target that is no URL.
const redisStock = "redis-stock"

// cli is the command line. A scenario sets any of it but the token.
type cli struct {
	Scenario scenario.Flag `placeholder:"NAME|FILE" help:"Flags from a file: one of ${scenarios}, or a path. The command line comes first."`

	Target  []string `placeholder:"URL" help:"Instances, requests go to them in turn; or redis-stock, a plain go-redis handler in this process, as the control. Default: http://127.0.0.1:8080."`
	Token   string   `env:"LOADTEST_TOKEN" placeholder:"KEY" help:"API key. In the environment: LOADTEST_TOKEN."`
	Tenant  string   `default:"default" help:"The API key's tenant."`
	Redis   []string `placeholder:"HOST:PORT" help:"Nodes of the cluster, for redis-stock."`
	Cluster []string `placeholder:"URL" help:"Instances that are asked what happens to the cluster. Default: the targets."`

	Rate     string        `default:"500" help:"Requests per second: a number, ramp:FROM:TO:WITHIN, sine:MEAN:AMPLITUDE:PERIOD or steps:RATExTIME,RATExTIME."`
	Poisson  bool          `help:"Draw the gaps between arrivals from an exponential distribution, instead of even ones."`
	Together time.Duration `default:"1ms" help:"Start arrivals that are due within this time at once, which saves CPU; latency counts the wait."`
	Duration time.Duration `default:"1m" help:"Of the load. 0: until Ctrl-C."`
	Mix      string        `default:"read=70,update=14,patch=5,create=4,delete=2,rotate=2,list=3" help:"Weights of create, read, update, patch, delete, rotate and list."`
	Payload  []int         `default:"256" placeholder:"BYTES" help:"Sizes of the data, drawn evenly."`

	Sessions        int           `default:"1000" help:"Sessions that are made before the load."`
	Users           int           `default:"100" help:"Users who own some of them."`
	SessionsPerUser int           `default:"3" help:"How many each user owns."`
	IdleTTL         time.Duration `name:"idle-ttl" default:"30m" help:"Idle TTL of the sessions."`
	MaxTTL          time.Duration `name:"max-ttl" default:"24h" help:"Their absolute TTL."`
	Grace           time.Duration `default:"30s" help:"How long an ID stands for its successor after a rotation."`
	Zipf            float64       `help:"Exponent of Zipf's law for the choice of sessions, above 1. 0: evenly."`
	Guarded         float64       `default:"0.2" help:"Share of updates with If-Match."`

	MaxInFlight int           `default:"4096" help:"Requests under way; arrivals beyond are counted as not sent."`
	Timeout     time.Duration `default:"10s" help:"Of one request."`
	NoRedial    bool          `help:"Fail a request whose connection is refused, instead of trying the other targets as a load balancer would."`
	Durability  string        `enum:",async,replicated,strict" default:"" help:"Asked for with every write: async, replicated or strict."`
	Prefer      string        `placeholder:"PREFERENCE" help:"Sent with every read, for instance read=master."`
	Seed        uint64        `help:"Makes the choice of operations and sessions repeatable. 0: random."`

	Fault     []fault.Step `placeholder:"AT:ACTION:TARGET" help:"What to break, and when: 10s:kill:vm2."`
	FaultBy   string       `default:"docker" placeholder:"docker|ssh|COMMAND" help:"How: docker acts on containers by label, service or name; ssh on a systemd unit; a command for sh gets the action as $$1 and the target as $$2."`
	FaultUnit string       `default:"redis-server" help:"The unit for ssh."`
	Project   string       `env:"COMPOSE_PROJECT_NAME" help:"The Compose project for docker; all containers if empty."`

	Sweep time.Duration `default:"30s" help:"How long reading everything back may take after the load."`
	Out   string        `placeholder:"DIR" help:"Where the report goes. Default: out/SCENARIO-TIME."`

	report.Limits `embed:"" group:"Limits"`

	options []report.Option
}

// name is what the run is called.
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

// stock reports whether the control is the target.
func (c *cli) stock() bool { return slices.Contains(c.Target, redisStock) }

// config makes the load of the flags, but for its targets.
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

// means is how faults are made. It refuses those that it cannot make, and those that the load would not live to see.
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
		return errors.New("--target redis-stock stands alone")
	case c.stock() && len(c.Redis) == 0:
		return errors.New("--target redis-stock needs --redis")
	case c.Duration < 0 || c.Sweep <= 0 || c.Timeout <= 0:
		return errors.New("--duration, --sweep and --timeout are above zero")
	case c.Guarded < 0 || c.Guarded > 1:
		return errors.New("--guarded is a share between 0 and 1")
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
