package cluster

import "testing"

func TestAchievedIsTheWeakest(t *testing.T) {
	for _, c := range []struct {
		wrote []Durability
		want  Durability
	}{
		{nil, ""},
		{[]Durability{Replicated}, Replicated},
		{[]Durability{Replicated, Single, Replicated}, Single},
		{[]Durability{Single, Async}, Async},
		{[]Durability{Async, Single, Replicated}, Async},
	} {
		terms := new(Terms)
		for _, d := range c.wrote {
			terms.Wrote(d)
		}
		if got := terms.Achieved(); got != c.want {
			t.Errorf("%v: got %q, want %q", c.wrote, got, c.want)
		}
	}
}

// A caller that asks for nothing passes nil.
func TestNoTerms(t *testing.T) {
	var none *Terms
	none.Wrote(Async)
	none.ReadReplica()
	if none.durability() != "" || none.masterOnly() || none.Achieved() != "" || none.FromReplica() {
		t.Error("no terms ask for something, or got something")
	}
}

func TestScriptDurability(t *testing.T) {
	plain, loose := NewScript("return {}"), NewScript("return {}").Loosely()
	if plain.sha != loose.sha || plain.sha != "f445f2ef3277f22bbc3618df5823e173de8a50d1" {
		t.Errorf("digests %s and %s", plain.sha, loose.sha)
	}
	for _, c := range []struct {
		script          *Script
		asked, standard Durability
		want            Durability
	}{
		{plain, "", Replicated, Replicated},
		{plain, "", Async, Async},
		{plain, Strict, Replicated, Strict},
		{plain, Async, Replicated, Async},
		{loose, "", Replicated, Async},
		{loose, "", Strict, Async},
		{loose, Replicated, Async, Replicated},
		{loose, Strict, Replicated, Strict},
	} {
		if got := c.script.durability(c.asked, c.standard); got != c.want {
			t.Errorf("loose %t, asked %q, standard %q: got %q", c.script.loose, c.asked, c.standard, got)
		}
	}
}
