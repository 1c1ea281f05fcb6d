package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/polltest"
)

// A fake is a shard of two nodes, a master without slots, and two masters with a slot each, whose answers the test sets. Each
// script writes one byte to the replication stream.
type fake struct {
	addrs  [5]*net.TCPAddr // of the master, its replica, the master without slots, and those with one
	failed atomic.Bool     // the cluster has marked the replica FAIL
	copies atomic.Int32    // how many replicas have everything
	offset atomic.Int64    // of both nodes in the replication stream
	mute   atomic.Bool     // the replica answers, but delays the report of its replication for longer than a probe lasts
	silent atomic.Bool     // the master answers nothing
	second atomic.Bool     // the other master is a second replica
	gets   atomic.Bool     // the other master is importing the slot of the key "moving"
	none   atomic.Bool     // the masters grant no marks
	marks  atomic.Int32    // granted
	noRole atomic.Bool     // the user may not run ROLE
	noInfo atomic.Bool     // nor INFO

	mu  sync.Mutex
	ran []string // first keys of the scripts; guarded by mu
}

func startFake(t *testing.T) *fake {
	t.Helper()
	f := new(fake)
	f.copies.Store(1)
	f.offset.Store(100)
	var nodes [5]*server.Server
	for i := range nodes {
		s, err := server.NewServer("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		nodes[i], f.addrs[i] = s, s.Addr()
	}
	t.Cleanup(func() { f.silent.Store(false) }) // nobody waits any more
	for i, s := range nodes {
		register := func(cmd string, do server.Cmd) {
			err := s.Register(cmd, func(p *server.Peer, cmd string, args []string) {
				for i == 0 && f.silent.Load() {
					time.Sleep(time.Millisecond)
				}
				do(p, cmd, args)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		ok := func(p *server.Peer, _ string, _ []string) { p.WriteOK() }
		register("HELLO", func(p *server.Peer, _ string, _ []string) { p.WriteError("ERR unknown command") }) // RESP2 it is
		register("READONLY", ok)
		register("READWRITE", ok)
		register("CLIENT", ok)
		register("CLUSTER", func(p *server.Peer, _ string, args []string) {
			switch strings.ToUpper(args[0]) {
			case "MYID":
				p.WriteBulk(fmt.Sprintf("id%d", i))
			case "INFO":
				p.WriteBulk("cluster_current_epoch:1\r\n")
			default:
				p.WriteBulk(f.clusterNodes(i))
			}
		})
		register("INFO", denied(&f.noInfo, func(p *server.Peer, _ string, _ []string) { p.WriteBulk(f.info(i)) }))
		register("CONFIG", func(p *server.Peer, _ string, _ []string) { p.WriteStrings([]string{"cluster-node-timeout", "2000"}) })
		register("GET", func(p *server.Peer, _ string, _ []string) { p.WriteNull() })
		register("GETRANGE", func(p *server.Peer, _ string, _ []string) { p.WriteBulk("") })
		register("EVALSHA_RO", func(p *server.Peer, _ string, _ []string) {
			if i == 1 {
				t.Error("a replica was sent a script by its digest: it holds none")
			}
			p.WriteError("NOSCRIPT it was never sent")
		})
		register("EVAL_RO", func(p *server.Peer, _ string, _ []string) { p.WriteStrings([]string{"what is here"}) })
		register("ROLE", denied(&f.noRole, func(p *server.Peer, _ string, _ []string) { f.role(p, i) }))
		register("WAIT", func(p *server.Peer, _ string, _ []string) { p.WriteInt(int(f.copies.Load())) })
		register("EVALSHA", func(p *server.Peer, _ string, args []string) {
			if strings.HasPrefix(args[2], "sessiond:rights:") {
				f.grant(p, args[3])
				return
			}
			f.mu.Lock()
			f.ran = append(f.ran, args[2])
			f.mu.Unlock()
			f.offset.Add(1)
			p.WriteStrings([]string{"done"})
		})
	}
	return f
}

// denied answers that the user may not run the command, while it is so.
func denied(is *atomic.Bool, otherwise server.Cmd) server.Cmd {
	return func(p *server.Peer, cmd string, args []string) {
		if is.Load() {
			p.WriteError("NOPERM User app has no permissions to run the '" + cmd + "' command")
			return
		}
		otherwise(p, cmd, args)
	}
}

func (f *fake) clusterNodes(self int) string {
	flags, of := [5]string{"master", "slave", "master", "master", "master"}, "-"
	if f.second.Load() {
		flags[2], of = "slave", "id0"
	}
	if f.failed.Load() {
		flags[1] += ",fail"
	}
	flags[self] = "myself," + flags[self]
	now := time.Now().UnixMilli()
	line := func(i int, master, slots string) string {
		addr := f.addrs[i]
		return fmt.Sprintf("id%d %s@%d,redis-%d.vm%d %s %s 0 %d 1 connected%s\n", i, addr, addr.Port, i, i, flags[i], master, now, slots)
	}
	getting := ""
	if self == 2 && f.gets.Load() {
		getting = fmt.Sprintf(" [%d-<-id0]", view.Slot("moving"))
	}
	return line(0, "-", " 0-16381") + line(1, "id0", "") + line(2, of, getting) + line(3, "-", " 16382") + line(4, "-", " 16383")
}

// isReplica reports whether a node is a replica of the first.
func (f *fake) isReplica(i int) bool { return i == 1 || i == 2 && f.second.Load() }

// role answers ROLE: the master lists its replicas, of which some have everything.
func (f *fake) role(p *server.Peer, self int) {
	offset := int(f.offset.Load())
	if f.isReplica(self) {
		p.WriteLen(5)
		p.WriteBulk("slave")
		p.WriteBulk(f.addrs[0].IP.String())
		p.WriteInt(f.addrs[0].Port)
		p.WriteBulk("connected")
		p.WriteInt(offset)
		return
	}
	p.WriteLen(3)
	p.WriteBulk("master")
	p.WriteInt(offset)
	if self != 0 {
		p.WriteLen(0)
		return
	}
	p.WriteLen(2)
	for i := 1; i <= 2; i++ {
		has := offset
		if int32(i) > f.copies.Load() {
			has = 0
		}
		p.WriteStrings([]string{f.addrs[i].IP.String(), strconv.Itoa(f.addrs[i].Port), strconv.Itoa(has)})
	}
}

// grant answers as a register.
func (f *fake) grant(p *server.Peer, operation string) {
	verdict := "granted"
	if operation == "mark" {
		if f.none.Load() {
			verdict = "unvouched"
		} else {
			f.marks.Add(1)
		}
	}
	p.WriteLen(3)
	p.WriteBulk(verdict)
	p.WriteBulk("-1")
	p.WriteBulk("")
}

func (f *fake) info(self int) string {
	if self == 1 && f.mute.Load() {
		time.Sleep(400 * time.Millisecond)
	}
	fields := []string{"run_id:" + fmt.Sprint(self), fmt.Sprintf("server_time_usec:%d", time.Now().UnixMicro())}
	if !f.isReplica(self) {
		fields = append(fields, "role:master", fmt.Sprintf("master_repl_offset:%d", f.offset.Load()))
		if self == 0 {
			fields = append(fields, f.connected()...)
		}
	} else {
		fields = append(fields, "role:slave", "master_link_status:up", "master_sync_in_progress:0", fmt.Sprintf("slave_repl_offset:%d", f.offset.Load()))
	}
	return strings.Join(fields, "\r\n") + "\r\n"
}

// connected are the master's replicas as INFO lists them.
func (f *fake) connected() []string {
	var lines []string
	for i := 1; i <= 2; i++ {
		has := f.offset.Load()
		if int32(i) > f.copies.Load() {
			has = 0
		}
		lines = append(lines, fmt.Sprintf("slave%d:ip=%s,port=%d,state=online,offset=%d,lag=0", i-1, f.addrs[i].IP, f.addrs[i].Port, has))
	}
	return lines
}

func (f *fake) has(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.ran {
		if k == key {
			return true
		}
	}
	return false
}

// client makes a client that has seen both nodes well and the replica in step.
func (f *fake) client(t *testing.T) *cluster.Client {
	t.Helper()
	c := cluster.New(cluster.Config{Access: peer.Access{Addrs: []string{f.addrs[0].String()}}})
	t.Cleanup(func() { c.Close() })
	ready(t, c)
	polltest.Eventually(t, "the replica is in step", func() bool { return see(c, "redis-1").InStep })
	return c
}

// A write that the replica lacks is acknowledged once a majority of masters has noted that, and not before.
func TestSingleNeedsAMark(t *testing.T) {
	f := startFake(t)
	c := f.client(t)
	if got := write(t, c, "k", "v", cluster.Replicated, 5*time.Second); got.err != nil || got.achieved != cluster.Replicated || f.marks.Load() > 0 {
		t.Fatalf("all is well: got %q, %v, %d marks", got.achieved, got.err, f.marks.Load())
	}
	f.copies.Store(0)
	f.none.Store(true)
	if got := write(t, c, "k", "v", cluster.Replicated, 3*time.Second); !errors.Is(got.err, cluster.ErrOutcomeUnknown) {
		t.Errorf("without a mark: got %q, %v", got.achieved, got.err)
	}
	f.none.Store(false)
	got := write(t, c, "k", "v", cluster.Replicated, 10*time.Second)
	if got.err != nil || got.achieved != cluster.Single || f.marks.Load() == 0 {
		t.Errorf("got %q, %v, %d marks", got.achieved, got.err, f.marks.Load())
	}
}

// Strict writes that are refused while the replica is behind must not prevent the client from noticing that it has caught
// up.
func TestStrictWritesResumeOnceTheReplicaCatchesUp(t *testing.T) {
	f := startFake(t)
	c := f.client(t)
	f.copies.Store(0)
	if got := write(t, c, "k", "v", cluster.Strict, 3*time.Second); !errors.Is(got.err, cluster.ErrOutcomeUnknown) || !f.has("k") {
		t.Errorf("behind: got %q, %v", got.achieved, got.err)
	}
	f.copies.Store(1)
	polltest.Eventually(t, "a strict write is acknowledged", func() bool {
		got := write(t, c, "k2", "v", cluster.Strict, time.Second)
		return got.err == nil && got.achieved == cluster.Replicated
	})
}

// A replica does not notice that its master moves keys elsewhere. Its answer that there is no key counts only once it is
// proven that nobody imports the slot.
func TestReplicaDoesNotProveAbsenceWhileTheSlotMoves(t *testing.T) {
	f := startFake(t)
	c := f.client(t)
	f.gets.Store(true)
	f.silent.Store(true)
	reads := map[string]func(context.Context, *cluster.Terms) error{
		"GET": func(ctx context.Context, terms *cluster.Terms) error {
			_, err := c.Get(ctx, terms, "moving")
			return err
		},
		"EVAL_RO": func(ctx context.Context, terms *cluster.Terms) error {
			_, err := c.Query(ctx, terms, cluster.NewScript("return {}"), []string{"moving"})
			return err
		},
		"GETRANGE": func(ctx context.Context, terms *cluster.Terms) error {
			return c.Heads(ctx, terms, []string{"moving"}, 2)[0].Err
		},
	}
	for name, read := range reads {
		terms := new(cluster.Terms)
		if err := read(within(t, 500*time.Millisecond), terms); !errors.Is(err, cluster.ErrUnavailable) || terms.FromReplica() {
			t.Errorf("%s of a slot that is being moved: got %v, from a replica %t", name, err, terms.FromReplica())
		}
	}
	f.gets.Store(false)
	for name, read := range reads {
		terms := new(cluster.Terms)
		if err := read(within(t, 10*time.Second), terms); err != nil && !errors.Is(err, cluster.ErrNil) || !terms.FromReplica() {
			t.Errorf("%s of a slot that stays: got %v, from a replica %t", name, err, terms.FromReplica())
		}
	}
}

// With two replicas a write counts as replicated once both have it: WAIT does not tell which of them it counts, and either
// may answer for the master or take over.
func TestReplicatedMeansEveryReplica(t *testing.T) {
	f := startFake(t)
	f.second.Store(true)
	f.copies.Store(2)
	c := f.client(t)
	polltest.Eventually(t, "the second replica is in step", func() bool { return see(c, "redis-2").InStep })
	if got := write(t, c, "both", "v", cluster.Replicated, 5*time.Second); got.err != nil || got.achieved != cluster.Replicated {
		t.Errorf("both have it: got %q, %v", got.achieved, got.err)
	}
	f.copies.Store(1)
	f.none.Store(true)
	if got := write(t, c, "one", "v", cluster.Replicated, 3*time.Second); !errors.Is(got.err, cluster.ErrOutcomeUnknown) {
		t.Errorf("one of the two has it, and nobody knows that the other lacks it: got %q, %v", got.achieved, got.err)
	}
	f.none.Store(false)
	if got := write(t, c, "one", "v", cluster.Replicated, 10*time.Second); got.err != nil || got.achieved != cluster.Replicated || f.marks.Load() == 0 {
		t.Errorf("one of the two has it, and the other is marked: got %q, %v", got.achieved, got.err)
	}
}
