package cluster

import (
	"context"
	"testing"
)

func TestOutcomeIsTheWeakest(t *testing.T) {
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
		o := new(Outcome)
		for _, d := range c.wrote {
			o.Wrote(d)
		}
		if got := o.Durability(); got != c.want {
			t.Errorf("%v: got %q, want %q", c.wrote, got, c.want)
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	ctx, o := WithTerms(t.Context(), Terms{Durability: Strict, MasterOnly: true})
	OutcomeOf(ctx).ReadReplica()
	OutcomeOf(ctx).Wrote(Single)
	if !o.Replica() || o.Durability() != Single || o.Terms() != (Terms{Strict, true}) {
		t.Errorf("got %t, %q, %+v", o.Replica(), o.Durability(), o.Terms())
	}
	bare := OutcomeOf(context.Background())
	bare.Wrote(Async)
	if bare.Terms() != (Terms{}) || OutcomeOf(context.Background()).Durability() != "" {
		t.Error("contexts without terms share an outcome")
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
