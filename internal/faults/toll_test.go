package faults

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sessiond/sessiond/loadtest/ledger"
)

// A kind of bad answer: where it came from, and what was bad about it.
type kind struct {
	shard    int // 0 is unknown
	instance string
	what     string // failed, or the ledger's verdict and the source
}

// A toll is how many answers of a kind there were, and when.
type toll struct {
	reads, writes int
	first, last   time.Time // when the requests were due
	longest       time.Duration
	sample        string
}

// tolls counts bad answers by their kind.
type tolls map[kind]*toll

func (t tolls) add(o observation) {
	k := kind{o.shard(), o.instance, "failed"}
	if o.verdict != ledger.OK {
		k.what = o.verdict.String()
		if o.replica {
			k.what += " by a replica's word"
		}
	}
	of := t[k]
	if of == nil {
		of = &toll{first: o.intended, last: o.intended, sample: o.text}
		t[k] = of
	}
	if o.write {
		of.writes++
	} else {
		of.reads++
	}
	if o.intended.Before(of.first) {
		of.first = o.intended
	}
	if o.intended.After(of.last) {
		of.last = o.intended
	}
	of.longest = max(of.longest, o.took)
}

// text returns one line for each kind. Times count from a moment.
func (t tolls) text(from time.Time) string {
	kinds := slices.SortedFunc(maps.Keys(t), func(a, b kind) int {
		return cmp.Or(cmp.Compare(a.what, b.what), cmp.Compare(a.shard, b.shard), cmp.Compare(a.instance, b.instance))
	})
	var b strings.Builder
	for _, k := range kinds {
		of := t[k]
		fmt.Fprintf(&b, "\n  %s: shard %d at %s: %d reads and %d writes, due from %s to %s, the longest took %s; the first: %s", k.what, k.shard, k.instance,
			of.reads, of.writes, ms(of.first.Sub(from)), ms(of.last.Sub(from)), ms(of.longest), of.sample)
	}
	return b.String()
}

// shard returns the shard of a request as the cluster was formed; 0 if it is unknown.
func (o observation) shard() int {
	if !o.placed {
		return 0
	}
	return shardOf(o.slot)
}

// wrong reports whether the ledger cannot account for the answer. A refusal is not wrong.
func (o observation) wrong() bool { return o.verdict != ledger.OK }
