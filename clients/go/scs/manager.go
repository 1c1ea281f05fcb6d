// Package scs keeps the sessions of alexedwards/scs in sessiond, so that they know their user: they can be listed, limited and revoked, all
// at once or one by one, and two requests that change different values of one session both survive.
//
//	client, err := sessiond.New(sessiond.Config{URLs: []string{"http://sessiond:8080"}})
//	sessions := scs.New(client)
//	http.ListenAndServe(":4000", sessions.LoadAndSave(mux))
//
// A [Manager] is scs' SessionManager, with three methods of its own: LoadAndSave, RenewToken, and [Manager.Login]. The session's token is
// its ID in sessiond, made for its user. scs' own tokens never leave the process.
package scs

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	sessiond "github.com/sessiond/sessiond/clients/go"
)

// A Manager manages the sessions of an app. Set its fields before the first request.
type Manager struct {
	*scs.SessionManager

	// User tells the user of a session from its values; empty for none. When it tells another user than the session has, the session is
	// logged in as that user when it is saved, and so gets a new ID. If it is nil, [Manager.Login] is the way.
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

// unavailable answers 503: that the store cannot be asked is no reason to take anybody for logged out.
func unavailable(w http.ResponseWriter, _ *http.Request, _ error) {
	http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
}

// A binding says which session in sessiond belongs to a request.
type binding struct {
	id     string   // empty for a session that is not stored yet
	user   string   // that the session has
	told   string   // that it should have; empty for the same
	loaded *content // as it was when the request began; nil if it is new
	moved  string   // its token in the fallback; empty if it does not come from there
	sent   string   // the ID in the cookie that the browser has
}

func (m *Manager) bound(ctx context.Context) *binding {
	b, ok := ctx.Value(m.key).(*binding)
	if !ok {
		panic("sessiond/scs: no session in the context: is the handler behind Manager.LoadAndSave?")
	}
	return b
}

// Load loads the session with an ID into a context, for those who do not use LoadAndSave.
func (m *Manager) Load(ctx context.Context, id string) (context.Context, error) {
	ctx = context.WithValue(ctx, m.key, &binding{id: id, sent: id})
	return m.SessionManager.Load(ctx, id)
}

// ID is the ID of the session in the context, empty if it is not stored yet. It is a credential.
func (m *Manager) ID(ctx context.Context) string { return m.bound(ctx).id }

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

// RenewToken gives the session a new ID, as it should have at each change of what it may do. The old one leads to it for another 30 s,
// so that requests under way are served. A log-in is [Manager.Login], which also ends the old ID.
func (m *Manager) RenewToken(ctx context.Context) error {
	b := m.bound(ctx)
	if b.loaded == nil || b.moved != "" {
		return nil // it gets an ID of its own when it is saved
	}
	s, err := m.client.Rotate(ctx, b.id)
	return m.renewed(ctx, b, s, err)
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
	return b.id, expiry, err
}

// Login gives the session a new ID and a user. The old ID is dead at once.
func (m *Manager) Login(ctx context.Context, user string) error {
	b := m.bound(ctx)
	if b.loaded == nil || b.moved != "" {
		b.told = user // it is created for that user when it is saved
		m.Put(ctx, madeFor, user)
		return nil
	}
	s, err := m.client.Login(ctx, b.id, user)
	return m.renewed(ctx, b, s, err)
}

// madeFor is a value that makes a session be saved that holds nothing but its user.
const madeFor = "__sessiondUser"

// renewed notes the new ID of a session. If the session has been revoked meanwhile, what is left is an empty one.
func (m *Manager) renewed(ctx context.Context, b *binding, s *sessiond.Session, err error) error {
	if errors.Is(err, sessiond.ErrNotFound) {
		*b = binding{sent: b.sent}
		return m.Clear(ctx)
	}
	return b.became(s, err)
}

// became notes the new ID of the session.
func (b *binding) became(s *sessiond.Session, err error) error {
	if err != nil {
		return err
	}
	b.id, b.user, b.told = s.ID, s.User, ""
	return nil
}

// save saves the session, and tells the browser its ID.
func (m *Manager) save(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	b := m.bound(ctx)
	expiry := m.Deadline(ctx)
	switch m.Status(ctx) {
	case scs.Modified:
		var err error
		if _, expiry, err = m.Commit(ctx); err != nil {
			m.ErrorFunc(w, r, err)
			return
		}
	case scs.Destroyed:
		b.id = ""
	}
	switch {
	case b.id != "" && (b.id != b.sent || m.IdleTimeout > 0): // the browser's cookie ends with the idle deadline
		m.WriteSessionCookie(ctx, w, b.id, expiry)
	case b.id == "" && b.sent != "" && b.moved == "":
		m.WriteSessionCookie(ctx, w, "", time.Time{})
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
	s.save()
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap is for [http.ResponseController].
func (s *saver) Unwrap() http.ResponseWriter { return s.ResponseWriter }
