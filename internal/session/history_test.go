package session_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// The history of concurrent operations on sessions must have an order that a single-threaded session could have seen
// (porcupine), while the network loses answers and writes are sent again.

func TestHistoryEmbedded(t *testing.T) {
	lossy := &clustertest.Lossy{Match: []byte("evalsha")}
	_, store := embedded(t, cluster.Config{Access: peer.Access{Dial: lossy.Dial}})
	checkHistory(t, store, lossy)
}

func TestHistoryOnRealCluster(t *testing.T) {
	config := clustertest.Shared(t).Config()
	lossy := &clustertest.Lossy{Match: []byte("evalsha"), Base: config.Dial}
	config.Dial = lossy.Dial
	client := cluster.New(config)
	t.Cleanup(func() { client.Close() })
	checkHistory(t, newStore(t, client, time.Now), lossy)
}

type opKind int

const (
	opCreate opKind = iota
	opGet
	opReplace
	opGuarded // replace on condition of a version
	opDelete
	opKinds
)

type input struct {
	session int
	kind    opKind
	value   string
	guard   uint64
}

type output struct {
	value   string
	version uint64
	err     error // nil, or one of the store's own; anything else is an unknown outcome
}

// register is the model of a session: it never existed, is live at a version, or was revoked.
type register struct {
	life    int // 0 absent, 1 live, 2 revoked
	value   string
	version uint64
}

var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[int][]porcupine.Operation{}
		for _, op := range history {
			i := op.Input.(input).session
			parts[i] = append(parts[i], op)
		}
		var all [][]porcupine.Operation
		for _, p := range parts {
			all = append(all, p)
		}
		return all
	},
	Init: func() any { return register{} },
	Step: func(state, in, out any) (bool, any) { return step(state.(register), in.(input), out.(output)) },
}

func step(s register, in input, out output) (bool, register) {
	want := output{err: session.ErrNotFound}
	next := s
	switch {
	case in.kind == opCreate && s.life == 1:
		want.err = session.ErrExists
	case in.kind == opCreate && s.life == 2:
		want.err = session.ErrRevoked
	case in.kind == opCreate:
		next = register{1, in.value, 1}
		want = output{in.value, 1, nil}
	case in.kind == opDelete:
		next, want = register{life: 2}, output{}
	case s.life != 1:
	case in.kind == opGet:
		want = output{s.value, s.version, nil}
	case in.kind == opGuarded && in.guard != s.version:
		want.err = session.ErrConflict
	default:
		next = register{1, in.value, s.version + 1}
		want = output{in.value, next.version, nil}
	}
	return errors.Is(out.err, want.err) && out.value == want.value && out.version == want.version, next
}

// checkHistory runs rounds of concurrent operations on several sessions. A record remembers four writes, so that a retry is
// recognised behind at most three others. Therefore a round of four writers ends before the next begins.
func checkHistory(t *testing.T, store session.Store, lossy *clustertest.Lossy) {
	const sessions, writers, rounds = 12, 4, 25
	tenant := sessiontest.Tenant(t, "history")
	var mu sync.Mutex
	var history []porcupine.Operation
	start := time.Now()
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			ref := tenant.NewRef("")
			random := rand.New(rand.NewPCG(uint64(i), 1))
			var seen session.Stamp // of the last round
			for round := range rounds {
				if random.IntN(3) == 0 {
					lossy.LoseNext(1)
				}
				stamps := make([]session.Stamp, writers)
				var writing sync.WaitGroup
				for w := range writers {
					in := input{session: i, kind: opKind(random.IntN(int(opKinds))), value: fmt.Sprintf(`"%d-%d"`, w, round), guard: seen.Version}
					if in.kind == opDelete && random.IntN(8) > 0 {
						in.kind = opReplace // most sessions should live for a while
					}
					writing.Go(func() {
						call := time.Since(start)
						s, err := perform(t.Context(), store, ref, in, seen)
						done := time.Since(start)
						stamps[w] = s.Stamp()
						mu.Lock()
						defer mu.Unlock()
						history = append(history, porcupine.Operation{
							ClientId: i*writers + w, Input: in, Call: int64(call), Return: int64(done),
							Output: output{string(s.Data), s.Version, err},
						})
					})
				}
				writing.Wait()
				seen = slices.MaxFunc(stamps, func(a, b session.Stamp) int { return cmp.Compare(a.Version, b.Version) })
			}
		})
	}
	wg.Wait()
	lossy.LoseNext(0)
	for _, op := range history {
		err := op.Output.(output).err
		known := slices.ContainsFunc([]error{nil, session.ErrNotFound, session.ErrExists, session.ErrRevoked, session.ErrConflict},
			func(k error) bool { return errors.Is(err, k) })
		if !known {
			t.Fatalf("an operation failed: %v", err) // answers are lost, but never until the deadline
		}
	}
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	if result := porcupine.CheckOperationsTimeout(model, history, 30*time.Second); result != porcupine.Ok {
		t.Errorf("the history of %d operations is %s", len(history), result)
	}
}

func perform(ctx context.Context, store session.Store, ref session.Ref, in input, stamp session.Stamp) (session.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	content := session.Content{Data: jsontext.Value(in.value)}
	switch in.kind {
	case opCreate:
		return store.Create(ctx, nil, ref, session.New{Content: content}, "")
	case opGet:
		return store.Peek(ctx, nil, ref)
	case opReplace:
		return store.Replace(ctx, nil, ref, content, session.TTL{}, session.Write{})
	case opGuarded:
		guard := session.Guard{Set: true, AnyOf: []session.Stamp{stamp}}
		return store.Replace(ctx, nil, ref, content, session.TTL{}, session.Write{Guard: guard})
	}
	return session.Session{}, store.Delete(ctx, nil, ref, session.Deletion{})
}
