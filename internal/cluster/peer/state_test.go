package peer

import (
	"testing"
	"testing/synctest"
	"time"
)

// The state follows the length of the silence, and the breaker follows the state.
func TestAssess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := NewSet(Access{}, nil, Hooks{})
		defer set.Close()
		p := set.At("10.0.0.1:6379")
		time.Sleep(time.Second) // so that times in the past are after the pulse's beginning
		expect := func(name string, want State, changes bool) {
			t.Helper()
			s, changed := p.Assess()
			if s != want || p.State() != want || changed != changes || p.breaker.isOpen() != (want == Down) {
				t.Errorf("%s: it is %s, changed %t, breaker open %t", name, p.State(), changed, p.breaker.isOpen())
			}
		}
		silent := func(d time.Duration) { p.pulse.asked.Store(p.pulse.now() - int64(d)) }
		expect("all is well", Well, false)
		silent(SuspectAfter - time.Millisecond)
		expect("not silent for long", Well, false)
		silent(SuspectAfter)
		expect("silent", Suspect, true)
		expect("still", Suspect, false)
		silent(DownAfter)
		expect("silent for long", Down, true)
		silent(time.Millisecond)
		p.pulse.lost()
		expect("a broken question is not the answer", Down, false)
		p.pulse.hear()
		expect("it answers", Well, true)
		p.pulse.lost()
		expect("a connection broke", Suspect, true)
		p.pulse.hear()
		p.loading.Store(true)
		expect("it is loading", Suspect, false)
		p.loading.Store(false)
		expect("it has loaded", Well, true)
	})
}
