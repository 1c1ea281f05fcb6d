package cluster

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A hedged is a read of slot 0 that has asked its master and its replica, and whose answers are the test's.
type hedged struct {
	*world
	cancel        context.CancelFunc
	r             *reading
	first, second *attempt
	cmd           redis.Cmder // what the read returned, with err, once returned is true
	err           error
	returned      bool
}

func (x *world) hedgedRead() *hedged {
	ctx, cancel := context.WithCancel(x.t.Context())
	x.t.Cleanup(cancel)
	attempt := func() *attempt {
		a := newAttempt(ctx, redis.NewStringCmd(ctx, "get", "k"))
		a.progress.Store(sent)
		return a
	}
	time.Sleep(time.Millisecond) // what the nodes have answered is older than the read
	h := &hedged{world: x, cancel: cancel, first: attempt(), second: attempt(), r: &reading{client: x.c, ctx: ctx, terms: new(Terms)}}
	go func() {
		h.cmd, h.err = h.r.race(x.shard("m1"), 0, h.first, h.second)
		h.returned = true
	}()
	synctest.Wait()
	return h
}

// finds answers an attempt with a value.
func (h *hedged) finds(a *attempt, value string) {
	a.cmd.(*redis.StringCmd).SetVal(value)
	h.ends(a, nil)
}

func (h *hedged) ends(a *attempt, err error) {
	a.cmd.SetErr(err)
	a.finish(err)
	synctest.Wait()
}

// proves has the other masters say, from now on, that they have nothing to do with the slot.
func (h *hedged) proves() {
	time.Sleep(time.Millisecond)
	h.answers("m2", 0)
	h.answers("m3", 0)
}

func (h *hedged) falls(id string, s state) {
	h.state(id, s)
	h.w.alarm()
	synctest.Wait()
}

func TestRaceOfHedgedReads(t *testing.T) {
	const moved = "MOVED 0 10.0.0.2:6379"
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
			h.falls("m1", suspect)
		}, "replica", redis.Nil},
		{"the same without the proof", func(h *hedged) {
			h.ends(h.second, redis.Nil)
			h.falls("m1", suspect)
		}, "", errMaybeMoving},
		{"the replica lacks the key, and another node becomes suspect", func(h *hedged) {
			h.ends(h.second, redis.Nil)
			h.proves()
			h.falls("m2", suspect)
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
			h.ends(h.first, reply("ERR "+keyElsewhere))
		}, "master", reply("ERR " + keyElsewhere)},
		{"the caller leaves", func(h *hedged) {
			h.ends(h.second, redis.Nil)
			h.cancel()
			synctest.Wait()
		}, "master", context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(x *world) {
				h := x.hedgedRead()
				c.happens(h)
				if !h.returned {
					t.Fatal("it has not returned")
				}
				if !errors.Is(h.err, c.err) {
					t.Errorf("got %v, want %v", h.err, c.err)
				}
				want := map[string]redis.Cmder{"master": h.first.cmd, "replica": h.second.cmd}[c.from]
				if h.cmd != want || h.r.terms.FromReplica() != (c.from == "replica") {
					t.Errorf("got the answer %v, from a replica %t", h.cmd, h.r.terms.FromReplica())
				}
			})
		})
	}
}

// While the master is well, a replica's answer for want of a key waits for it, and nothing else ends the wait.
func TestRaceWaitsForTheMaster(t *testing.T) {
	inWorld(t, func(x *world) {
		h := x.hedgedRead()
		h.ends(h.second, redis.Nil)
		h.proves()
		h.falls("r3", down)
		if h.returned {
			t.Errorf("got %v, %v before the master has answered", h.cmd, h.err)
		}
		if !x.w.urgedAt.Equal(h.r.lackingAt) || h.r.lackingAt.IsZero() {
			t.Error("the proof is not looked for meanwhile")
		}
		h.finds(h.first, "v")
	})
}

// What a replica of one shard lacked is not the answer once the slot is another shard's: its proof would be about others.
func TestLackIsForgottenWithItsShard(t *testing.T) {
	inWorld(t, func(x *world) {
		ctx := x.t.Context()
		answer := func(rest ...any) *attempt {
			a := newAttempt(ctx, redis.NewCmd(ctx, "evalsha_ro"))
			a.cmd.(*redis.Cmd).SetVal(rest)
			a.finish(nil)
			return a
		}
		time.Sleep(time.Millisecond)
		r := &reading{client: x.c, ctx: ctx, terms: new(Terms)}
		part, all := answer("what was left"), answer("everything")
		if _, err := r.fromReplica(x.shard("m1"), 0, part); !errors.Is(err, errMaybeMoving) {
			t.Fatalf("without a proof: %v", err)
		}
		for range 2 {
			time.Sleep(time.Millisecond)
			for _, m := range []string{"m1", "m2", "m3"} {
				x.answers(m, 0, func(a *received) {
					a.view = changed(a.view, "m1", func(n *view.Node) { n.Ranges = []view.SlotRange{{First: 1, Last: 5460}} })
					a.view = changed(a.view, "m2", func(n *view.Node) { n.Ranges = []view.SlotRange{{First: 0, Last: 0}, {First: 5461, Last: 10922}} })
				})
			}
			got, err := r.fromReplica(x.shard("m2"), 0, all)
			if err == nil && got != all.cmd {
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
