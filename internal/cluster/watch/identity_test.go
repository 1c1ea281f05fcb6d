package watch

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// take has a node answer a question that was asked just now.
func (x *world) take(at string, v view.View, self string) {
	time.Sleep(time.Millisecond)
	v = changed(v, self, func(n *view.Node) { n.Self = true })
	x.w.Take(x.node(at), peer.Answer{Asked: time.Now(), View: v, RunID: at}, nil)
}

// foreign is another cluster at the same addresses, with higher epochs.
func foreign() view.View {
	v := threeShards()
	for i := range v.Nodes {
		n := &v.Nodes[i]
		n.ID, n.Epoch = "x"+n.ID, 99
		if n.MasterID != "" {
			n.MasterID = "x" + n.MasterID
		}
	}
	return v
}

// Another cluster's node answers at the address of one of ours: it is down, told once, and nothing it says counts.
func TestForeignNode(t *testing.T) {
	inWorld(t, func(x *world) {
		before := x.w.Topology()
		last := x.checkup("m1").last
		x.take("m1", foreign(), "xm1")
		x.take("m1", foreign(), "xm1")
		if s := x.node("m1").State(); s != peer.Down {
			t.Errorf("it is %s", s)
		}
		if x.w.Topology() != before || x.checkup("m1").last.at != last.at {
			t.Error("what it says counts")
		}
		if got := x.types(); !slices.Equal(got, []EventType{ForeignNode, NodeDown}) {
			t.Errorf("told %v", got)
		}
		x.take("m1", x.view, "m1")
		if s := x.node("m1").State(); s != peer.Well {
			t.Errorf("the right one answers, and is %s", s)
		}
	})
}

// All nodes are those of another cluster by now: the instance does not go over to it, and is not ready.
func TestForeignCluster(t *testing.T) {
	inWorld(t, func(x *world) {
		before := x.w.Topology()
		for _, n := range x.view.Nodes {
			x.take(n.ID, foreign(), "x"+n.ID)
		}
		if x.w.Topology() != before {
			t.Error("the other cluster's view was adopted")
		}
		ctx, cancel := context.WithTimeout(x.t.Context(), time.Minute)
		defer cancel()
		if _, err := x.w.Ready(ctx); !errors.Is(err, peer.ErrUnavailable) {
			t.Errorf("ready: %v", err)
		}
	})
}

// The others forget the address of a master at which another cluster's node answers. Its shard is not given up.
func TestForgottenAddress(t *testing.T) {
	inWorld(t, func(x *world) {
		before := x.shard("m1")
		lost := func(n *view.Node) { n.Addr, n.Health = ":0", view.NoAddress }
		forgotten := changed(changed(changed(x.view, "m1", lost), "r3", lost), "m2", func(n *view.Node) { n.Epoch++ })
		x.take("m2", forgotten, "m2")
		if s := x.w.Topology().At(0); s == nil || s.Master != before.Master || s.Info.Health != view.Suspected {
			t.Errorf("the shard is %+v", s)
		}
		if s := x.w.Topology().At(16383); len(s.Replicas) != 0 {
			t.Error("a replica without an address is used")
		}
		x.take("m2", promoted(forgotten, "r1"), "m2")
		if s := x.w.Topology().At(0); s.Master != x.node("r1") {
			t.Error("its replica took over, and is not used")
		}
	})
}

// A node of ours tells of another cluster: its view is told of, and not believed whatever its epoch.
func TestForeignView(t *testing.T) {
	inWorld(t, func(x *world) {
		before := x.w.Topology()
		v := foreign()
		v.Nodes = append(v.Nodes, x.view.Nodes[0])
		x.take("m1", v, "m1")
		x.take("m1", v, "m1")
		x.take("m2", x.view, "m2")
		if x.w.Topology() != before {
			t.Error("the other cluster's view was adopted")
		}
		if got := x.types(); !slices.Equal(got, []EventType{ForeignNode}) {
			t.Errorf("told %v", got)
		}
	})
}

