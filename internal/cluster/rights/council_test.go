package rights

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A hall is a council whose registers answer what the test says. Its clock is synctest's.
type hall struct {
	*Council
	t     *testing.T
	says  map[string]Verdict // by register; Granted if none
	takes map[string]time.Duration
	seal  seal // of all registers
	asked []request
	peers *peer.Set
}

func inHall(t *testing.T, test func(*hall)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &hall{Council: New(nil), seal: unsealed, t: t, says: map[string]Verdict{}, takes: map[string]time.Duration{}, peers: peer.NewSet(peer.Access{}, nil, peer.Hooks{})}
		defer h.peers.Close()
		h.ask = func(ctx context.Context, r Register, q request) (answer, error) {
			h.mu.Lock()
			h.asked = append(h.asked, q)
			a := answer{verdict: Granted, seal: h.seal}
			if v, ok := h.says[r.ID]; ok {
				a.verdict = v
			}
			takes := h.takes[r.ID]
			h.mu.Unlock()
			time.Sleep(takes)
			return a, ctx.Err()
		}
		h.follow(1, "m1", "m2", "m3")
		test(h)
		synctest.Wait()
		time.Sleep(time.Minute) // rounds end
	})
}

// follow adopts masters with a replica each, whose epochs begin at first.
func (h *hall) follow(first int64, masters ...string) {
	var v view.View
	for i, id := range masters {
		v.Nodes = append(v.Nodes, view.Node{ID: id, Addr: id + ":1", Master: true, Epoch: first + int64(i), Slots: 1, Ranges: []view.SlotRange{{First: i, Last: i}}})
		v.Nodes = append(v.Nodes, view.Node{ID: "r" + id, MasterID: id})
	}
	h.Follow(v, h.peers.At)
}

// A round returns as soon as enough have granted it. What the test changes afterwards must wait until all have been asked.
func (h *hall) mark() Verdict {
	defer synctest.Wait()
	return h.markBesideOthers()
}

func (h *hall) markBesideOthers() Verdict {
	return reasonOf(h.Mark(h.t.Context(), "m1", []string{"r1"}))
}

func (h *hall) lease() Verdict {
	if !h.Due("r1") {
		return ""
	}
	return h.leaseBy(Evidence{Asked: time.Now(), Offset: 7, Master: "m1"})
}

func (h *hall) leaseBy(shows Evidence) Verdict {
	defer synctest.Wait()
	return reasonOf(h.Lease(h.t.Context(), "r1", shows))
}

func reasonOf(err error) Verdict {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Reason
	}
	if err != nil {
		return Verdict(err.Error())
	}
	return Granted
}

// A majority must grant, in one round, and in time.
func TestQuorum(t *testing.T) {
	for _, c := range []struct {
		name string
		hall func(*hall)
		want Verdict
	}{
		{"all grant", func(*hall) {}, Granted},
		{"two of three grant", func(h *hall) { h.says["m3"] = Leased }, Granted},
		{"one of three grants", func(h *hall) { h.says["m2"], h.says["m3"] = Leased, Unvouched }, Leased},
		{"one is silent", func(h *hall) { h.takes["m1"] = 10 * time.Second }, Granted},
		{"two are silent", func(h *hall) { h.takes["m1"], h.takes["m2"] = 10*time.Second, 10*time.Second }, Silent},
		{"two are late", func(h *hall) { h.takes["m1"], h.takes["m2"] = roundLimit, roundLimit }, Silent},
		{"they are just in time", func(h *hall) { h.takes["m1"], h.takes["m2"] = roundLimit-1, roundLimit-1 }, Granted},
		{"two have voted for somebody unknown", func(h *hall) { h.says["m1"], h.says["m2"] = Epoch, Epoch }, Epoch},
		{"the clocks of two were set", func(h *hall) {
			h.Stepped("m1")
			h.Stepped("m2")
		}, Stepped},
		{"long ago", func(h *hall) {
			h.Stepped("m1")
			h.Stepped("m2")
			time.Sleep(forgottenLasts(15 * time.Second))
		}, Granted},
		{"one that is down is not asked", func(h *hall) { h.peers.At("m1:1").Stage(peer.Staged{State: peer.Down}) }, Granted},
	} {
		t.Run(c.name, func(t *testing.T) {
			inHall(t, func(h *hall) {
				c.hall(h)
				if got := h.mark(); got != c.want {
					t.Errorf("a mark: %s", got)
				}
				if got := h.lease(); got != c.want {
					t.Errorf("a lease: %s", got)
				}
			})
		})
	}
}

