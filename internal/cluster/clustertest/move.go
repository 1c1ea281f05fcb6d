package clustertest

import (
	"cmp"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// MoveSlots moves n slots of a master, those with keys first, to another master with all their keys, as redis-cli
// --cluster reshard does, while the cluster serves. It returns when both know. A slot takes some 10 ms: every step is
// synced to the nodes' disks.
func (r *Real) MoveSlots(t testing.TB, from, to string, n int) {
	t.Helper()
	slots := r.self(t, from).slots()
	if len(slots) < n {
		t.Fatalf("%s has %d slots", from, len(slots))
	}
	way := r.wayBetween(t, from, to)
	for _, slot := range fullestFirst(t, way.source, slots)[:n] {
		m := way.begin(t, slot)
		for keys := m.Keys(t); len(keys) > 0; keys = m.Keys(t) {
			m.Migrate(t, keys...)
		}
		m.End(t)
	}
}

// A Move moves a slot from one master to another, step by step.
type Move struct {
	*way
	slot int
}

// BeginMove marks a slot as being moved (CLUSTER SETSLOT IMPORTING, MIGRATING). Its keys stay where they are.
func (r *Real) BeginMove(t testing.TB, from, to string, slot int) *Move {
	t.Helper()
	return r.wayBetween(t, from, to).begin(t, slot)
}

// Keys returns some of the slot's keys that have not moved yet.
func (m *Move) Keys(t testing.TB) []string {
	t.Helper()
	keys, err := m.source.ClusterGetKeysInSlot(t.Context(), m.slot, 100).Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Migrate moves some keys in one step (MIGRATE).
func (m *Move) Migrate(t testing.TB, keys ...string) {
	t.Helper()
	args := []any{"MIGRATE", m.host, m.port, "", 0, 5000, "KEYS"}
	for _, k := range keys {
		args = append(args, k)
	}
	must(t, m.source, args...)
}

// End gives the slot to its new master. The target comes first: if the source gave the slot away first, nobody would own it
// for a moment.
func (m *Move) End(t testing.TB) {
	t.Helper()
	for _, rdb := range []*redis.Client{m.target, m.source} {
		must(t, rdb, "CLUSTER", "SETSLOT", m.slot, "NODE", m.targetID)
	}
}

// A way leads from one master to another.
type way struct {
	source, target     *redis.Client
	sourceID, targetID string
	host, port         string // the target's
}

func (r *Real) wayBetween(t testing.TB, from, to string) *way {
	t.Helper()
	other := r.self(t, to)
	if len(other.ranges) == 0 {
		t.Fatalf("%s is no master with slots", to)
	}
	w := &way{source: r.at(t, from), target: r.at(t, to), sourceID: r.self(t, from).id, targetID: other.id}
	w.host, w.port, _ = net.SplitHostPort(r.Addr(t, to))
	r.poll(t, to+" takes keys", func() bool { // a master that has just come refuses them for a moment
		info, err := w.target.ClusterInfo(t.Context()).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok")
	})
	return w
}

func (w *way) begin(t testing.TB, slot int) *Move {
	t.Helper()
	must(t, w.target, "CLUSTER", "SETSLOT", slot, "IMPORTING", w.sourceID)
	must(t, w.source, "CLUSTER", "SETSLOT", slot, "MIGRATING", w.targetID)
	return &Move{w, slot}
}

func must(t testing.TB, rdb *redis.Client, args ...any) {
	t.Helper()
	if err := rdb.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

// Slot returns the slot of a key (CLUSTER KEYSLOT).
func (r *Real) Slot(t testing.TB, key string) int {
	t.Helper()
	rdb := r.single(r.nodes[0])
	defer rdb.Close()
	slot, err := rdb.ClusterKeySlot(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return int(slot)
}

// fullestFirst sorts slots by the number of their keys, the largest first.
func fullestFirst(t testing.TB, rdb *redis.Client, slots []int) []int {
	t.Helper()
	counts := map[int]int64{}
	cmds, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for _, slot := range slots {
			p.ClusterCountKeysInSlot(t.Context(), slot)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, cmd := range cmds {
		counts[slots[i]] = cmd.(*redis.IntCmd).Val()
	}
	slices.SortStableFunc(slots, func(a, b int) int { return cmp.Compare(counts[b], counts[a]) })
	return slots
}
