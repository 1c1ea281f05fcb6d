package faults

import "testing"

// fourthShard adds a shard under load by the recipe of docs/scale.md, and then cuts the power of its master: it is a shard like the
// others from then on.
func fourthShard(t *testing.T) {
	d := begin(t, setup{rate: *rate / 2})
	f := d.disturb("a fourth shard", func() {
		d.real.AddShard(t)
		d.inStep()
	})
	d.atMost("a write", f.longestWrite[0], longestAssisted, f.peace)
	d.atRest()
	d.forget()
	d.lasts(quiet)
	_, f = d.loses(0, func() { d.real.CutPower(t, "vm4") })
	d.real.KillVM(t, "vm4")
	d.report("its VM dies", f)
	d.atMost("a read", f.longestRead, longestRead, f.peace)
	d.atMost("a write", f.longestWrite[0], longestAssisted, f.peace)
	d.finish()
}
