package cluster

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
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
			{reply("MOVED 3999 redis-2.vm2:6379"), false, "10.0.0.2:6379", false},
			{reply("ASK 3999 redis-2.vm2:6379"), false, "10.0.0.2:6379", true},
			{reply("MOVED 3999 redis-9.vm2:6379"), false, "", false},
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

// A caller that leaves is no trouble of the shard.
func TestCallerWhoLeavesIsNoTrouble(t *testing.T) {
	inStill(t, func(x *still) {
		ctx, cancel := context.WithCancel(x.t.Context())
		failed := 0
		c := call{client: x.Client, ctx: ctx, kind: "write", failed: func() { failed++ }}
		_, spoken, err := c.retry(func() (redis.Cmder, error) {
			cancel()
			return nil, ctx.Err()
		})
		if spoken || !errors.Is(err, context.Canceled) || failed != 0 || testutil.ToFloat64(x.metrics.retries.WithLabelValues("write")) != 0 {
			t.Errorf("spoken %t, %v; %d failures noted", spoken, err, failed)
		}
	})
}
