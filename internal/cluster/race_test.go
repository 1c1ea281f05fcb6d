package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// reply is an error that a node answered with.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

// sixNodes are three masters, m1 to m3, and their replicas.
const sixNodes = `m1 10.0.0.1:6379@1,redis-1.vm1 master - 0 0 1 connected 0-5460
m2 10.0.0.2:6379@1,redis-2.vm2 master - 0 0 2 connected 5461-10922
m3 10.0.0.3:6379@1,redis-3.vm3 master - 0 0 3 connected 10923-16383
r1 10.0.0.4:6379@1,redis-4.vm3 slave m1 0 0 1 connected
r2 10.0.0.5:6379@1,redis-5.vm1 slave m2 0 0 2 connected
r3 10.0.0.6:6379@1,redis-6.vm2 slave m3 0 0 3 connected
`

// A still is a client that probes nobody: the test sets the answers of the nodes. Its clock is synctest's.
type still struct {
	*Client
	t *testing.T
}

// inStill runs a test on a client that has just heard from all six nodes.
func inStill(t *testing.T, test func(*still)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		nobody := func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }
		x := &still{assemble(Config{Access: peer.Access{Addrs: []string{"10.0.0.1:6379"}, Dial: nobody}}), t}
		defer x.traffic.close()
		defer x.peers.Close()
		x.says(0, sixNodes)
		time.Sleep(time.Second) // the answers of the nodes are older than the reads
		test(x)
	})
}

// node returns one of m1 to m3 and r1 to r3, counted from 0.
func (x *still) node(i int) *peer.Peer { return x.peers.At(fmt.Sprintf("10.0.0.%d:6379", i+1)) }

// says makes a node answer with a view.
func (x *still) says(i int, nodes string) {
	x.t.Helper()
	v, err := view.Parse(nodes, x.node(i).Addr)
	if err != nil {
		x.t.Fatal(err)
	}
	x.node(i).Stage(peer.Staged{}) // whatever became of connections to it
	x.watch.Take(x.node(i), peer.Answer{Asked: time.Now(), View: v}, nil)
}

// falls makes a node owe an answer for some time.
func (x *still) falls(i int, silence time.Duration) {
	x.node(i).Stage(peer.Staged{Silence: silence})
	x.watch.Take(x.node(i), peer.Answer{}, context.DeadlineExceeded)
	synctest.Wait()
}

func (x *still) reading() *reading {
	return &reading{call: call{client: x.Client, ctx: x.t.Context(), terms: new(Terms)}}
}

// A hedged is a read of slot 0 that has asked the master and the replica. The test gives their answers.
type hedged struct {
	*still
	cancel        context.CancelFunc
	r             *reading
	first, second *peer.Attempt
	cmd           redis.Cmder // what the read returned together with err, once returned is true
	err           error
	returned      bool
}

func (x *still) hedgedRead() *hedged {
	ctx, cancel := context.WithCancel(x.t.Context())
	x.t.Cleanup(cancel)
	attempt := func() *peer.Attempt { return peer.NewAttempt(ctx, redis.NewStringCmd(ctx, "get", "k")) }
	h := &hedged{still: x, cancel: cancel, first: attempt(), second: attempt(), r: x.reading()}
	h.r.ctx = ctx
	go func() {
		h.cmd, h.err = h.r.race(x.watch.Topology().At(0), h.first, h.second)
		h.returned = true
	}()
	synctest.Wait()
	return h
}

// finds answers an attempt with a value.
func (h *hedged) finds(a *peer.Attempt, value string) {
	a.Cmd.(*redis.StringCmd).SetVal(value)
	h.ends(a, nil)
}

func (h *hedged) ends(a *peer.Attempt, err error) {
	a.Cmd.SetErr(err)
	a.Finish(err)
	synctest.Wait()
}

// proves makes the other masters answer, from now on, that they neither own nor import the slot.
func (h *hedged) proves() {
	time.Sleep(time.Millisecond)
	h.says(1, sixNodes)
	h.says(2, sixNodes)
}

