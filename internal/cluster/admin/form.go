package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/sessiond/sessiond/internal/cluster/rights"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A Layout lists the nodes of one shard to be formed: its master and its replicas, as host:port.
type Layout struct {
	Master   string
	Replicas []string
}

// Form makes a cluster of the shards' nodes, with an even share of the slots for each, waits until the cluster serves, and
// then fails if a replica shares its master's VM. It may be called again at any time. A half-formed cluster is completed. A
// complete one is only waited for and checked, whichever nodes are masters by then.
func (c *Client) Form(ctx context.Context, shards []Layout, log *slog.Logger) error {
	f := &former{client: c, shards: shards, log: log, ids: map[string]string{}}
	steps := []struct {
		what string
		done func(context.Context) error
	}{
		{"every node answers", f.answering},
		{"every slot has a master", f.assigned},
		{"every node knows every other", f.met},
		{"every replica has its master", f.replicating},
		{"every node sees all slots covered", f.covered},
		{"every replica is in step", f.inStep},
		{"every node knows every master's replica", f.replicated},
		{"the masters know that there was no election", f.sealed},
	}
	for _, s := range steps {
		if err := until(ctx, s.done); err != nil {
			return fmt.Errorf("waiting until %s: %w", s.what, err)
		}
		log.Info("cluster: " + s.what)
	}
	v, err := c.Look(ctx)
	if err != nil {
		return err
	}
	return v.CheckPlacement()
}

// former makes a cluster step by step. Each step does what is missing, and fails until nothing is missing.
type former struct {
	client *Client
	shards []Layout
	log    *slog.Logger
	ids    map[string]string // node ID by address, as the node reports it
	formed bool              // all slots had a master at the start, so none is assigned
}

func (f *former) addrs() []string {
	var addrs []string
	for _, s := range f.shards {
		addrs = append(append(addrs, s.Master), s.Replicas...)
	}
	return addrs
}

// self returns a node's view and its own line in it.
func (f *former) self(ctx context.Context, addr string) (view.View, view.Node, error) {
	a, err := f.client.askOne(ctx, addr)
	if err != nil {
		return view.View{}, view.Node{}, err
	}
	if me, ok := a.View.Self(); ok {
		return a.View, me, nil
	}
	return view.View{}, view.Node{}, fmt.Errorf("%s does not list itself", addr)
}

func (f *former) answering(ctx context.Context) error {
	for _, addr := range f.addrs() {
		v, me, err := f.self(ctx, addr)
		if err != nil {
			return err
		}
		f.ids[addr] = me.ID
		f.formed = f.formed || v.Assigned() == view.Slots
	}
	return nil
}

// assigned gives every master without slots its share.
func (f *former) assigned(ctx context.Context) error {
	if f.formed {
		return nil
	}
	for i, s := range f.shards {
		v, me, err := f.self(ctx, s.Master)
		if err != nil {
			return err
		}
		if me.Slots > 0 {
			continue
		}
		rdb := f.client.questions(s.Master)
		if len(v.Nodes) == 1 && me.Epoch == 0 {
			// Masters with equal epochs resolve the conflict themselves, but only after they have met.
			if err := rdb.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
				return fmt.Errorf("%s: SET-CONFIG-EPOCH: %w", s.Master, err)
			}
		}
		first, last := i*view.Slots/len(f.shards), (i+1)*view.Slots/len(f.shards)-1
		if err := rdb.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			return fmt.Errorf("%s: ADDSLOTSRANGE %d %d: %w", s.Master, first, last, err)
		}
	}
	return nil
}

// met introduces the first node to all others; gossip does the rest.
func (f *former) met(ctx context.Context) error {
	var missing []string
	for i, addr := range f.addrs() {
		v, _, err := f.self(ctx, addr)
		if err != nil {
			return err
		}
		for _, other := range f.addrs() {
			if n, ok := v.Node(f.ids[other]); !ok || n.Health == view.Handshake {
				missing = append(missing, addr+" does not know "+other)
				if i == 0 {
					if err := f.meet(ctx, addr, other); err != nil {
						return err
					}
				}
			}
		}
	}
	if len(missing) > 0 {
		return errors.New(strings.Join(missing, ", "))
	}
	return nil
}

