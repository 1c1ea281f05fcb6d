package model

import (
	"os"
	"strconv"
	"testing"
	"time"
)

func TestProbe(t *testing.T) {
	limit, _ := strconv.Atoi(os.Getenv("LIMIT"))
	for r := range rules {
		if r.String() == os.Getenv("RULE") {
			w := small[os.Getenv("CFG")]
			t0 := time.Now()
			f := explore(w.without(r), limit)
			t.Logf("without %q: %v\n%v", r, time.Since(t0), f)
		}
	}
}
