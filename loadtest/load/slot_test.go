package load

import (
	"math"
	"testing"
	"time"
)

func TestSlot(t *testing.T) {
	if got := crc16("123456789"); got != 0x31C3 { // Redis Cluster specification
		t.Errorf("crc16 is %#x, want 0x31C3", got)
	}
	if got := KeySlot("foo"); got != 12182 { // Redis documentation, CLUSTER KEYSLOT
		t.Errorf("foo is in slot %d, want 12182", got)
	}
	for id, handle := range map[string]string{ // docs/ids.md: a handle begins with the tag
		"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY": "AgMX-KyHr1Uq4VJTZ4z63wlqw",
		"my-framework.session_0123456789~": "R8Y8Hz1q4Ibzxy5ba13bbwqoQ",
	} {
		if got, want := Slot(id), crc16(handle[:3])%slots; got != want {
			t.Errorf("slot of %s is %d, want %d", id, got, want)
		}
		if got := handleOf("default", id); got != handle {
			t.Errorf("handle of %s is %s, want %s", id, got, handle)
		}
	}
	if got, want := UserSlot("default", "alice"), crc16("tKA")%slots; got != want {
		t.Errorf("slot of alice is %d, want %d", got, want)
	}
	if own := "my-framework.session_0123456789~"; SlotIn("other", own) == Slot(own) {
		t.Error("a caller's own ID lies in one slot for all tenants")
	}
}

// The number of arrivals is the integral of the rate.
func TestSchedules(t *testing.T) {
	for name, test := range map[string]struct {
		schedule Schedule
		want     float64 // within 20 s
	}{
		"constant":       {Constant(100), 2000},
		"slow":           {Constant(0.5), 10},
		"ramp":           {Ramp(0, 200, 10*time.Second), 1000 + 2000},
		"sine":           {Sine(100, 50, 5*time.Second), 2000},
		"sine, cut at 0": {Sine(0, 100, 20*time.Second), 100 * 20 / math.Pi},
		"steps":          {Steps(Step{10, 5 * time.Second}, Step{0, 5 * time.Second}, Step{100, time.Second}), 50 + 1000},
		"no steps":       {Steps(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			limit := 20 * time.Second
			n, last, area := 0, time.Duration(0), 1.0
			for at := time.Duration(0); ; {
				if at, area = test.schedule.next(at, area, limit); area > 0 {
					break
				}
				if at < last || at > limit {
					t.Fatalf("arrival at %s after %s", at, last)
				}
				n, last, area = n+1, at, 1
			}
			if math.Abs(float64(n)-test.want) > max(2, test.want/200) {
				t.Errorf("%d arrivals, want %.0f", n, test.want)
			}
		})
	}
}