// A lease ends for its holder long before it ends at the registers, counted from before it was asked for.
func TestHolds(t *testing.T) {
	inHall(t, func(h *hall) {
		if _, ok := h.Holds("r1"); ok {
			t.Error("a lease that nobody has granted")
		}
		h.takes["m1"], h.takes["m2"], h.takes["m3"] = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
		if got := h.lease(); got != Granted {
			t.Fatal(got)
		}
		if shows, ok := h.Holds("r1"); !ok || shows.Offset != 7 {
			t.Errorf("got %+v, %t", shows, ok)
		}
		time.Sleep(heldFor - 100*time.Millisecond - 1)
		if _, ok := h.Holds("r1"); !ok {
			t.Error("it has ended too soon")
		}
		time.Sleep(time.Nanosecond)
		if _, ok := h.Holds("r1"); ok {
			t.Error("it has not ended")
		}
	})
}

// A lease is asked for again once a quarter of it has passed, and after a refusal a little later. Two rounds do not overlap.
func TestDue(t *testing.T) {
	inHall(t, func(h *hall) {
		if !h.Due("r1") || h.Due("r1") {
			t.Error("nobody has asked yet; then somebody has")
		}
		if got := h.leaseBy(Evidence{Asked: time.Now(), Master: "m1"}); got != Granted || h.Due("r1") {
			t.Errorf("%s; or due at once", got)
		}
		if time.Sleep(leaseLasts / 4); !h.Due("r1") {
			t.Error("not due after a quarter of its time")
		}
		h.says["m1"], h.says["m2"] = Marked, Marked
		if got := h.leaseBy(Evidence{Asked: time.Now(), Master: "m1"}); got != Marked || h.Refused("r1") != Marked || h.Due("r1") {
			t.Errorf("%s; refused for %q; or due at once", got, h.Refused("r1"))
		}
		if time.Sleep(refusedAgain); !h.Due("r1") {
			t.Error("not due after a refusal")
		}
	})
}

// The age of an evidence is never understated: clocks differ in speed, and the request is on its way.
func TestAge(t *testing.T) {
	inHall(t, func(h *hall) {
		h.Due("r1")
		evidence := Evidence{Asked: time.Now(), Master: "m1"}
		time.Sleep(10 * time.Second)
		if got := h.leaseBy(evidence); got != Granted {
			t.Fatal(got)
		}
		want := milliseconds(11*time.Second + roundLimit)
		if got := h.asked[0].args[1]; got != want {
			t.Errorf("got %v, want %d", got, want)
		}
		time.Sleep(evidenceLasts)
		if got := h.leaseBy(evidence); got != Marked {
			t.Errorf("evidence older than what registers remember: %s", got)
		}
	})
}

// Evidence of a master that has been replaced says nothing of what its successor has acknowledged.
func TestEvidenceOfAFormerMaster(t *testing.T) {
	inHall(t, func(h *hall) {
		h.Due("r1")
		evidence := Evidence{Asked: time.Now(), Master: "m1"}
		h.follow(1, "x1", "m2", "m3")
		if got := h.leaseBy(evidence); got != Elsewhere || len(h.asked) > 0 {
			t.Errorf("%s, after %d requests", got, len(h.asked))
		}
	})
}

// A mark speaks for what was executed before its round began. Whoever comes later gets a round of its own, shared by all who
// wait for it.
func TestMarksShareRounds(t *testing.T) {
	inHall(t, func(h *hall) {
		for _, m := range []string{"m1", "m2", "m3"} {
			h.takes[m] = 10 * time.Millisecond
		}
		results := make(chan Verdict, 11)
		go func() { results <- h.markBesideOthers() }()
		synctest.Wait()
		time.Sleep(time.Millisecond)
		for range 10 {
			go func() { results <- h.markBesideOthers() }()
		}
		for range 11 {
			if got := <-results; got != Granted {
				t.Error(got)
			}
		}
		synctest.Wait()
		if rounds := len(h.asked) / 3; rounds != 2 {
			t.Errorf("%d rounds", rounds)
		}
	})
}

// After the masters have changed, the former and the new ones must grant.
func TestFormerMasters(t *testing.T) {
	inHall(t, func(h *hall) {
		h.follow(1, "m1", "x2", "m3")
		h.says["m3"] = Leased
		if got := h.mark(); got != Leased {
			t.Errorf("m1 and x2 are no majority of the former masters: %s", got)
		}
		delete(h.says, "m3")
		if got := h.mark(); got != Granted {
			t.Errorf("m1 and m3 are a majority of both: %s", got)
		}
		h.says["m3"] = Epoch
		time.Sleep(forgottenLasts(15*time.Second) + 1)
		if !h.MustOpen() {
			t.Error("nobody asks whether the former masters can be forgotten")
		}
		h.Open(h.t.Context())
		if got := h.mark(); got != Epoch {
			t.Errorf("the former masters were forgotten, although a majority of them may have voted for somebody unknown: %s", got)
		}
		delete(h.says, "m3")
		if time.Sleep(openAgain); !h.AskFormers() {
			t.Error("nobody says that the former masters count")
		}
		if err := h.Open(h.t.Context()); err != nil || h.MustOpen() || h.AskFormers() {
			t.Errorf("%v, or still to be opened", err)
		}
		h.says["m3"] = Leased
		if got := h.mark(); got != Granted {
			t.Errorf("m1 and x2 are a majority of the masters: %s", got)
		}
	})
}

