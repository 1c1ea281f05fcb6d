package cluster

import (
	"context"
	"net/url"
	"sync"
	"time"
)

const (
	pollEvery = 250 * time.Millisecond
	// skewBelow is how far clocks may differ before an instance's times are corrected. Its Date header has whole seconds.
	skewBelow = 2 * time.Second
)

// An Event is something that happened in the cluster, as an instance saw it.
type Event struct {
	ID    string    `json:"id"`
	Time  time.Time `json:"time"` // by this machine's clock
	Type  string    `json:"type"`
	Node  string    `json:"node"`
	VM    string    `json:"vm"`
	Shard string    `json:"shard"`
	Text  string    `json:"text"`

	Instance string `json:"instance"` // the base URL of the instance that saw it
}

// Follow calls tell, from several goroutines, with every event of every instance since the start, until the context ends.
// Then it asks once more, so that nothing is missed. It asks an instance that does not answer again.
func (c Client) Follow(ctx context.Context, start time.Time, tell func(Event)) {
	var wg sync.WaitGroup
	for _, instance := range c.Instances {
		f := follower{Client: c, instance: instance, start: start, tell: tell}
		wg.Go(func() { f.follow(ctx) })
	}
	wg.Wait()
}

// A follower polls. A request without an answer is noticed at once, unlike a stream that was cut, and IDs ensure that no
// event is missed or repeated.
type follower struct {
	Client
	instance string
	start    time.Time
	tell     func(Event)
	last     string          // the ID of the newest event that was seen
	seen     map[string]bool // an instance that has restarted sends its timeline from the start
}

func (f *follower) follow(ctx context.Context) {
	f.seen = map[string]bool{}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		f.poll(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			f.poll(context.WithoutCancel(ctx))
			return
		}
	}
}

func (f *follower) poll(ctx context.Context) {
	var body struct{ Events []Event }
	date, err := f.ask(ctx, f.instance, "/v1/cluster/events?since="+url.QueryEscape(f.last), &body)
	if err != nil {
		return // the load itself shows that the instance does not answer
	}
	skew := time.Duration(0)
	if !date.IsZero() {
		skew = skewOf(date, time.Now())
	}
	for _, e := range body.Events {
		f.last = e.ID
		e.Time, e.Instance = e.Time.Add(-skew), f.instance
		if e.Time.Before(f.start) || f.seen[e.ID] {
			continue
		}
		f.seen[e.ID] = true
		f.tell(e)
	}
}

// skewOf returns how far a clock is ahead whose Date header arrived now. 0 if that is uncertain.
func skewOf(date, now time.Time) time.Duration {
	skew := date.Add(500 * time.Millisecond).Sub(now)
	if skew.Abs() < skewBelow {
		return 0
	}
	return skew
}
