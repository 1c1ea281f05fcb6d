// Package scs keeps the sessions of alexedwards/scs in sessiond, so that they know their user: they can be listed, limited and revoked, all
// at once or one by one, and two requests that change different values of one session both survive.
//
//	client, err := sessiond.New(sessiond.Config{URLs: []string{"http://sessiond:8080"}})
//	sessions := scs.New(client)
//	http.ListenAndServe(":4000", sessions.LoadAndSave(mux))
//
// A [Manager] is scs' SessionManager, with [Manager.Login] and some methods of its own in the place of scs'. The session's token is
// its ID in sessiond, made for its user. scs' own tokens never leave the process.
package scs

import (
	"context"
	"errors"
	"log"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	sessiond "github.com/sessiond/sessiond/clients/go"
)

// A Manager manages the sessions of an app. Set its fields before the first request.
type Manager struct {
	*scs.SessionManager

	// User tells the user of a session from its values; empty for none. When it tells another user than the session has, the session is
	// logged in as that user when it is saved, and so gets a new ID; one that had a user before ends, and its values go on in a new one.
	// If it is nil, [Manager.Login] is the way.
	User func(ctx context.Context) string

	// Fallback is the store that the app has used before. A session that is not in sessiond is looked for there, once, by the token in the
	// cookie, and moves here when it is saved. Nil for none.
	Fallback scs.CtxStore

	client *sessiond.Client
	key    contextKey
}

type contextKey struct{ *int }

// New returns a manager whose sessions are in a service. The store and the codec of its SessionManager must stay as they are.
func New(client *sessiond.Client) *Manager {
	m := &Manager{SessionManager: scs.New(), client: client, key: contextKey{new(int)}}
	m.Store, m.Codec = &store{m}, codec{}
	m.ErrorFunc = unavailable
	return m
}

// unavailable answers 503 where the store cannot be asked, which is no reason to take anybody for logged out; anything else is a defect.
func unavailable(w http.ResponseWriter, _ *http.Request, err error) {
	log.Print(err)
	status := http.StatusInternalServerError
	if errors.Is(err, sessiond.ErrUnavailable) || errors.Is(err, sessiond.ErrOutcomeUnknown) {
		status = http.StatusServiceUnavailable
	}
	http.Error(w, http.StatusText(status), status)
}

// A binding says which session in sessiond belongs to a request.
type binding struct {
	id     string   // empty for a session that is not stored yet
	user   string   // that the session has
	told   string   // that it should have; empty for the same
	loaded *content // as it was when the request began; nil if it is new
	moved  string   // its token in the fallback; empty if it does not come from there
	sent   string   // the ID in the cookie that the browser has
	gone   bool     // it was found to be revoked when it was to be changed

	expires time.Time // when a session with a new ID ends at the latest
}

// begin makes the binding that of a session that is not stored yet.
func (b *binding) begin() { *b = binding{sent: b.sent} }

func (m *Manager) bound(ctx context.Context) *binding {
	b, ok := ctx.Value(m.key).(*binding)
	if !ok {
		panic("sessiond/scs: no session in the context: is the handler behind Manager.LoadAndSave?")
	}
	return b
}

// Load loads the session with an ID into a context, for those who do not use LoadAndSave. A context that has one stays as it is.
func (m *Manager) Load(ctx context.Context, id string) (context.Context, error) {
	if _, ok := ctx.Value(m.key).(*binding); ok {
		return ctx, nil
	}
	ctx = context.WithValue(ctx, m.key, &binding{id: id, sent: id})
	return m.SessionManager.Load(ctx, id)
}

// ID is the ID of the session in the context, empty if it is not stored yet. It is a credential.
func (m *Manager) ID(ctx context.Context) string { return m.bound(ctx).id }

// Token is ID.
func (m *Manager) Token(ctx context.Context) string { return m.ID(ctx) }

// MergeSession fails: the values of a second session are not read here. Read it with a client.
func (m *Manager) MergeSession(context.Context, string) error {
	return errors.New("sessiond/scs: sessions are not merged")
}

// LoadAndSave loads the session of each request and saves it before the answer begins, like that of scs.
func (m *Manager) LoadAndSave(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Cookie")
		id := ""
		if cookie, err := r.Cookie(m.Cookie.Name); err == nil {
			id = cookie.Value
		}
		ctx, err := m.Load(r.Context(), id)
		if err != nil {
			m.ErrorFunc(w, r, err)
			return
		}
		r = r.WithContext(ctx)
		s := &saver{ResponseWriter: w, request: r, manager: m}
		next.ServeHTTP(s, r)
		s.save()
	})
}

