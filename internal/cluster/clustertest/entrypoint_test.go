package clustertest_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The commands in the script's PATH: redis-cli answers with the file named after the port, or not at all, and redis-server
// exits with the status in the file "exit", or runs until a SIGTERM. Once the file "started" is there, it is ready for one.
const (
	fakeCLI    = `while [ "$1" != -p ]; do shift; done; cat "$WORLD/$2" 2>/dev/null`
	fakeServer = `trap 'echo >"$WORLD/terminated"; exit 0' TERM
echo "$@" >"$WORLD/started.new"
mv "$WORLD/started.new" "$WORLD/started"
if [ -f "$WORLD/exit" ]; then exit "$(cat "$WORLD/exit")"; fi
while :; do sleep 0.05; done`
)

// a nodes.conf: this node m of shard 1 on port 1, its replica r on port 4, two more masters on ports 2 and 3.
const asMaster = `m 10.0.0.1:1@11,redis-1.vm1,shard-id=x myself,master - 0 0 1 connected 0-5460
n 10.0.0.2:2@12,redis-2.vm2,shard-id=y master - 0 0 2 connected 5461-10922
o 10.0.0.3:3@13,redis-3.vm3,shard-id=z master - 0 0 3 connected 10923-16383
r 10.0.0.3:4@14,redis-4.vm3,shard-id=x slave m 0 0 1 connected
vars currentEpoch 3 lastVoteEpoch 0
`

// An entrypoint is the script in a world of its own.
type entrypoint struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
	log bytes.Buffer
}

func newEntrypoint(t *testing.T) *entrypoint {
	t.Helper()
	e := &entrypoint{t: t, dir: t.TempDir()}
	script, err := os.ReadFile("../../../deploy/redis/entrypoint.sh")
	if err != nil {
		t.Fatal(err)
	}
	e.write("entrypoint.sh", string(script))
	// The limits are two and eight seconds.
	e.write("redis.conf", "dir "+e.dir+"\ncluster-config-file nodes.conf\ncluster-node-timeout 1000\n")
	e.write("redis-cli", "#!/bin/sh\n"+fakeCLI)
	e.write("redis-server", "#!/bin/sh\n"+fakeServer)
	e.cmd = exec.CommandContext(t.Context(), "sh", filepath.Join(e.dir, "entrypoint.sh"), "redis-1.vm1")
	e.cmd.Env = append(os.Environ(), "PATH="+e.dir+":"+os.Getenv("PATH"), "WORLD="+e.dir)
	e.cmd.Stderr = &e.log
	return e
}

func (e *entrypoint) write(name, text string) {
	e.t.Helper()
	// In one step: the script may read it at any time.
	path := filepath.Join(e.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o755); err != nil {
		e.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		e.t.Fatal(err)
	}
}

func (e *entrypoint) has(name string) bool {
	_, err := os.Stat(filepath.Join(e.dir, name))
	return err == nil
}

// start runs the script. Its log may be read when it has ended.
func (e *entrypoint) start() {
	e.t.Helper()
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
}

// end is the script's exit status.
func (e *entrypoint) end() int {
	e.t.Helper()
	err := e.cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		e.t.Fatal(err)
	}
	return e.cmd.ProcessState.ExitCode()
}

