package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
)

// A handler decodes a request, makes one call, and returns what to answer. handle writes it.
type handler func(r *http.Request) (answer, error)

// An answer describes the response of a call that succeeded.
type answer struct {
	status   int
	etag     string // header ETag; empty for none
	id       string // header Session-ID, of a session with a new ID; empty for none
	location string // header Location; empty for none
	body     []byte // JSON; nil for no body
	minimal  bool   // the body was left out because the caller prefers return=minimal

	stream func(http.ResponseWriter, *http.Request) // writes the whole response instead, if not nil
}

// noContent answers a call that leaves nothing to show.
var noContent = answer{status: http.StatusNoContent}

// handle writes what a handler returns: the answer, or the problem document of the error.
func (a *api) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ans, err := h(r)
		switch {
		case err != nil:
			a.fail(w, r, err)
		case ans.stream != nil:
			ans.stream(w, r)
		default:
			ans.write(w, r)
		}
	}
}

func (ans *answer) write(w http.ResponseWriter, r *http.Request) {
	c, h := callOf(r), w.Header()
	c.setHeader(h, "Etag", ans.etag)
	c.setHeader(h, sessionIDHeader, ans.id)
	c.setHeader(h, "Location", ans.location)
	if ans.body != nil {
		h["Content-Type"] = isJSON
		c.setHeader(h, "Content-Length", strconv.Itoa(len(ans.body)))
	}
	tellOutcome(w, r, ans.minimal)
	w.WriteHeader(ans.status)
	if ans.body != nil && r.Method != http.MethodHead {
		w.Write(ans.body)
	}
}

// encodeSession is a session in an answer. Meta and data are returned byte for byte as they were stored, and nothing of the rest but the
// user needs an encoder: a read is on the path of every request of every app.
func encodeSession(s session.Session, id string) ([]byte, error) {
	b := make([]byte, 0, 512+len(s.User)+len(s.Meta)+len(s.Data))
	b = append(b, '{')
	if id != "" {
		b = append(append(append(b, `"id":"`...), id...), `",`...)
	}
	b = append(s.Handle.AppendTo(append(b, `"handle":"`...)), '"')
	if s.User != "" {
		var err error
		if b, err = jsontext.AppendQuote(append(b, `,"user":`...), s.User); err != nil {
			return nil, err
		}
	}
	b = strconv.AppendUint(append(b, `,"version":`...), s.Version, 10)
	b = appendTime(append(b, `,"created_at":`...), s.CreatedAt)
	b = appendTime(append(b, `,"last_touched_at":`...), s.TouchedAt)
	b = append(append(append(b, `,"idle_ttl":"`...), formatTTL(s.IdleTTL)...), '"')
	b = appendTime(append(b, `,"idle_expires_at":`...), s.IdleExpiresAt())
	b = append(append(append(b, `,"max_ttl":"`...), formatTTL(s.MaxTTL())...), '"')
	b = appendTime(append(b, `,"expires_at":`...), s.ExpiresAt)
	if s.Meta != nil {
		b = append(append(b, `,"meta":`...), s.Meta...)
	}
	if s.Data != nil {
		b = append(append(b, `,"data":`...), s.Data...)
	}
	return append(b, '}'), nil
}

func appendTime(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// sessionAnswer answers a call that leaves a session behind: with the session, or with 204 where the caller prefers no
// body (RFC 7240, return=minimal).
func sessionAnswer(r *http.Request, s session.Session) (answer, error) {
	return describeSession(r, answer{status: http.StatusOK}, s)
}

// newIDAnswer is sessionAnswer for a session with a new ID. The ID is told here and nowhere else: in the body, and in a
// header for those who want no body.
func newIDAnswer(r *http.Request, status int, ref session.Ref, s session.Session) (answer, error) {
	callOf(r).handle = ref.Handle.String()
	return describeSession(r, answer{status: status, id: ref.ID()}, s)
}

func describeSession(r *http.Request, ans answer, s session.Session) (answer, error) {
	ans.etag = etag(s.Stamp())
	if r.Method != http.MethodGet && r.Method != http.MethodHead && preferencesOf(r).minimal {
		ans.status, ans.minimal = http.StatusNoContent, true
		return ans, nil
	}
	if !mayUse(r, keys.Read) { // to change a session or give it a new ID is no way to see what it holds
		s.Meta, s.Data = nil, nil
	}
	body, err := encodeSession(s, ans.id)
	ans.body = body
	return ans, err
}

// jsonAnswer answers 200 with any other value.
func jsonAnswer(v any) (answer, error) {
	body, err := json.Marshal(v, jsontext.PreserveRawStrings(true))
	return answer{status: http.StatusOK, body: body}, err
}