func TestKin(t *testing.T) {
	inWorld(t, func(x *world) {
		rebuilt := func(ids ...string) view.View { // nodes that came back with other IDs
			v := threeShards()
			for _, id := range ids {
				v = changed(v, id, func(n *view.Node) { n.ID = "new-" + id })
			}
			return v
		}
		grown := threeShards()
		grown.Nodes = append(grown.Nodes, foreign().Nodes...)
		for name, c := range map[string]struct {
			view view.View
			want bool
		}{
			"the same":                         {x.view, true},
			"one node was replaced":            {rebuilt("m1"), true},
			"a VM was replaced":                {rebuilt("m1", "r2"), true},
			"half of the nodes are others":     {rebuilt("m1", "m2", "m3"), false},
			"none is the same":                 {foreign(), false},
			"the cluster has grown to twelve":  {grown, true},
			"a node that knows itself alone":   {view.View{Nodes: x.view.Nodes[:1]}, false},
			"a view without anybody":           {view.View{}, false},
			"two of six have left the cluster": {without(without(x.view, "m1"), "r2"), true},
		} {
			if got := x.w.Topology().kin(c.view); got != c.want {
				t.Errorf("%s: got %t", name, got)
			}
		}
		if !(*Topology)(nil).kin(foreign()) {
			t.Error("the first view is refused")
		}
		if unformed := x.w.place(view.View{Nodes: []view.Node{{ID: "m1", Addr: "10.0.0.1:6379", Master: true}}}, nil); !unformed.kin(foreign()) {
			t.Error("a cluster in which nobody has slots binds somebody")
		}
	})
}

func TestMayBe(t *testing.T) {
	inWorld(t, func(x *world) {
		returned := x.view // with another ID at the address of m1, whose old line is still there
		returned.Nodes = append(slices.Clone(returned.Nodes), view.Node{ID: "m1b", Addr: "10.0.0.1:6379"})
		for _, c := range []struct {
			top      *Topology
			addr, id string
			want     bool
		}{
			{x.w.Topology(), "10.0.0.1:6379", "m1", true},
			{x.w.Topology(), "10.0.0.1:6379", "m2", false},
			{x.w.Topology(), "10.0.0.99:6379", "m9", true},
			{x.w.place(returned, nil), "10.0.0.1:6379", "m1b", true},
			{nil, "10.0.0.1:6379", "anybody", true},
		} {
			if got := c.top.MayBe(c.addr, c.id); got != c.want {
				t.Errorf("%s at %s: got %t", c.id, c.addr, got)
			}
		}
	})
}

// Why a node does not answer is told once for each reason, until it answers. Mere silence has events of its own.
func TestFailureIsToldOnce(t *testing.T) {
	inWorld(t, func(x *world) {
		fails := func(why error) { x.w.Take(x.node("m1"), peer.Answer{}, why) }
		refused := errors.New("connection refused")
		for _, why := range []error{context.DeadlineExceeded, refused, refused, errors.New("x509: unknown authority"), refused} {
			fails(why)
		}
		if got := x.w.Snapshot().Nodes[0].Failure; got != "connection refused" {
			t.Errorf("the snapshot says %q", got)
		}
		x.take("m1", x.view, "m1")
		if got := x.w.Snapshot().Nodes[0].Failure; got != "" {
			t.Errorf("it answers, and the snapshot says %q", got)
		}
		fails(refused)
		told, _ := x.w.events.Since(0)
		var texts []string
		for _, ev := range told {
			if ev.Type == NodeFailing {
				texts = append(texts, ev.Text)
			}
		}
		want := []string{
			"redis-1.vm1 does not answer: connection refused",
			"redis-1.vm1 does not answer: x509: unknown authority",
			"redis-1.vm1 does not answer: connection refused",
		}
		if !slices.Equal(texts, want) {
			t.Errorf("told %q", texts)
		}
	})
}
