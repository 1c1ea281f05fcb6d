package load

import (
	"net/http"
	"testing"

	"github.com/sessiond/sessiond/loadtest/ledger"
)

// An ID from before a rotation may be forgotten between its choice and its read, which finds the session all the same.
func TestForgottenIDIsNotJudged(t *testing.T) {
	l := ledger.New(ledger.Config{})
	found := reply{status: http.StatusOK, body: []byte(`{"version":1,"data":{"k":"another session's"}}`)}
	w := l.Create(ledger.Lifetime{})
	w.Ack("known", 1)
	if v, _ := judgeRead(l.Read("known"), found); v != ledger.Corrupt {
		t.Errorf("another session's content: %s", v)
	}
	l.Forget("known")
	if v, outcome := judgeRead(l.Read("known"), found); v != ledger.OK || outcome != Answered {
		t.Errorf("forgotten: %s, %v", v, outcome)
	}
}
