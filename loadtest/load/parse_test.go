package load

import (
	"testing"
	"time"
)

func TestParseSchedule(t *testing.T) {
	for text, want := range map[string]map[time.Duration]float64{
		"500":                   {0: 500, time.Hour: 500},
		"0.5":                   {0: 0.5},
		"ramp:100:1000:30s":     {0: 100, 15 * time.Second: 550, time.Minute: 1000},
		"sine:500:200:60s":      {0: 500, 15 * time.Second: 700, 45 * time.Second: 300},
		"steps:100x10s,0x5s":    {0: 100, 9 * time.Second: 100, 11 * time.Second: 0},
		"steps:100x10s,500x20s": {12 * time.Second: 500, time.Hour: 500},
	} {
		schedule, err := ParseSchedule(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for at, rate := range want {
			if got := schedule(at); got < rate-0.001 || got > rate+0.001 {
				t.Errorf("%s at %s: %g, want %g", text, at, got, rate)
			}
		}
	}
	for _, text := range []string{"", "fast", "-1", "NaN", "Inf", "ramp:1:2", "ramp:1:2:3", "ramp:1:2:0s", "ramp:a:2:3s", "ramp:1:b:3s", "wave:1:2:3s", "steps:", "steps:5", "steps:5x", "steps:x5s", "steps:5x-1s"} {
		if _, err := ParseSchedule(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestParseMix(t *testing.T) {
	got, err := ParseMix("read=70,update=20.5,create=5,list=1")
	if want := (Mix{Read: 70, Update: 20.5, Create: 5, List: 1}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, text := range []string{"", "read", "read=", "read=-1", "touch=1", "read=1,,"} {
		if _, err := ParseMix(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
