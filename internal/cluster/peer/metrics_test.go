package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestAttemptOutcome(t *testing.T) {
	for _, c := range []struct {
		err               error
		outcome, redirect string
	}{
		{nil, "ok", ""},
		{redis.Nil, "ok", ""},
		{reply("MOVED 3999 10.0.0.1:6379"), "redirect", "moved"},
		{reply("ASK 3999 10.0.0.1:6379"), "redirect", "ask"},
		{reply("TRYAGAIN Multiple keys request"), "redirect", "tryagain"},
		{reply("ERR Script attempted to access a non local key in a cluster node"), "redirect", "tryagain"},
		{reply("CLUSTERDOWN The cluster is down"), "redirect", "clusterdown"},
		{reply("MASTERDOWN Link with MASTER is down"), "redirect", "masterdown"},
		{reply("LOADING Redis is loading"), "redirect", "loading"},
		{reply("READONLY You can't write"), "redirect", "readonly"},
		{reply("NOREPLICAS Not enough good replicas"), "redirect", "noreplicas"},
		{reply("NOSCRIPT No matching script"), "error", ""},
		{reply("OOM command not allowed"), "error", ""},
		{reply("ERR MOVED is not the first word"), "error", ""},
		{&net.OpError{Op: "dial", Err: errBreakerOpen}, "breaker", ""},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "dial", ""},
		{&net.OpError{Op: "dial", Err: context.DeadlineExceeded}, "timeout", ""},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "timeout", ""},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), "timeout", ""},
		{io.EOF, "io", ""},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "io", ""},
		{redis.ErrClosed, "io", ""},
		{errors.New("something else"), "io", ""},
	} {
		if outcome, redirect := classify(c.err); outcome != c.outcome || redirect != c.redirect {
			t.Errorf("%v: got %q, %q", c.err, outcome, redirect)
		}
	}
}