// RenewToken gives the session a new ID, as it should have at each change of what it may do. The old ID of a session without a user is dead
// at once, since somebody may have planted it. That of a session with a user leads to it for another 30 s, so that requests under way are
// served. A log-in is [Manager.Login].
func (m *Manager) RenewToken(ctx context.Context) error {
	b := m.bound(ctx)
	if b.loaded == nil { // it gets an ID of its own when it is saved, which it must be if it comes from the fallback
		m.Put(ctx, mark, true)
		return nil
	}
	grace := sessiond.DefaultGrace
	if b.user == "" {
		grace = 0
	}
	s, err := m.client.RotateFor(ctx, b.id, grace)
	if errors.Is(err, sessiond.ErrNotFound) {
		return m.ended(ctx, b)
	}
	return b.became(s, err)
}

// Login gives the session a new ID and a user. The old ID is dead at once. If the session has another user, or was revoked meanwhile, that
// one ends, and an empty one begins.
func (m *Manager) Login(ctx context.Context, user string) error {
	b := m.bound(ctx)
	if b.loaded != nil && (b.user == "" || b.user == user) {
		s, err := m.client.Login(ctx, b.id, user)
		if !errors.Is(err, sessiond.ErrNotFound) {
			return b.became(s, err)
		}
	}
	if b.loaded != nil {
		if err := m.client.Delete(ctx, b.id); err != nil {
			return err
		}
		if err := m.Clear(ctx); err != nil {
			return err
		}
		b.begin()
	}
	b.told = user // it is created for that user when it is saved
	m.Put(ctx, mark, true)
	return nil
}

// mark is a value that is not stored. With it, a session is saved that holds nothing else.
const mark = "__sessiond"

// ended ends a session that turned out to be revoked: it is empty, and the browser's cookie goes.
func (m *Manager) ended(ctx context.Context, b *binding) error {
	b.begin()
	b.gone = true
	return m.SessionManager.Destroy(ctx)
}

// Commit saves the session, and returns its ID and when the cookie ends. LoadAndSave calls it.
func (m *Manager) Commit(ctx context.Context) (id string, expiry time.Time, err error) {
	b := m.bound(ctx)
	if m.User != nil {
		if user := m.User(ctx); user != "" { // asked now: scs keeps the values locked while it commits
			b.told = user
		}
	}
	_, expiry, err = m.SessionManager.Commit(ctx)
	if err == nil && b.gone {
		err = m.ended(ctx, b)
	}
	return b.id, expiry, err
}

// became notes the new ID of the session.
func (b *binding) became(s *sessiond.Session, err error) error {
	if err != nil {
		return err
	}
	b.id, b.user, b.told, b.expires = s.ID, s.User, "", s.ExpiresAt
	return nil
}

// save saves the session, and tells the browser its ID if that is a new one. A cookie that was loaded in vain stays: another request may be
// replacing it at this moment.
func (m *Manager) save(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	b := m.bound(ctx)
	var err error
	if m.Status(ctx) == scs.Modified {
		_, _, err = m.Commit(ctx)
	}
	switch {
	case b.id != "" && b.id != b.sent: // even after a failure: the old ID may be dead
		m.WriteSessionCookie(ctx, w, b.id, b.expires)
	case b.id == "" && b.sent != "" && m.Status(ctx) == scs.Destroyed:
		m.WriteSessionCookie(ctx, w, "", time.Time{})
	}
	if err != nil {
		m.ErrorFunc(w, r, err)
	}
}

// A saver saves the session before the answer begins.
type saver struct {
	http.ResponseWriter
	request *http.Request
	manager *Manager
	saved   bool
}

func (s *saver) save() {
	if !s.saved {
		s.saved = true
		s.manager.save(s.ResponseWriter, s.request)
	}
}

func (s *saver) Write(b []byte) (int, error) {
	s.save()
	return s.ResponseWriter.Write(b)
}

func (s *saver) WriteHeader(code int) {
	if code >= http.StatusOK { // those before are not the answer yet
		s.save()
	}
	s.ResponseWriter.WriteHeader(code)
}

// FlushError is for [http.ResponseController].
func (s *saver) FlushError() error {
	s.save()
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Unwrap is for [http.ResponseController].
func (s *saver) Unwrap() http.ResponseWriter { return s.ResponseWriter }
