package cluster

import (
	"io"
	"testing"
)

func TestRedirected(t *testing.T) {
	inStill(t, func(x *still) {
		// m4 is a master without slots, and therefore without connections for traffic.
		x.says(0, sixNodes+"m4 10.0.0.7:6379@1,redis-7.vm4 master - 0 0 4 connected\n")
		for _, c := range []struct {
			err    error
			wide   bool // the call's script
			to     string
			asking bool
		}{
			{reply("MOVED 3999 10.0.0.2:6379"), false, "10.0.0.2:6379", false},
			{reply("ASK 3999 10.0.0.2:6379"), false, "10.0.0.2:6379", true},
			{reply("MOVED 3999 10.0.0.2:6379"), true, "10.0.0.2:6379", false},
			{reply("ASK 3999 10.0.0.2:6379"), true, "", false}, // it does not follow ASK
			{reply("MOVED 3999 10.0.0.7:6379"), false, "", false},
			{reply("MOVED 3999 10.0.0.99:6379"), false, "", false},
			{reply("MOVED 3999 :6379"), false, "", false},
			{reply("MOVED 3999"), false, "", false},
			{reply("TRYAGAIN Multiple keys request during rehashing of slot"), false, "", false},
			{reply("ASKING 10.0.0.2:6379"), false, "", false},
			{io.EOF, false, "", false},
		} {
			script := NewScript("return {}")
			if c.wide {
				script = script.Widely()
			}
			call := call{client: x.Client, script: script}
			to := call.redirected(c.err)
			if (to.peer != nil) != (c.to != "") || to.peer != nil && to.peer.Addr != c.to || to.asking != c.asking {
				t.Errorf("%v, wide %t: to %+v", c.err, c.wide, to)
			}
			call.redirect = to
			if call.takeRedirect(); call.redirect.peer != nil {
				t.Errorf("%v: a redirect is for one attempt only", c.err)
			}
		}
	})
}