func TestRaceOfHedgedReads(t *testing.T) {
	const moved, keyElsewhere = "MOVED 0 10.0.0.2:6379", "ERR Script attempted to access a non local key in a cluster node"
	for _, c := range []struct {
		name    string
		happens func(*hedged)
		from    string // master or replica, whose attempt is returned; none for an error
		err     error
	}{
		{"the master answers first", func(h *hedged) { h.finds(h.first, "v") }, "master", nil},
		{"the replica answers first", func(h *hedged) { h.finds(h.second, "v") }, "replica", nil},
		{"the replica lacks the key, and the master has it", func(h *hedged) {
			h.ends(h.second, redis.Nil)
			h.proves()
			h.finds(h.first, "v")
		}, "master", nil},
		{"the replica lacks the key, and the master becomes suspect: with the proof the replica counts", func(h *hedged) {
			h.ends(h.second, redis.Nil)
			h.proves()
			h.falls(0, peer.SuspectAfter)
		}, "replica", redis.Nil},
		{"the same without the proof", func(h *hedged) {
			h.ends(h.second, redis.Nil)
			h.falls(0, peer.SuspectAfter)
		}, "", errMaybeMoving},
		{"the replica lacks the key, and another node becomes suspect", func(h *hedged) {
			h.ends(h.second, redis.Nil)
			h.proves()
			h.falls(1, peer.SuspectAfter)
			h.finds(h.first, "v")
		}, "master", nil},
		{"the replica refuses", func(h *hedged) {
			h.ends(h.second, reply("NOPERM this user has no permissions"))
			h.finds(h.first, "v")
		}, "master", nil},
		{"the replica's queue is full", func(h *hedged) {
			h.ends(h.second, ErrOverloaded)
			h.finds(h.first, "v")
		}, "master", nil},
		{"the replica fails", func(h *hedged) {
			h.ends(h.second, io.EOF)
			h.finds(h.first, "v")
		}, "master", nil},
		{"the master fails", func(h *hedged) {
			h.ends(h.first, io.EOF)
			h.finds(h.second, "v")
		}, "replica", nil},
		{"the master fails, and the replica lacked the key", func(h *hedged) {
			h.ends(h.second, redis.Nil)
			h.proves()
			h.ends(h.first, io.EOF)
		}, "replica", redis.Nil},
		{"the master sends us elsewhere: its replica is not asked", func(h *hedged) { h.ends(h.first, reply(moved)) }, "master", reply(moved)},
		{"the master's script has come upon a key that has moved: its replica is not asked", func(h *hedged) {
			h.ends(h.first, reply(keyElsewhere))
		}, "master", reply(keyElsewhere)},
		{"the caller leaves", func(h *hedged) {
			h.ends(h.second, redis.Nil)
			h.cancel()
			synctest.Wait()
		}, "master", context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			inStill(t, func(x *still) {
				h := x.hedgedRead()
				c.happens(h)
				if !h.returned {
					t.Fatal("it has not returned")
				}
				if !errors.Is(h.err, c.err) {
					t.Errorf("got %v, want %v", h.err, c.err)
				}
				want := map[string]redis.Cmder{"master": h.first.Cmd, "replica": h.second.Cmd}[c.from]
				if h.cmd != want || h.r.terms.FromReplica() != (c.from == "replica") {
					t.Errorf("got the answer %v, from a replica %t", h.cmd, h.r.terms.FromReplica())
				}
			})
		})
	}
}

// While the master is well, a replica's answer that there is no key waits for the master's, and nothing else ends the wait.
func TestRaceWaitsForTheMaster(t *testing.T) {
	inStill(t, func(x *still) {
		h := x.hedgedRead()
		h.ends(h.second, redis.Nil)
		h.proves()
		h.falls(5, peer.DownAfter)
		if h.returned {
			t.Errorf("got %v, %v before the master has answered", h.cmd, h.err)
		}
		if h.r.lacking.at.IsZero() {
			t.Error("the lack was not noted")
		}
		h.finds(h.first, "v")
	})
}

// A lack seen by a replica of one shard is no answer once another shard owns the slot: its proof would be about other
// masters.
func TestLackIsForgottenWithItsShard(t *testing.T) {
	inStill(t, func(x *still) {
		ctx := x.t.Context()
		answer := func(rest ...any) *peer.Attempt {
			a := peer.NewAttempt(ctx, redis.NewCmd(ctx, "evalsha_ro"))
			a.Cmd.(*redis.Cmd).SetVal(rest)
			a.Finish(nil)
			return a
		}
		r := x.reading()
		part, all := answer("what was left"), answer("everything")
		before := x.watch.Topology()
		if _, err := r.fromReplica(before.At(0), part); !errors.Is(err, errMaybeMoving) {
			t.Fatalf("without a proof: %v", err)
		}
		moved := strings.NewReplacer("connected 0-5460", "connected 1-5460", "connected 5461", "connected 0 5461").Replace(sixNodes)
		for range 2 {
			time.Sleep(time.Millisecond)
			for i := range 3 {
				x.says(i, moved)
			}
			got, err := r.fromReplica(before.At(5461), all)
			if err == nil && got != all.Cmd {
				t.Errorf("got %v", got)
			}
			if err != nil && !errors.Is(err, errMaybeMoving) {
				t.Error(err)
			}
		}
		if !r.terms.FromReplica() {
			t.Error("the second shard's replica was not believed in the end")
		}
	})
}
