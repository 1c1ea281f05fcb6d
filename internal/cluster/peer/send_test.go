package peer

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// A replica's answer counts only if all is as it was shown: another process, another stream at the same offset, or less of
// it may lack what was acknowledged.
func TestReaches(t *testing.T) {
	const said = "role:slave\r\nrun_id:p1\r\nmaster_link_status:up\r\nslave_repl_offset:7\r\nmaster_replid:s1\r\n"
	for name, c := range map[string]struct {
		info string
		want func(*Attempt)
		ok   bool
	}{
		"as shown":        {said, func(*Attempt) {}, true},
		"beyond":          {said, func(a *Attempt) { a.Floor = 6 }, true},
		"behind":          {said, func(a *Attempt) { a.Floor = 8 }, false},
		"another process": {said, func(a *Attempt) { a.Process = "p2" }, false},
		"another stream":  {said, func(a *Attempt) { a.Stream = "s2" }, false},
		"a master":        {"role:master\r\nrun_id:p1\r\nmaster_repl_offset:7\r\nmaster_replid:s1\r\n", func(*Attempt) {}, false},
		"no answer":       {"", func(*Attempt) {}, false},
	} {
		a := &Attempt{Process: "p1", Stream: "s1", Floor: 7}
		c.want(a)
		info := redis.NewStringCmd(t.Context())
		info.SetVal(c.info)
		if got := reaches(info, a); got != c.ok {
			t.Errorf("%s: %t", name, got)
		}
	}
}
