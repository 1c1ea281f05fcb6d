package session

import (
	"errors"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

func TestDurationFromJSON(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`"1h30m"`: 90 * time.Minute,
		`1800`:    30 * time.Minute,
		`0.001`:   time.Millisecond,
		`1.5e1`:   15 * time.Second,
		`1e300`:   tooLong,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil || d.Duration != want {
			t.Errorf("%s: got %s, %v, want %s", text, d, err, want)
		}
	}
	for _, text := range []string{`0`, `"0s"`, `-1`, `"1us"`, `0.0001`, `"30"`, `""`, `true`, `null`, `[1]`} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); !errors.Is(err, ErrDuration) {
			t.Errorf("%s: got %s, %v", text, d, err)
		}
	}
}
