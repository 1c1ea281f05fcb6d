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
	// logged in as that user when it is saved, and so gets a new ID; one that had a user before ends, and its values go on in a new one.
	// If it is nil, [Store.Login] is the way.
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

// loaded is the key of a value of a session that tells what is stored of it. It is no value of the app.
type loaded struct{}

// stored is what is stored of a session.
type stored struct {
	user   string
	values values.Values
	sent   string // the ID in the browser's cookie
	err    error  // why it could not be loaded
}

// Get returns the session with a name, the same for the whole request. The error says that the store could not be asked: answer 503 then,
// and log nobody out. A session beside an error cannot be saved.
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
	was := stored{sent: cookie.Value}
	got, err := s.client.Get(r.Context(), cookie.Value)
	switch {
	case errors.Is(err, sessiond.ErrNotFound):
	case err != nil:
		was.err = err
	case json.Unmarshal(got.Data, &was.values) != nil || string(got.Meta) != metaOf(name):
		was.values = nil // nothing that this package has stored under this name
	default:
		was.user = got.User
		if was.err = decode(was.values, session); was.err == nil {
			session.ID, session.IsNew = cookie.Value, false
		}
	}
	session.Values[loaded{}] = was
	return session, was.err
}

// metaOf is what is stored of a session in the clear: its name, to which the ID is bound by it.
func metaOf(name string) string {
	text, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		panic(err) // not of strings
	}
	return string(text)
}

// Save creates the session, or merges into it what has changed; with a negative MaxAge it revokes it. It sets the cookie if the ID is new. It
// fails with ErrGone if the session was revoked meanwhile: what an app usually does is to go on without one.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	user := ""
	if s.User != nil {
		user = s.User(session)
	}
	return s.saveAs(r, w, session, user, false)
}

// Login gives the session a new ID and a user, saves it, and sets the cookie. The old ID is dead at once. If the session has another user,
// that one ends, and an empty one begins.
func (s *Store) Login(r *http.Request, w http.ResponseWriter, session *sessions.Session, user string) error {
	if was := storedOf(session); session.ID != "" && was.user != "" && was.user != user {
		if err := s.client.Delete(r.Context(), session.ID); err != nil {
			return err
		}
		empty(session, was.sent)
	}
	return s.saveAs(r, w, session, user, true)
}

// Renew gives the session a new ID, saves it, and sets the cookie. The old ID of a session without a user is dead at once, since somebody may
// have planted it. That of a session with a user leads to it for another 30 s.
func (s *Store) Renew(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	was := storedOf(session)
	if session.ID != "" {
		grace := sessiond.DefaultGrace
		if was.user == "" {
			grace = 0
		}
		rotated, err := s.client.RotateFor(r.Context(), session.ID, grace)
		if err != nil {
			return s.outcome(w, session, err)
		}
		session.ID = rotated.ID
	}
	return s.saveAs(r, w, session, "", false)
}

// saveAs saves a session, for a user if it should have one. With anew, it gets a new ID even if it has that user.
func (s *Store) saveAs(r *http.Request, w http.ResponseWriter, session *sessions.Session, user string, anew bool) error {
	return s.outcome(w, session, s.save(r, session, user, anew))
}

// outcome tells the browser a new ID, even if something has failed since: the old one may be dead.
func (s *Store) outcome(w http.ResponseWriter, session *sessions.Session, err error) error {
	was := storedOf(session)
	switch {
	case errors.Is(err, sessiond.ErrNotFound):
		empty(session, was.sent)
		http.SetCookie(w, removed(session))
		return ErrGone
	case err == nil && session.Options.MaxAge < 0:
		http.SetCookie(w, removed(session))
	case session.ID != "" && session.ID != was.sent:
		http.SetCookie(w, sessions.NewCookie(session.Name(), session.ID, session.Options))
		was.sent = session.ID
		session.Values[loaded{}] = was
	}
	return err
}

func (s *Store) save(r *http.Request, session *sessions.Session, user string, anew bool) error {
	was := storedOf(session)
	if was.err != nil {
		return was.err
	}
	if session.Options.MaxAge < 0 {
		if session.ID != "" {
			if err := s.client.Delete(r.Context(), session.ID); err != nil {
				return err
			}
		}
		empty(session, was.sent)
		return nil
	}
	now, err := encode(session)
	if err != nil {
		return err
	}
	if session.ID == "" {
		return s.create(r, session, user, now)
	}
	if user != "" && user != was.user && was.user != "" { // a session keeps its user
		former := session.ID
		if err := s.create(r, session, user, now); err != nil {
			return err
		}
		return s.client.Delete(r.Context(), former)
	}
	if user != "" && (user != was.user || anew) {
		in, err := s.client.Login(r.Context(), session.ID, user)
		if err != nil {
			return err
		}
		session.ID, was.user = in.ID, user
	}
	if _, known := session.Values[loaded{}]; !known { // the app has put other values in their place
		_, err = s.client.Replace(r.Context(), session.ID, contentOf(session, now), sessiond.TTL{}, sessiond.Prefer("return=minimal"))
	} else if patch := was.values.Changes(now); len(patch) > 0 {
		_, err = s.client.Patch(r.Context(), session.ID, sessiond.Content{Data: patch}, sessiond.Prefer("return=minimal"))
	}
	if err != nil {
		return err
	}
	was.values = now
	session.Values[loaded{}] = was
	return nil
}

func (s *Store) create(r *http.Request, session *sessions.Session, user string, now values.Values) error {
	life := sessiond.Duration(time.Duration(session.Options.MaxAge) * time.Second)
	made, err := s.client.Create(r.Context(), sessiond.NewSession{
		User: user, Content: contentOf(session, now), TTL: sessiond.TTL{Idle: life, Max: life},
	}, sessiond.Prefer("return=minimal"))
	if err != nil {
		return err
	}
	was := storedOf(session)
	session.ID, session.IsNew = made.ID, false
	session.Values[loaded{}] = stored{user: user, values: now, sent: was.sent}
	return nil
}

func contentOf(session *sessions.Session, now values.Values) sessiond.Content {
	return sessiond.Content{Data: now, Meta: json.RawMessage(metaOf(session.Name()))}
}

// storedOf is what is stored of a session.
func storedOf(session *sessions.Session) stored {
	was, _ := session.Values[loaded{}].(stored)
	return was
}

// empty makes a session a new one.
func empty(session *sessions.Session, sent string) {
	clear(session.Values)
	session.Values[loaded{}] = stored{sent: sent}
	session.ID, session.IsNew = "", true
}

// removed is the cookie that removes the browser's.
func removed(session *sessions.Session) *http.Cookie {
	options := *session.Options
	options.MaxAge = -1
	return sessions.NewCookie(session.Name(), "", &options)
}

// decode fills the session's values.
func decode(from values.Values, session *sessions.Session) error {
	for name, b := range from {
		key, errKey := decodeKey(name)
		value, err := values.Decode(b)
		if err := errors.Join(errKey, err); err != nil {
			clear(session.Values)
			return fmt.Errorf("sessiond/gorilla: %w", err)
		}
		session.Values[key] = value
	}
	return nil
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
