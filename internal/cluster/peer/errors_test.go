package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
)

// reply is an error that a node answered with.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func TestClassification(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errors.New("connection refused"))}
	read := &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}
	for _, c := range []struct {
		name              string
		err               error
		transient, unsent bool
	}{
		{"no such key", redis.Nil, false, true},
		{"a defect in a script", reply("ERR user_script:1: attempt to index a nil value"), false, true},
		{"wrong type", reply("WRONGTYPE Operation against a key"), false, true},
		{"out of memory", reply("OOM command not allowed when used memory > 'maxmemory'."), false, true},
		{"not logged in", reply("NOAUTH Authentication required."), true, true},
		{"no permission", reply("NOPERM this user has no permissions"), false, true},
		{"no permission for a command in a script, which may have written before", reply("ERR ACL failure in script: User app has no permissions to run the 'zadd' command script: 2a43, on @user_script:1."), false, false},
		{"the log cannot be written", reply("MISCONF Errors writing to the AOF file: No space left on device"), true, true},
		{"the node starts", reply("LOADING Redis is loading the dataset in memory"), true, true},
		{"the cluster is down", reply("CLUSTERDOWN The cluster is down"), true, true},
		{"the slot has no owner", reply("CLUSTERDOWN Hash slot not served"), true, true},
		{"the replica's link is down", reply("MASTERDOWN Link with MASTER is down"), true, true},
		{"a slot is being moved", reply("TRYAGAIN Multiple keys request during rehashing of slot"), true, true},
		{"more redirects than followed", reply("MOVED 42 10.0.0.1:6379"), true, true},
		{"ask", reply("ASK 42 10.0.0.1:6379"), true, true},
		{"a demoted master", reply("READONLY You can't write against a read only replica."), true, true},
		{"too many clients", reply("ERR max number of clients reached"), true, true},
		{"a busy script", reply("BUSY Redis is busy running a script."), true, true},
		{"a script accessed a key that has moved", reply("ERR Script attempted to access a non local key in a cluster node script: 84d2"), true, false},
		{"refused", dial, true, true},
		{"refused, wrapped", fmt.Errorf("x: %w", dial), true, true},
		{"no connection in the pool", redis.ErrPoolTimeout, true, true},
		{"the answer timed out", read, true, false},
		{"the connection broke", io.EOF, true, false},
		{"the deadline passed", context.DeadlineExceeded, true, false},
		{"the caller left", context.Canceled, true, false},
	} {
		if got := Transient(c.err); got != c.transient {
			t.Errorf("%s: transient is %t", c.name, got)
		}
		if got := unsent(c.err); got != c.unsent {
			t.Errorf("%s: unsent is %t", c.name, got)
		}
	}
}

func TestTranslate(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{nil, nil},
		{redis.Nil, ErrNil},
		{reply("OOM command not allowed"), ErrFull},
		{reply("NOAUTH Authentication required."), ErrRefused},
		{reply("WRONGPASS invalid username-password pair"), ErrRefused},
		{reply("NOPERM User app has no permissions to run the 'role' command"), ErrDenied},
		{reply("ERR ACL failure in script: User app has no permissions to run the 'zadd' command script: 2a43, on @user_script:1."), ErrDenied},
		{&notLetIn{reply("NOPERM User app has no permissions to run the 'hello' command")}, ErrDenied},
	} {
		if got := Translate(c.err); !errors.Is(got, c.want) {
			t.Errorf("%v became %v, want %v", c.err, got, c.want)
		}
	}
	if denied := Translate(reply("NOPERM no")); errors.Is(denied, ErrRefused) || !errors.Is(denied, ErrUnavailable) {
		t.Errorf("one command that is denied is not a refused login: %v", denied)
	}
	unknown := reply("ERR something else")
	for _, known := range []error{ErrNil, ErrFull, ErrUnavailable} {
		if got := Translate(unknown); errors.Is(got, known) || !errors.Is(got, unknown) {
			t.Errorf("%v became %v", unknown, got)
		}
	}
}
