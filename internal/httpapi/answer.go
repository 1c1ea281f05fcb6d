package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sessiond/sessiond/internal/session"
)

// sessionBody is a session in an answer, but for meta and data.
type sessionBody struct {
	ID            string `json:"id,omitzero"`
	Handle        string `json:"handle"`
	User          string `json:"user,omitzero"`
	Version       uint64 `json:"version"`
	CreatedAt     string `json:"created_at"`
	LastTouchedAt string `json:"last_touched_at"`
	IdleTTL       string `json:"idle_ttl"`
	IdleExpiresAt string `json:"idle_expires_at"`
	MaxTTL        string `json:"max_ttl"`
	ExpiresAt     string `json:"expires_at"`
}

// encodeSession writes meta and data by hand: the JSON encoder would take the white space out of them, and they go back
// byte for byte as they came.
func encodeSession(s session.Session, id string) ([]byte, error) {
	b, err := json.Marshal(sessionBody{
		ID:            id,
		Handle:        s.Handle.String(),
		User:          s.User,
		Version:       s.Version,
		CreatedAt:     timestamp(s.CreatedAt),
		LastTouchedAt: timestamp(s.TouchedAt),
		IdleTTL:       formatTTL(s.IdleTTL),
		IdleExpiresAt: timestamp(s.IdleExpiresAt()),
		MaxTTL:        formatTTL(s.MaxTTL()),
		ExpiresAt:     timestamp(s.ExpiresAt),
	})
	if err != nil {
		return nil, err
	}
	b = b[:len(b)-1]
	if s.Meta != nil {
		b = append(append(b, `,"meta":`...), s.Meta...)
	}
	if s.Data != nil {
		b = append(append(b, `,"data":`...), s.Data...)
	}
	return append(b, '}'), nil
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// answer ends a call that leaves a session behind: with the session, or with 204 where the caller prefers so, or with
// the problem.
func (a *api) answer(w http.ResponseWriter, r *http.Request, s session.Session, err error) {
	a.answerSession(w, r, http.StatusOK, "", s, err)
}

// answerWithID is answer for a session with a new ID. It is told here, and only here: in the body, and in a header for
// those who want no body.
func (a *api) answerWithID(w http.ResponseWriter, r *http.Request, status int, ref session.Ref, s session.Session, err error) {
	if err == nil {
		eventOf(r).handle = ref.Handle.String()
		w.Header().Set("Session-ID", ref.ID())
	}
	a.answerSession(w, r, status, ref.ID(), s, err)
}

func (a *api) answerSession(w http.ResponseWriter, r *http.Request, status int, id string, s session.Session, err error) {
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("ETag", etag(s.Stamp()))
	if r.Method != http.MethodGet && r.Method != http.MethodHead && preferencesOf(r).minimal {
		tellOutcome(w, r, true)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	body, err := encodeSession(s, id)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	writeJSON(w, r, status, body)
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	tellOutcome(w, r, false)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}
