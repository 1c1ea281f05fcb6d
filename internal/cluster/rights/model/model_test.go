package model

import (
	"os"
	"testing"
	"time"
)

var small = map[string]world{
	"basic":       {writes: 1, replicas: 1, epochs: 1},
	"restartQ":    {writes: 1, replicas: 1, epochs: 1, restartsQ: 1},
	"restartR":    {writes: 1, replicas: 1, epochs: 1, restartsR: 1},
	"own":         {writes: 1, replicas: 1, epochs: 1, own: true, noForce: true, noReads: true},
	"ownF":        {writes: 1, replicas: 1, epochs: 2, own: true, noReads: true},
	"bump":        {writes: 1, replicas: 1, epochs: 2, bump: true, noReads: true},
	"attach":      {writes: 1, replicas: 1, epochs: 1, attached: true},
	"replaced":    {writes: 1, replicas: 1, epochs: 2, replaced: true},
	"replNoForce": {writes: 1, replicas: 1, epochs: 2, replaced: true, noForce: true},
	"moved":       {writes: 1, replicas: 1, epochs: 1, moved: true},
	"two":         {writes: 1, replicas: 2, epochs: 1},
}

func TestTry(t *testing.T) {
	for name, w := range small {
		if f := os.Getenv("CFG"); f != "" && f != name {
			continue
		}
		t0 := time.Now()
		f := explore(&w, 2_000_000)
		t.Logf("%s: %v %v", name, time.Since(t0), f)
	}
}

func TestOut(t *testing.T) {
	for r := range rules {
		if f := os.Getenv("RULE"); f != "" && f != r.String() {
			continue
		}
		for name, w := range small {
			if f := os.Getenv("CFG"); f != "" && f != name {
				continue
			}
			t0 := time.Now()
			f := explore(w.without(r), 600_000)
			if f.bad != holds {
				t.Logf("%s / %s: %v %s %d states %d steps", r, name, time.Since(t0), f.bad, f.states, f.depth)
			}
		}
	}
}
