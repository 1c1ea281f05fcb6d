package load

import (
	"math"
	"time"
)

// A Schedule returns the rate of arrivals, in requests per second, at a time since the start of the load. A rate of zero or
// less is a pause.
type Schedule func(elapsed time.Duration) float64

// Constant is the same rate all the time.
func Constant(rate float64) Schedule { return func(time.Duration) float64 { return rate } }

// Ramp goes linearly from one rate to another within a time, and stays there.
func Ramp(from, to float64, within time.Duration) Schedule {
	return func(elapsed time.Duration) float64 {
		if elapsed >= within {
			return to
		}
		return from + (to-from)*elapsed.Seconds()/within.Seconds()
	}
}

// Sine oscillates around a mean with an amplitude and a period. It starts at the mean and rises.
func Sine(mean, amplitude float64, period time.Duration) Schedule {
	return func(elapsed time.Duration) float64 {
		return mean + amplitude*math.Sin(2*math.Pi*elapsed.Seconds()/period.Seconds())
	}
}

// A Step is a rate held for a time.
type Step struct {
	Rate float64
	For  time.Duration
}

// Steps holds one rate after another, and the last one for good.
func Steps(steps ...Step) Schedule {
	return func(elapsed time.Duration) float64 {
		for _, s := range steps {
			if elapsed < s.For {
				return s.Rate
			}
			elapsed -= s.For
		}
		if len(steps) == 0 {
			return 0
		}
		return steps[len(steps)-1].Rate
	}
}

// integrationStep is the time over which a rate counts as constant.
const integrationStep = 5 * time.Millisecond

// next returns when the integral of the rate reaches an area: 1 for even arrivals. If it does not by the limit, next returns
// the limit and the remaining area.
func (s Schedule) next(from time.Duration, area float64, limit time.Duration) (time.Duration, float64) {
	for at := from; at < limit; at += integrationStep {
		rate, step := max(s(at), 0), min(integrationStep, limit-at)
		if part := rate * step.Seconds(); part < area {
			area -= part
			continue
		}
		return at + time.Duration(area/rate*float64(time.Second)), 0
	}
	return limit, area
}
