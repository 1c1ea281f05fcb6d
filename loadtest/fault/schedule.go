package fault

import (
	"context"
	"slices"
	"time"
)

// stepLimit bounds one step. A step that takes longer is aborted and counts as failed.
const stepLimit = 4 * time.Minute

// A Made is a step that was carried out or tried.
type Made struct {
	Step
	Began, Ended time.Time
	Err          error
}

// Run carries out the steps, each when it is due or right after the one before, until the context ends. It calls began when
// a step begins, and returns the steps that were tried and those that were not. The context does not abort a running step.
func Run(ctx context.Context, start time.Time, steps []Step, means Means, began func(Step, time.Time)) (made []Made, left []Step) {
	steps = slices.Clone(steps)
	slices.SortStableFunc(steps, func(a, b Step) int { return int(a.At - b.At) })
	for i, s := range steps {
		timer := time.NewTimer(time.Until(start.Add(s.At)))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return made, steps[i:]
		}
		m := Made{Step: s, Began: time.Now()}
		began(s, m.Began)
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepLimit)
		m.Err = means.Do(limited, s)
		cancel()
		m.Ended = time.Now()
		made = append(made, m)
	}
	return made, nil
}
