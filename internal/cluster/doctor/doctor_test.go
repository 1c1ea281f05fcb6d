package doctor

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A node as the bundle sets it, and the terms of a service on it.
var (
	wellInfo = map[string]string{"redis_version": "8.0.2", "maxmemory_policy": "noeviction", "maxmemory": "268435456", "aof_enabled": "1"}
	wellSet  = map[string]string{
		"maxmemory": "268435456", "maxmemory-policy": "noeviction", "cluster-require-full-coverage": "no",
		"cluster-allow-replica-migration": "no", "appendonly": "yes", "save": "",
	}
	wellTerms = Terms{Deadline: 8 * time.Second, Assist: 500 * time.Millisecond}
)

// well is an examination of three shards on three VMs, which nothing is wrong with.
func well() *examination {
	x := &examination{Terms: wellTerms}
	node := func(id, host, master string) {
		n := view.Node{ID: id, Addr: host + ":6379", Hostname: host, Master: master == "", MasterID: master, Health: view.Healthy}
		if n.Master {
			n.Slots = 5461
		}
		x.view.Nodes = append(x.view.Nodes, n)
		x.sheets = append(x.sheets, sheet{
			node: n, timeout: 2 * time.Second, info: maps.Clone(wellInfo), settings: maps.Clone(wellSet), timed: true,
		})
	}
	for _, shard := range []string{"1", "2", "3"} {
		node("m"+shard, "redis-"+shard+".vm"+shard, "")
		node("r"+shard, "replica-"+shard+".vm"+string('1'+shard[0]%3), "m"+shard)
	}
	return x
}

// told are the findings as "check severity node", without those that are not of the check.
func told(r Report, check string) []string {
	var told []string
	for _, f := range r.Findings {
		if f.Check == check {
			name, _, _ := strings.Cut(f.Node, ".")
			told = append(told, string(f.Severity)+" "+name)
		}
	}
	return told
}

func TestChecks(t *testing.T) {
	first := func(change func(*sheet)) func(*examination) { return func(x *examination) { change(&x.sheets[0]) } }
	setting := func(name, value string) func(*examination) {
		return first(func(s *sheet) { s.settings[name] = value })
	}
	inInfo := func(name, value string) func(*examination) { return first(func(s *sheet) { s.info[name] = value }) }
	noConfig := first(func(s *sheet) { s.settings = nil })
	both := func(changes ...func(*examination)) func(*examination) {
		return func(x *examination) {
			for _, change := range changes {
				change(x)
			}
		}
	}
	denied := func(command string) func(*examination) {
		return first(func(s *sheet) {
			for _, n := range needs {
				if n.name() == command {
					s.denied = append(s.denied, n)
				}
			}
		})
	}
	for _, c := range []struct {
		name   string
		change func(*examination)
		check  string
		want   string // the findings of the check, separated by commas
	}{
		{"it evicts", inInfo("maxmemory_policy", "allkeys-lru"), "eviction", "breaks redis-1"},
		{"it evicts what has a TTL", inInfo("maxmemory_policy", "volatile-ttl"), "eviction", "breaks redis-1"},
		{"it would evict, but has no limit", both(inInfo("maxmemory_policy", "allkeys-lru"), inInfo("maxmemory", "0")), "eviction", "weakens redis-1"},
		{"neither INFO nor CONFIG tells the policy", first(func(s *sheet) { s.info, s.settings = nil, nil }), "eviction", "unknown redis-1"},
		{"INFO tells the policy", noConfig, "eviction", ""},
		{"CONFIG tells the policy", first(func(s *sheet) { s.info = nil; s.settings["maxmemory-policy"] = "allkeys-lfu" }), "eviction", "breaks redis-1"},

		{"it keeps nothing", inInfo("aof_enabled", "0"), "persistence", "breaks redis-1"},
		{"it keeps snapshots", both(inInfo("aof_enabled", "0"), setting("save", "3600 1")), "persistence", "weakens redis-1"},
		{"it may keep snapshots", both(inInfo("aof_enabled", "0"), noConfig), "persistence", "unknown redis-1"},
		{"it keeps a log", noConfig, "persistence", ""},

		{"full coverage", setting("cluster-require-full-coverage", "yes"), "full-coverage", "breaks redis-1"},
		{"full coverage is not known", noConfig, "full-coverage", "unknown redis-1"},
		{"replicas would migrate, but none is to spare", setting("cluster-allow-replica-migration", "yes"), "replica-migration", "weakens redis-1"},
		{"replicas migrate", both(setting("cluster-allow-replica-migration", "yes"), func(x *examination) {
			x.view.Nodes = append(x.view.Nodes, view.Node{ID: "r4", MasterID: "m2", Hostname: "replica-4.vm1", Health: view.Healthy})
		}), "replica-migration", "breaks redis-1"},

		{"Redis' own node timeout", both(first(func(s *sheet) { s.timeout = 15 * time.Second }), func(x *examination) { x.Assist = 0 }), "node-timeout", "breaks redis-1"},
		{"the same, with assistance", first(func(s *sheet) { s.timeout = 15 * time.Second }), "node-timeout", "weakens redis-1"},
		{"the longest that a request outlasts", first(func(s *sheet) { s.timeout = 3500 * time.Millisecond }), "node-timeout", ""},
		{"the node timeout is not known", first(func(s *sheet) { s.timeout = 0 }), "node-timeout", "unknown redis-1"},
		{"nobody says how long a request waits", both(first(func(s *sheet) { s.timeout = time.Minute }), func(x *examination) { x.Deadline = 0 }), "node-timeout", ""},

		{"a replica has failed", func(x *examination) { x.view.Nodes[1].Health = view.Failed }, "replicas", "breaks redis-1"},
		{"a shard on one VM", func(x *examination) { x.view.Nodes[1].Hostname = "replica-1.vm1" }, "placement", "breaks redis-1"},
		{"one replica of two on the master's VM", func(x *examination) {
			x.view.Nodes = append(x.view.Nodes, view.Node{ID: "r4", MasterID: "m1", Hostname: "replica-4.vm1", Health: view.Healthy})
		}, "placement", ""},

		{"an old Redis", inInfo("redis_version", "6.2.14"), "engine", "breaks redis-1"},
		{"a Valkey", both(inInfo("redis_version", "7.2.4"), inInfo("valkey_version", "8.1.1")), "engine", ""},
		{"INFO is denied", first(func(s *sheet) { s.info = nil }), "engine", "unknown redis-1"},

		{"a clock is ahead", first(func(s *sheet) { s.ahead = 3 * time.Second }), "clock", "breaks redis-1"},
		{"a clock is behind", first(func(s *sheet) { s.ahead = -3 * time.Second }), "clock", "breaks redis-1"},
		{"a clock may be ahead, or the answer was late", first(func(s *sheet) { s.ahead, s.slack = 3*time.Second, 2*time.Second }), "clock", ""},
		{"all clocks differ from ours", func(x *examination) {
			for i := range x.sheets {
				x.sheets[i].ahead = time.Hour
			}
		}, "clock", ""},

		{"READONLY is denied", denied("READONLY"), "permissions", "breaks redis-1"},
		{"ROLE is denied", denied("ROLE"), "permissions", "weakens redis-1"},
		{"a failover is denied", denied("CLUSTER|FAILOVER"), "permissions", "breaks redis-1"},
		{"a failover is denied that nobody asks for", both(denied("CLUSTER|FAILOVER"), func(x *examination) { x.Assist = 0 }), "permissions", "weakens redis-1"},
		{"commands of two abilities", both(denied("SET"), denied("SCAN"), denied("DBSIZE")), "permissions", "breaks redis-1,weakens redis-1"},
		{"it does not tell what is permitted", first(func(s *sheet) { s.silent = true }), "permissions", "unknown redis-1"},

		{"a node is silent", first(func(s *sheet) { *s = sheet{node: s.node, err: errors.New("no answer")} }), "answers", "unknown redis-1"},
		{"nobody judges a silent node", first(func(s *sheet) { *s = sheet{node: s.node, err: errors.New("no answer")} }), "eviction", ""},
	} {
		x := well()
		c.change(x)
		r := x.report()
		if got := strings.Join(told(r, c.check), ","); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		for _, f := range r.Findings {
			if f.Promise == "" || f.Found == "" || f.Why == "" || f.Do == "" || f.Node == "" {
				t.Errorf("%s: not all is said: %+v", c.name, f)
			}
		}
	}
	if r := well().report(); len(r.Findings) > 0 {
		t.Errorf("nothing is wrong: %+v", r.Findings)
	}
}

