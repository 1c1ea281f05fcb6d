package load

import "time"

// Progress is a snapshot of a running load, cheap enough to take every second.
type Progress struct {
	Sent, Failed, NotSent int
	InFlight              int
	Violations            uint64
	// Latest is the last complete second. Requests due in it may still be in flight.
	Latest Second
}

// Progress returns a snapshot.
func (g *Generator) Progress() Progress {
	p := g.recorder.progress(time.Now())
	p.InFlight = int(g.inFlight.Load())
	p.Violations = g.cfg.Ledger.Violations()
	return p
}

func (r *recorder) progress(now time.Time) Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	var p Progress
	for _, op := range r.perOp {
		if op.intended != nil {
			p.Sent, p.Failed = p.Sent+int(op.intended.TotalCount()), p.Failed+op.failed
		}
	}
	for _, n := range r.notSent {
		p.NotSent += n
	}
	switch last := int(now.Sub(r.start)/time.Second) - 1; {
	case r.start.IsZero() || last < 0:
	case last < len(r.closed):
		p.Latest = r.closed[last]
	default:
		p.Latest = figures(r.start, last, r.open[last])
	}
	return p
}
