package model

import (
	"os"
	"testing"
	"time"
)

var small = map[string]world{
	"basic":       {split: true, writes: 1, replicas: 1, epochs: 1},
	"basic2":      {split: true, writes: 2, replicas: 1, epochs: 2},
	"restartQ":    {split: true, writes: 1, replicas: 1, epochs: 1, restartsQ: 1},
	"restartR":    {split: true, writes: 1, replicas: 1, epochs: 1, restartsR: 1},
	"emptied":     {split: true, writes: 1, replicas: 1, epochs: 1, emptied: 1},
	"own":         {split: true, writes: 1, replicas: 1, epochs: 1, own: true, noForce: true, noReads: true},
	"ownF":        {split: true, writes: 1, replicas: 1, epochs: 2, own: true, noReads: true},
	"bump":        {split: true, writes: 1, replicas: 1, epochs: 2, bump: true, noReads: true},
	"attach":      {split: true, writes: 1, replicas: 1, epochs: 1, attached: true},
	"replaced":    {split: true, writes: 1, replicas: 1, epochs: 2, replaced: true, noReads: true},
	"replNoForce": {split: true, writes: 1, replicas: 1, epochs: 2, replaced: true, noForce: true},
	"moved":       {split: true, writes: 1, replicas: 1, epochs: 1, moved: true},
	"two":         {split: true, writes: 1, replicas: 2, epochs: 1},
}

func TestTry(t *testing.T) {
	for name, w := range small {
		if f := os.Getenv("CFG"); f != "" && f != name {
			continue
		}
		t0 := time.Now()
		f := explore(&w, 40_000_000)
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
			f := explore(w.without(r), 1_000_000)
			if f.bad != holds {
				t.Logf("%s / %s: %v %s %d states %d steps", r, name, time.Since(t0), f.bad, f.states, f.depth)
			}
		}
	}
}
