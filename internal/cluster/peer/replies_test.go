package peer

import (
	"errors"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/polltest"
)

// shut is a node that lets nobody in.
func shut(t *testing.T) *miniredis.Miniredis {
	m := miniredis.RunT(t)
	m.RequireAuth("another")
	return m
}

// A connection that the node does not let in sends nothing: no command has an answer, not even an empty one.
func TestRefusedConnectionIsNoAnswer(t *testing.T) {
	m := shut(t)
	set := NewSet(Access{Password: "secret"}, NewMetrics(nil), Hooks{})
	defer set.Close()
	p := set.At(m.Addr())
	p.Carry(set.NewClient(m.Addr(), &redis.Options{Addr: m.Addr(), Password: "secret", MaxRetries: -1}))
	for name, queue := range map[string]func(*Attempt){"read": p.Read, "read of a replica": p.ReadAsReplica, "write": p.Write} {
		a := NewAttempt(t.Context(), redis.NewStringCmd(t.Context(), "get", "k"))
		queue(a)
		err, inDoubt := a.Wait()
		if err == nil || inDoubt || !Transient(err) || !IsRefusal(err) || !errors.Is(Translate(err), ErrRefused) {
			t.Errorf("%s: got %q, %v, in doubt %t", name, a.Cmd.(*redis.StringCmd).Val(), err, inDoubt)
		}
	}
}

// A node that lets no question in is ill, until it does.
func TestRefusingNodeIsIll(t *testing.T) {
	m := shut(t)
	set := NewSet(Access{Password: "secret"}, nil, Hooks{})
	defer set.Close()
	p := set.At(m.Addr())
	ask := func() State {
		_, err := p.Probe(t.Context())
		if (err == nil) != (p.refusedFor() == 0) {
			t.Errorf("%v, and the node has refused for %s", err, p.refusedFor())
		}
		s, _ := p.Assess()
		return s
	}
	if s := ask(); s != Suspect {
		t.Errorf("at once: it is %s", s)
	}
	polltest.Eventually(t, "it is down", func() bool { return ask() == Down })
	m.RequireAuth("secret")
	polltest.Eventually(t, "it is well", func() bool { return ask() == Well })
}

// A connection for traffic is used only if the right node answers.
func TestAnotherNodeIsNotUsed(t *testing.T) {
	for _, c := range []struct {
		name string
		may  bool
		want bool
	}{{"the right one", true, true}, {"another", false, false}} {
		s, answer := fakeNode(t)
		answer("HELLO", "-ERR unknown command")
		answer("CLIENT", "+OK")
		answer("CLUSTER", "+m1")
		answer("GET", "+the value")
		set := NewSet(Access{}, nil, Hooks{MayBe: func(addr, id string) bool {
			if addr != s || id != "m1" {
				t.Errorf("asked of %s at %s", id, addr)
			}
			return c.may
		}})
		defer set.Close()
		p := set.At(s)
		p.Carry(set.NewClient(s, &redis.Options{Addr: s, MaxRetries: -1}))
		a := NewAttempt(t.Context(), redis.NewStringCmd(t.Context(), "get", "k"))
		p.Read(a)
		if err, inDoubt := a.Wait(); (err == nil) != c.want || inDoubt || err != nil && (!errors.Is(err, ErrOther) || !Transient(err)) {
			t.Errorf("%s: got %v, in doubt %t", c.name, err, inDoubt)
		}
	}
}
