// Package gorilla keeps the sessions of gorilla/sessions in sessiond, so that they know their user: they can be listed, limited and revoked,
// all at once or one by one, and two requests that change different values of one session both survive.
//
//	client, err := sessiond.New(sessiond.Config{URLs: []string{"http://sessiond:8080"}})
//	store := gorilla.New(client)
//	session, err := store.Get(r, "session")
//
// The cookie holds the session's ID in sessiond, and nothing else: it needs no keys to sign it, since an ID cannot be guessed.
package gorilla

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/sessions"

	sessiond "github.com/sessiond/sessiond/clients/go"
	"github.com/sessiond/sessiond/clients/go/internal/values"
)

// ErrGone means that the session was revoked while the request was under way. It has been emptied, and its cookie is removed.
var ErrGone = errors.New("sessiond/gorilla: the session was revoked meanwhile")

// A Store implements [sessions.Store]. Set its fields before the first request.
type Store struct {
	Options sessions.Options // of new sessions; MaxAge is in seconds, and the session lives as long: 0 for as long as the service says

	// User tells the user of a session from its values; empty for none. When it tells another user than the session has, the session is
	// logged in as that user when it is saved, and so gets a new ID. If it is nil, [Store.Login] is the way.
	User func(*sessions.Session) string

	client *sessiond.Client
}

// New returns a store whose sessions are in a service. Its cookies are for the whole site, and out of reach of scripts and other sites.
func New(client *sessiond.Client) *Store {
	return &Store{
		Options: sessions.Options{Path: "/", MaxAge: int((24 * time.Hour).Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode},
		client:  client,
	}
}

// loaded is a value of a session that tells what is stored of it. It is no value of the app.
type loaded struct{}

// stored is what is stored of a session.
type stored struct {
	user   string
	values values.Values
}

// Get returns the session with a name, the same for the whole request. The error says that the store could not be asked: answer 503 then,
// and log nobody out.
func (s *Store) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New returns the session that the cookie with the name stands for, or a new one.
func (s *Store) New(r *http.Request, name string) (*sessions.Session, error) {
	session := sessions.NewSession(s, name)
	options := s.Options
	session.Options, session.IsNew = &options, true
	cookie, err := r.Cookie(name)
	if err != nil {
		return session, nil
	}
	got, err := s.client.Get(r.Context(), cookie.Value)
	if errors.Is(err, sessiond.ErrNotFound) {
		return session, nil
	}
	if err != nil {
		return session, err
	}
	was := stored{user: got.User}
	if err := json.Unmarshal(got.Data, &was.values); err != nil {
		return session, fmt.Errorf("sessiond/gorilla: %w", err)
	}
	for name, b := range was.values {
		key, errKey := decodeKey(name)
		value, err := values.Decode(b)
		if err := errors.Join(errKey, err); err != nil {
			return session, fmt.Errorf("sessiond/gorilla: %w", err)
		}
		session.Values[key] = value
	}
	session.Values[loaded{}] = was
	session.ID, session.IsNew = cookie.Value, false
	return session, nil
}

// Save creates the session, or merges into it what has changed; with a negative MaxAge it revokes it. It sets the cookie. It fails with
// ErrGone if the session was revoked meanwhile: what an app usually does is to go on without one.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	err := s.save(r, session)
	if errors.Is(err, sessiond.ErrNotFound) {
		s.empty(session)
		http.SetCookie(w, removed(session))
		return ErrGone
	}
	if err != nil {
		return err
	}
	if session.Options.MaxAge < 0 {
		http.SetCookie(w, removed(session))
		return nil
	}
	http.SetCookie(w, sessions.NewCookie(session.Name(), session.ID, session.Options))
	return nil
}

func (s *Store) save(r *http.Request, session *sessions.Session) error {
	if session.Options.MaxAge < 0 {
		id := session.ID
		s.empty(session)
		if id == "" {
			return nil
		}
		return s.client.Delete(r.Context(), id)
	}
	now, err := encode(session)
	if err != nil {
		return err
	}
	user := ""
	if s.User != nil {
		user = s.User(session)
	}
	if session.ID == "" {
		return s.create(r, session, user, now)
	}
	was, _ := session.Values[loaded{}].(stored)
	if user != "" && user != was.user {
		in, err := s.client.Login(r.Context(), session.ID, user)
		if err != nil {
			return err
		}
		session.ID, was.user = in.ID, user
	}
	if patch := was.values.Changes(now); len(patch) > 0 {
		if _, err := s.client.Patch(r.Context(), session.ID, sessiond.Content{Data: patch}, sessiond.Prefer("return=minimal")); err != nil {
			return err
		}
	}
	session.Values[loaded{}] = stored{was.user, now}
	return nil
}

func (s *Store) create(r *http.Request, session *sessions.Session, user string, now values.Values) error {
	life := sessiond.Duration(time.Duration(session.Options.MaxAge) * time.Second)
	made, err := s.client.Create(r.Context(), sessiond.NewSession{
		User: user, Content: sessiond.Content{Data: now}, TTL: sessiond.TTL{Max: life},
	}, sessiond.Prefer("return=minimal"))
	if err != nil {
		return err
	}
	session.ID, session.IsNew = made.ID, false
	session.Values[loaded{}] = stored{user, now}
	return nil
}

// Login gives the session a new ID and a user, saves it, and sets the cookie. The old ID is dead at once.
func (s *Store) Login(r *http.Request, w http.ResponseWriter, session *sessions.Session, user string) error {
	as := *s
	as.User = func(*sessions.Session) string { return user }
	return as.Save(r, w, session)
}

// Renew gives the session a new ID, saves it, and sets the cookie. The old ID leads to it for another 30 s.
func (s *Store) Renew(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	if session.ID != "" {
		rotated, err := s.client.Rotate(r.Context(), session.ID)
		if err != nil && !errors.Is(err, sessiond.ErrNotFound) {
			return err
		}
		if err == nil {
			session.ID = rotated.ID
		}
	}
	return s.Save(r, w, session)
}

// empty makes a session a new one.
func (s *Store) empty(session *sessions.Session) {
	clear(session.Values)
	session.ID, session.IsNew = "", true
}

// removed is the cookie that removes the browser's.
func removed(session *sessions.Session) *http.Cookie {
	options := *session.Options
	options.MaxAge = -1
	return sessions.NewCookie(session.Name(), "", &options)
}

func encode(session *sessions.Session) (values.Values, error) {
	all := values.Values{}
	for key, value := range session.Values {
		if key == (loaded{}) {
			continue
		}
		name, err := encodeKey(key)
		if err != nil {
			return nil, err
		}
		if all[name], err = values.Encode(value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// A key that is a string keeps its name behind a colon. Any other is encoded.
func encodeKey(key any) (string, error) {
	if name, ok := key.(string); ok {
		return ":" + name, nil
	}
	b, err := values.Encode(key)
	return base64.RawURLEncoding.EncodeToString(b), err
}

func decodeKey(name string) (any, error) {
	if len(name) > 0 && name[0] == ':' {
		return name[1:], nil
	}
	b, err := base64.RawURLEncoding.DecodeString(name)
	if err != nil {
		return nil, err
	}
	return values.Decode(b)
}