func (e *entrypoint) wait(what string, holds func() bool) {
	e.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !holds(); <-tick.C {
		if time.Now().After(end) {
			e.t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// seenBy turns a nodes.conf into the answer of the node with this ID, with some words replaced.
func seenBy(id, nodes string, replace ...string) string {
	nodes = strings.Replace(nodes, "myself,", "", 1)
	var answer strings.Builder
	for line := range strings.Lines(strings.NewReplacer(replace...).Replace(nodes)) {
		if strings.HasPrefix(line, id+" ") {
			line = strings.NewReplacer(" master ", " myself,master ", " slave ", " myself,slave ").Replace(line)
		}
		if !strings.HasPrefix(line, "vars ") {
			answer.WriteString(line)
		}
	}
	return answer.String()
}

func TestEntrypoint(t *testing.T) {
	failedOver := []string{"m 10.0.0.1:1@11,redis-1.vm1,shard-id=x master - 0 0 1 connected 0-5460", "m 10.0.0.1:1@11,redis-1.vm1,shard-id=x master,fail - 0 0 1 connected",
		"slave m 0 0 1 connected", "master - 0 0 4 connected 0-5460"}
	replicaFailed := []string{"slave m", "slave,fail m"}
	for _, c := range []struct {
		name    string
		nodes   string
		clean   bool
		answers map[string]string // by port
		held    time.Duration     // for how long at least
		at      time.Duration     // and at most; the script counts in whole seconds
		says    string            // empty: it is not held
	}{
		{name: "first start"},
		{name: "a master that ended cleanly", nodes: asMaster, clean: true},
		{name: "a replica", nodes: seenBy("r", asMaster)},
		{name: "a master without slots", nodes: strings.Replace(asMaster, " 0-5460", "", 1)},
		{name: "the failover has happened", nodes: asMaster, says: "another node has its slots", at: time.Second,
			answers: map[string]string{"2": seenBy("n", asMaster, failedOver...)}},
		{name: "the promoted replica itself says so", nodes: asMaster, says: "another node has its slots", at: time.Second,
			answers: map[string]string{"2": seenBy("n", asMaster), "3": seenBy("o", asMaster), "4": seenBy("r", asMaster, failedOver...)}},
		{name: "its replica has failed", nodes: asMaster, says: "the only copy", at: time.Second,
			answers: map[string]string{"2": seenBy("n", asMaster, replicaFailed...), "3": seenBy("o", asMaster, replicaFailed...)}},
		{name: "its replica has left", nodes: asMaster, says: "the only copy", at: time.Second,
			answers: map[string]string{"2": seenBy("n", asMaster, "slave m ", "slave n ")}},
		{name: "only one says that its replica has failed", nodes: asMaster, says: "no failover within 8 s", held: 7 * time.Second, at: 11 * time.Second,
			answers: map[string]string{"2": seenBy("n", asMaster, replicaFailed...), "3": seenBy("o", asMaster)}},
		{name: "its replica is suspected only", nodes: asMaster, says: "no failover within 8 s", held: 7 * time.Second, at: 11 * time.Second,
			answers: map[string]string{"2": seenBy("n", asMaster, "slave m", "slave,fail? m"), "3": seenBy("o", asMaster, "slave m", "slave,fail? m")}},
		{name: "the whole cluster lost power: nobody answers", nodes: asMaster, says: "0 other masters answered for 2 s", held: time.Second, at: 4 * time.Second},
		{name: "the whole cluster lost power: replicas answer", nodes: asMaster, says: "0 other masters answered for 2 s", held: time.Second, at: 4 * time.Second,
			answers: map[string]string{"4": seenBy("r", asMaster)}},
		{name: "two VMs lost power: no majority", nodes: asMaster, says: "1 other masters answered for 2 s, of 2", held: time.Second, at: 4 * time.Second,
			answers: map[string]string{"3": seenBy("o", asMaster), "4": seenBy("r", asMaster)}},
		{name: "others who do not know it", nodes: asMaster, says: "0 other masters", held: time.Second, at: 4 * time.Second,
			answers: map[string]string{"2": "n 10.0.0.2:2@12 myself,master - 0 0 2 connected 1-2\n", "3": "LOADING Redis is loading\n"}},
		{name: "slots that are being imported are not owned", nodes: strings.Replace(asMaster, " 0-5460", " [7-<-n]", 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEntrypoint(t)
			e.write("exit", "0")
			if c.nodes != "" {
				e.write("nodes.conf", c.nodes)
			}
			if c.clean {
				e.write("clean-exit", "")
			}
			for port, answer := range c.answers {
				e.write(port, answer)
			}
			began := time.Now()
			e.start()
			if code := e.end(); code != 0 || !e.has("started") {
				t.Errorf("exit status %d\n%s", code, e.log.String())
			}
			took := time.Since(began)
			log := e.log.String()
			if c.says == "" && log != "" || !strings.Contains(log, c.says) || strings.Contains(log, "is held back") != (c.says != "") {
				t.Errorf("got %q, want %q", log, c.says)
			}
			// The upper limits have room for a busy machine.
			if limit := c.at + 3*time.Second; took < c.held || took > limit {
				t.Errorf("it took %s, not between %s and %s", took, c.held, limit)
			}
		})
	}
}

// A node is held until the others say that the failover has happened, and starts soon after.
func TestEntrypointIsReleased(t *testing.T) {
	t.Parallel()
	e := newEntrypoint(t)
	e.write("exit", "0")
	e.write("nodes.conf", asMaster)
	e.write("2", seenBy("n", asMaster))
	e.write("3", seenBy("o", asMaster))
	e.write("redis-cli", "#!/bin/sh\necho >\"$WORLD/asked\"\n"+fakeCLI)
	e.start()
	e.wait("it asks", func() bool { return e.has("asked") })
	if e.has("started") {
		t.Error("it started before the failover")
	}
	e.write("3", seenBy("o", asMaster, " 0-5460", ""))
	if code := e.end(); code != 0 || !e.has("started") || !strings.Contains(e.log.String(), "10.0.0.3:3 says that another node has its slots") {
		t.Errorf("exit status %d\n%s", code, e.log.String())
	}
}

// guardedCLI is redis-cli where the nodes want a password, in the file "password" as "user:password", and TLS if there is
// a file "tls", whose content is the arguments for it.
const guardedCLI = `#!/bin/sh
tls='' user=default
while [ "$1" != -p ]; do
	case $1 in --tls) tls="$2 $3 $4 $5 $6 $7" ;; --user) user=$2 ;; esac
	shift
done
if [ -f "$WORLD/tls" ] && [ "$(cat "$WORLD/tls")" != "$tls" ]; then echo "Error: Server closed the connection"; exit 1; fi
if [ -f "$WORLD/password" ] && [ "$(cat "$WORLD/password")" != "$user:$REDISCLI_AUTH" ]; then
	if [ -n "$REDISCLI_AUTH" ]; then echo "AUTH failed: WRONGPASS invalid username-password pair" >&2; fi
	echo "NOAUTH Authentication required."
	exit 0
fi
cat "$WORLD/$2" 2>/dev/null || { echo "Could not connect to Redis at 10.0.0.2:$2: Connection refused" >&2; exit 1; }`

// The other nodes are asked with the password and the TLS of redis.conf. A node that cannot ask them does not start: it
// would take them for dead.
func TestEntrypointAsksWithCredentials(t *testing.T) {
	const tls = "--cacert /tls/ca.pem --cert /tls/node.pem --key /tls/node key.pem"
	const tlsConf = "tls-cluster yes\ntls-ca-cert-file /tls/ca.pem\ntls-cert-file /tls/node.pem\ntls-key-file \"/tls/node key.pem\"\n"
	for _, c := range []struct {
		name     string
		conf     string
		env      string // REDISCLI_AUTH
		password string
		tls      string
		starts   bool
	}{
		{"no password", "", "", "", "", true},
		{"requirepass", "requirepass secret\n", "", "default:secret", "", true},
		{"masterauth before requirepass", "requirepass old\nmasterauth \"a secret\"\n", "", "default:a secret", "", true},
		{"the last one counts", "masterauth old\nmasterauth new\n", "", "default:new", "", true},
		{"an ACL user", "masteruser replicator\nmasterauth secret\n", "", "replicator:secret", "", true},
		{"the environment comes first", "masterauth wrong\n", "secret", "default:secret", "", true},
		{"no password in the configuration", "", "", "default:secret", "", false},
		{"a wrong one", "masterauth old\n", "", "default:secret", "", false},
		{"TLS", tlsConf, "", "", tls, true},
		{"TLS and a password", tlsConf + "masterauth secret\n", "", "default:secret", tls, true},
		{"TLS that this node does not speak", "", "", "", tls, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newEntrypoint(t)
			e.write("exit", "0")
			e.write("nodes.conf", asMaster)
			e.write("redis-cli", guardedCLI)
			e.write("redis.conf", "dir "+e.dir+"\ncluster-config-file nodes.conf\ncluster-node-timeout 1000\n"+c.conf)
			if c.env != "" {
				e.cmd.Env = append(e.cmd.Env, "REDISCLI_AUTH="+c.env)
			}
			if c.password != "" {
				e.write("password", c.password)
			}
			if c.tls != "" {
				e.write("tls", c.tls)
			}
			for port, id := range map[string]string{"2": "n", "3": "o"} {
				e.write(port, seenBy(id, asMaster, " 0-5460", "")) // the failover has happened
			}
			e.start()
			code, log := e.end(), e.log.String()
			if c.starts && (code != 0 || !strings.Contains(log, "another node has its slots")) {
				t.Errorf("exit status %d\n%s", code, log)
			}
			if !c.starts && (code != 1 || e.has("started") || !strings.Contains(log, "starting could lose acknowledged writes")) {
				t.Errorf("exit status %d, started: %t\n%s", code, e.has("started"), log)
			}
		})
	}
}

// A second configuration, such as that of the bundle's secrets, counts for the questions and for Redis.
func TestEntrypointHasASecondConfiguration(t *testing.T) {
	t.Parallel()
	e := newEntrypoint(t)
	e.write("secrets.conf", "masteruser replica\nmasterauth secret\n")
	e.cmd.Env = append(e.cmd.Env, "SECRETS_CONF="+filepath.Join(e.dir, "secrets.conf"))
	e.write("exit", "0")
	e.write("nodes.conf", asMaster)
	e.write("redis-cli", guardedCLI)
	e.write("password", "replica:secret")
	for port, id := range map[string]string{"2": "n", "3": "o"} {
		e.write(port, seenBy(id, asMaster, " 0-5460", "")) // the failover has happened
	}
	e.start()
	if code := e.end(); code != 0 || !strings.Contains(e.log.String(), "another node has its slots") {
		t.Fatalf("exit status %d\n%s", code, &e.log)
	}
	started, err := os.ReadFile(filepath.Join(e.dir, "started"))
	if want := " --include " + filepath.Join(e.dir, "secrets.conf") + " "; err != nil || !strings.Contains(string(started), want) {
		t.Errorf("started with %q, want %q: %v", started, want, err)
	}
}

// Asked to ping, the script asks the node and starts none.
func TestEntrypointPings(t *testing.T) {
	t.Parallel()
	for said, code := range map[string]int{"PONG": 0, "LOADING Redis is loading the dataset in memory": 1, "": 1} {
		e := newEntrypoint(t)
		e.write("redis-cli", guardedCLI)
		if said != "" {
			e.write("6379", said+"\n")
		}
		e.cmd.Args[2] = "--ping"
		e.start()
		if got := e.end(); got != code || e.has("started") {
			t.Errorf("%q: exit status %d, want %d; started: %t", said, got, code, e.has("started"))
		}
	}
}

// The exit status is Redis', and only a clean exit leaves the mark, which the next start removes.
func TestEntrypointEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status string
		code   int
		clean  bool
	}{{"0", 0, true}, {"1", 1, false}, {"137", 137, false}} {
		e := newEntrypoint(t)
		e.write("clean-exit", "")
		e.write("exit", c.status)
		e.start()
		if code := e.end(); code != c.code || e.has("clean-exit") != c.clean {
			t.Errorf("%s: exit status %d, marked as clean: %v", c.status, code, e.has("clean-exit"))
		}
	}

	e := newEntrypoint(t)
	e.write("clean-exit", "")
	e.start()
	e.wait("Redis runs", func() bool { return e.has("started") })
	if e.has("clean-exit") {
		t.Error("the mark is there while Redis runs")
	}
	if started, _ := os.ReadFile(filepath.Join(e.dir, "started")); string(started) != e.dir+"/redis.conf --cluster-announce-hostname redis-1.vm1\n" {
		t.Errorf("started as %q", started)
	}
	for range 2 { // an impatient operator changes nothing
		_ = e.cmd.Process.Signal(syscall.SIGTERM)
	}
	if code := e.end(); code != 0 || !e.has("terminated") || !e.has("clean-exit") {
		t.Errorf("stopped: exit status %d, terminated: %v, marked as clean: %v", code, e.has("terminated"), e.has("clean-exit"))
	}
}

// Stopped while it is held, a node ends without having started, and is held again the next time.
func TestEntrypointStopsWhileHeld(t *testing.T) {
	t.Parallel()
	e := newEntrypoint(t)
	e.write("nodes.conf", asMaster)
	e.write("2", seenBy("n", asMaster))
	e.write("3", seenBy("o", asMaster))
	e.write("redis-cli", "#!/bin/sh\necho >\"$WORLD/asked\"\n"+fakeCLI)
	e.start()
	e.wait("it asks", func() bool { return e.has("asked") })
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	if code := e.end(); code != 143 || e.has("started") || e.has("clean-exit") {
		t.Errorf("exit status %d, started: %v, marked as clean: %v", code, e.has("started"), e.has("clean-exit"))
	}
}