// meet introduces a node by its IP address, because CLUSTER MEET takes no host names.
func (f *former) meet(ctx context.Context, from, to string) error {
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		return err
	}
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return err
	}
	if err := f.client.questions(from).ClusterMeet(ctx, ips[0], port).Err(); err != nil {
		return fmt.Errorf("%s: MEET %s: %w", from, to, err)
	}
	return nil
}

// replicating makes every node of a shard a replica of the node that owns its slots. After a failover, that is not the
// master of the layout.
func (f *former) replicating(ctx context.Context) error {
	for _, s := range f.shards {
		nodes := map[string]view.Node{}
		var owner string
		for _, addr := range append([]string{s.Master}, s.Replicas...) {
			_, me, err := f.self(ctx, addr)
			if err != nil {
				return err
			}
			nodes[addr] = me
			if me.Master && me.Slots > 0 {
				owner = addr
			}
		}
		if owner == "" {
			return fmt.Errorf("no node in the shard of %s owns slots", s.Master)
		}
		for addr, me := range nodes {
			if addr == owner || me.MasterID == nodes[owner].ID {
				continue
			}
			if err := f.client.questions(addr).ClusterReplicate(ctx, nodes[owner].ID).Err(); err != nil {
				return fmt.Errorf("%s: REPLICATE %s: %w", addr, owner, err)
			}
		}
	}
	return nil
}

func (f *former) covered(ctx context.Context) error {
	for _, addr := range f.addrs() {
		v, _, err := f.self(ctx, addr)
		if err != nil {
			return err
		}
		if covered := v.Covered(); covered < view.Slots {
			return fmt.Errorf("%s sees %d of %d slots covered", addr, covered, view.Slots)
		}
	}
	return nil
}

func (f *former) inStep(ctx context.Context) error {
	for _, addr := range f.addrs() {
		_, me, err := f.self(ctx, addr)
		if err != nil {
			return err
		}
		a, err := f.client.askOne(ctx, addr)
		if err != nil {
			return err
		}
		if !me.Master && !a.Replication.LinkUp {
			return fmt.Errorf("%s has no link to its master", addr)
		}
	}
	return nil
}

// replicated waits for gossip, by which a node learns the role of a new replica later than its existence.
func (f *former) replicated(ctx context.Context) error {
	for _, addr := range f.addrs() {
		v, _, err := f.self(ctx, addr)
		if err != nil {
			return err
		}
		if bare := v.WithoutReplica(); len(bare) > 0 {
			return fmt.Errorf("%s knows no replica of %s", addr, bare[0].Addr)
		}
	}
	return nil
}

// sealed leaves word at the masters of a new cluster that nobody has stood for election yet, so that an instance may lease a
// replica at once. Of a cluster that was there before, the instances find out themselves. All nodes must know the same
// epoch: one that lags could still stand in a later one's place.
func (f *former) sealed(ctx context.Context) error {
	if f.formed {
		return nil
	}
	v, said, err := f.client.look(ctx)
	if err != nil {
		return err
	}
	epoch := said[f.addrs()[0]].Epoch
	for _, addr := range f.addrs() {
		if a := said[addr]; a.Err != nil || a.Epoch != epoch {
			return fmt.Errorf("%s knows epoch %d, the first node %d", addr, a.Epoch, epoch)
		}
	}
	council := rights.New(nil)
	council.Follow(v, f.client.peers.At)
	council.Account(epoch)
	return council.Found(ctx)
}

// ParseLayout parses "master,replica,...", each as host:port.
func ParseLayout(s string) (Layout, error) {
	addrs := strings.Split(s, ",")
	for _, a := range addrs {
		if err := view.CheckAddr(a); err != nil {
			return Layout{}, err
		}
	}
	return Layout{Master: addrs[0], Replicas: addrs[1:]}, nil
}