// The file with the least that Redis must permit has every command that the service needs.
func TestUsersMayDoWhatIsNeeded(t *testing.T) {
	text, err := os.ReadFile("../../../deploy/redis/users.acl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		rules := strings.Fields(line)
		if len(rules) < 2 || rules[1] != "sessiond" {
			continue
		}
		_, kinds, _ := strings.Cut(line, "~{*}:[")
		kinds, _, _ = strings.Cut(kinds, "]")
		for _, kind := range kinds {
			if !slices.ContainsFunc(needs, func(n need) bool { return strings.Contains(n.command, "{doctor}:"+string(kind)+":default") }) {
				t.Errorf("whether the user may use keys of kind %c is not asked", kind)
			}
		}
		for _, n := range needs {
			if !slices.Contains(rules, "+"+strings.ToLower(n.name())) {
				t.Errorf("the user sessiond may not run %s", n.name())
			}
		}
		return
	}
	t.Error("there is no user sessiond")
}

// The needs list every command that a script runs. The others are sent by Go code, and the test on a real cluster sends those
// as a user who may run nothing else.
func TestNeedsListTheCommandsOfScripts(t *testing.T) {
	var listed []string
	for _, n := range needs {
		listed = append(listed, n.name())
	}
	var scripts []string
	for _, pattern := range []string{"../../session/scripts/*.lua", "../rights/*.lua"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		scripts = append(scripts, found...)
	}
	call := regexp.MustCompile(`call\('(\w+)'(?:, '([A-Z]+)')?`)
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(text), -1) {
			name := m[1]
			if name == "CLUSTER" {
				name += "|" + m[2]
			}
			if !slices.Contains(listed, name) {
				t.Errorf("%s runs %s, which is not listed", filepath.Base(path), name)
			}
		}
	}
	for _, n := range needs {
		if !slices.ContainsFunc(losses, func(l loss) bool { return l.ability == n.ability }) {
			t.Errorf("nothing says what the lack of %s means", n.name())
		}
	}
}
