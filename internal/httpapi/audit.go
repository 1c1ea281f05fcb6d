package httpapi

import (
	"net/http"

	"github.com/sessiond/sessiond/internal/audit"
)

// audited does what the audit log must know of. what says what it is; who does it follows from the request. The line before it
// is written first, and the one after it has the details that do returns.
func (a *api) audited(r *http.Request, what audit.Entry, do func() (detail string, err error)) error {
	act, err := a.Audit.Begin(caller(r, what))
	if err != nil {
		return err
	}
	detail, err := do()
	if err != nil {
		k, _ := explain(err)
		act.End(k.name, detail) // an act that failed may have done a part
		return err
	}
	act.End(audit.Done, detail)
	return nil
}

// auditRefusal tells the audit log of a call that is answered 401 or 403.
func (a *api) auditRefusal(r *http.Request, k kind) {
	if k.status == http.StatusUnauthorized || k.status == http.StatusForbidden {
		a.Audit.Refuse(caller(r, audit.Entry{}), k.name)
	}
}

// caller adds to an entry who made the request, and which.
func caller(r *http.Request, e audit.Entry) audit.Entry {
	c := callOf(r)
	e.By, e.Key, e.Tenant, e.From, e.RequestID = audit.Caller, c.key, c.tenant, r.RemoteAddr, c.requestID
	e.Call = method(r.Method) + " " + route(r.Context())
	return e
}