// A former master that is a replica by now is not asked as a register. Its word for its epoch, to anybody, counts as well.
func TestFormerMastersThatAreReplicas(t *testing.T) {
	inHall(t, func(h *hall) {
		h.Account(4)
		h.follow(1, "x1", "m2", "m3")
		h.follow(1, "x1", "x2", "m3")
		h.Hear("m2", 4, time.Now())
		time.Sleep(forgottenLasts(15*time.Second) + 1)
		if err := h.Open(h.t.Context()); err != nil {
			t.Error(err)
		}
		if got := h.mark(); got == Granted {
			t.Error("m1 and m2 have not been heard since, and m3 is no majority of the former masters")
		}
		if h.Hear("m2", 5, time.Now()); h.mark() == Granted {
			t.Error("m2 may have voted for somebody unknown")
		}
		if h.Hear("m2", 4, time.Now()); h.mark() != Granted {
			t.Error("m2 and m3 have voted for nobody unknown: the former masters still count")
		}
	})
}

// Who learns from a seal of other masters goes by those too, and leaves no seal meanwhile.
func TestLearningFromFormerMasters(t *testing.T) {
	inHall(t, func(h *hall) {
		h.seal = seal{3, map[string]int64{"m1": 1, "x2": 2, "m3": 3}, nil}
		if err := h.Open(h.t.Context()); err != nil || h.Accounted() != -1 {
			t.Fatalf("%v; our masters are none of the seal's, and it was believed", err)
		}
		h.Council.Follow(view.View{Nodes: []view.Node{
			{ID: "m1", Addr: "m1:1", Master: true, Slots: 1, Epoch: 1, Ranges: []view.SlotRange{{First: 0, Last: 0}}},
			{ID: "m2", Addr: "m2:1", Master: true, Slots: 1, Epoch: 4, Ranges: []view.SlotRange{{First: 1, Last: 1}}},
			{ID: "m3", Addr: "m3:1", Master: true, Slots: 1, Epoch: 3, Ranges: []view.SlotRange{{First: 2, Last: 2}}},
			{ID: "r", MasterID: "m1"},
		}}, h.peers.At)
		if err := h.Open(h.t.Context()); err != nil || h.Accounted() != 4 {
			t.Fatalf("%v; accounted for %d", err, h.Accounted())
		}
		h.asked = nil
		h.says["m3"] = Leased
		if got := h.mark(); got != Leased || h.asked[0].seals {
			t.Errorf("m1 and m2 are no majority of the masters of the seal: %s; seals %t", got, h.asked[0].seals)
		}
	})
}

// What begins anew must be opened, and again if it did not answer. Where nobody has a replica, there is nothing to grant.
func TestMustOpen(t *testing.T) {
	inHall(t, func(h *hall) {
		if !h.MustOpen() || h.MustOpen() {
			t.Error("the first masters must be opened, once")
		}
		h.takes["m2"] = 10 * time.Second
		if err := h.Open(h.t.Context()); err == nil {
			t.Error("one has not answered")
		}
		if time.Sleep(openAgain); !h.MustOpen() {
			t.Error("nobody asks it again")
		}
		delete(h.takes, "m2")
		if err := h.Open(h.t.Context()); err != nil {
			t.Error(err)
		}
		if time.Sleep(openAgain); h.MustOpen() {
			t.Error("all is well")
		}
		if h.Meet("m2", "another process", time.Second); !h.MustOpen() {
			t.Error("a register that has restarted must be opened")
		}
		h.Follow(view.View{Nodes: []view.Node{{ID: "m1", Addr: "m1:1", Master: true, Slots: 1, Ranges: []view.SlotRange{{}}}}}, h.peers.At)
		if time.Sleep(openAgain); h.MustOpen() {
			t.Error("a master without replicas is asked")
		}
	})
}

func TestKey(t *testing.T) {
	for _, slot := range []int{0, 1, 5461, 10923, 16383} {
		if got := view.Slot(key(slot)); got != slot {
			t.Errorf("the key for slot %d is in %d", slot, got)
		}
	}
}

func TestRefusalTellsTheFirstReason(t *testing.T) {
	got := tally{verdicts: map[string]Verdict{"a": Silent, "b": Marked, "c": Young}, sets: [][]string{{"a", "b", "c"}}}.refusal()
	if reasonOf(got) != Marked || !slices.Contains(Verdicts, Marked) {
		t.Errorf("got %v", got)
	}
}
