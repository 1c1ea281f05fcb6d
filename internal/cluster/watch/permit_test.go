package watch

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// Permission is asked for before a replica is asked, and told how that went. Without it nothing is asked.
func TestPermit(t *testing.T) {
	for _, c := range []struct {
		name   string
		permit bool // the plain request
		told   []EventType
		asked  int
	}{
		{"not permitted", false, nil, 1},
		{"permitted but for the forced request", true, []EventType{FailoverAsked}, 2},
	} {
		inWorld(t, func(x *world) {
			ctx, cancel := context.WithCancel(x.t.Context())
			defer cancel()
			var asked []Takeover
			var outcomes []error
			x.w.cfg.Permit = func(to Takeover) (func(error), error) {
				asked = append(asked, to)
				if len(x.types()) != len(asked)-1 {
					t.Errorf("%s: by then %v was told", c.name, x.types())
				}
				if to.Forced || !c.permit {
					return nil, errors.New("not permitted")
				}
				cancel() // nobody answers in this world
				return func(err error) { outcomes = append(outcomes, err) }, nil
			}
			a := newAssistant(x.w, limit)
			x.silent("m1", limit)
			_, to := a.gather(x.shard("m1"))
			a.help(ctx, x.shard("m1"), to)
			if !slices.Equal(x.types(), c.told) {
				t.Errorf("%s: told %v", c.name, x.types())
			}
			if len(asked) != c.asked || asked[0] != (Takeover{"0", "redis-4.vm3", "redis-1.vm1", false}) || asked[len(asked)-1].Forced != c.permit {
				t.Errorf("%s: asked for %+v", c.name, asked)
			}
			if c.permit && (len(outcomes) != 1 || !errors.Is(outcomes[0], context.Canceled)) {
				t.Errorf("%s: the outcomes are %v", c.name, outcomes)
			}
		})
	}
}
