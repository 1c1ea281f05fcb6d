package gorilla_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	sessiond "github.com/sessiond/sessiond/clients/go"
	"github.com/sessiond/sessiond/clients/go/gorilla"
	"github.com/sessiond/sessiond/clients/go/sessiondtest"
)

// start starts an app that runs what a request asks for on its session, and returns what fetches.
func start(t *testing.T, store *gorilla.Store, do map[string]func(*http.Request, http.ResponseWriter, *sessions.Session) error) (fetch func(path string) (int, string), id func() string) {
	t.Helper()
	do["/get"] = func(r *http.Request, w http.ResponseWriter, s *sessions.Session) error {
		value, _ := s.Values[r.FormValue("name")].(string)
		_, err := io.WriteString(w, value)
		return err
	}
	do["/put"] = func(r *http.Request, w http.ResponseWriter, s *sessions.Session) error {
		s.Values[r.FormValue("name")] = r.FormValue("value")
		return s.Save(r, w)
	}
	do["/login"] = func(r *http.Request, w http.ResponseWriter, s *sessions.Session) error {
		return store.Login(r, w, s, r.FormValue("user"))
	}
	do["/renew"] = func(r *http.Request, w http.ResponseWriter, s *sessions.Session) error { return store.Renew(r, w, s) }
	do["/logout"] = func(r *http.Request, w http.ResponseWriter, s *sessions.Session) error {
		s.Options.MaxAge = -1
		return s.Save(r, w)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := store.Get(r, "sid")
		if err == nil {
			err = do[r.URL.Path](r, w, s)
		}
		if err != nil && !errors.Is(err, gorilla.ErrGone) {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	r, _ := http.NewRequest("GET", server.URL, nil)
	return func(path string) (int, string) {
			t.Helper()
			answer, err := browser.Get(server.URL + path)
			if err != nil {
				t.Error(err)
				return 0, ""
			}
			defer answer.Body.Close()
			text, _ := io.ReadAll(answer.Body)
			return answer.StatusCode, string(text)
		}, func() string {
			for _, c := range jar.Cookies(r.URL) {
				return c.Value
			}
			return ""
		}
}

type actions = map[string]func(*http.Request, http.ResponseWriter, *sessions.Session) error

func TestLifeOfASession(t *testing.T) {
	client := sessiondtest.Client(t)
	fetch, id := start(t, gorilla.New(client), actions{})
	want := func(path, text string) {
		t.Helper()
		if status, got := fetch(path); status != 200 || got != text {
			t.Errorf("%s: got %d %q, want %q", path, status, got, text)
		}
	}
	want("/put?name=cart&value=full", "")
	guest := id()
	want("/get?name=cart", "full")
	want("/login?user=alice", "")
	if id() == guest || id() == "" {
		t.Errorf("the ID was %q and is %q", guest, id())
	}
	if _, err := client.Get(t.Context(), guest); !errors.Is(err, sessiond.ErrNotFound) {
		t.Errorf("the ID from before the login: %v", err)
	}
	want("/get?name=cart", "full")
	in := id()
	want("/renew", "")
	if id() == in {
		t.Error("the ID has not changed")
	}
	devices := 0
	for s, err := range client.List(t.Context(), "alice") {
		if err != nil || s.User != "alice" {
			t.Fatal(s, err)
		}
		devices++
	}
	if devices != 1 {
		t.Errorf("alice has %d sessions", devices)
	}
	want("/logout", "")
	if id() != "" {
		t.Error("the cookie outlives the log-out")
	}
	want("/get?name=cart", "")
}

// Two requests that change different values both survive.
func TestNoLostUpdate(t *testing.T) {
	arrived, proceed, done := make(chan bool), make(chan bool), make(chan bool)
	fetch, _ := start(t, gorilla.New(sessiondtest.Client(t)), actions{"/slow": func(r *http.Request, w http.ResponseWriter, s *sessions.Session) error {
		arrived <- true
		<-proceed
		s.Values[r.FormValue("name")] = "mine"
		return s.Save(r, w)
	}})
	for _, name := range []string{"left", "right"} {
		fetch("/put?name=" + name + "&value=before")
	}
	for _, name := range []string{"left", "right"} {
		go func() {
			if status, text := fetch("/slow?name=" + name); status != 200 {
				t.Errorf("got %d %s", status, text)
			}
			done <- true
		}()
	}
	<-arrived
	<-arrived
	close(proceed)
	<-done
	<-done
	for _, name := range []string{"left", "right"} {
		if _, got := fetch("/get?name=" + name); got != "mine" {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// A save after "log out everywhere" brings nothing back, and the browser has no session.
func TestSaveAfterLogOut(t *testing.T) {
	client := sessiondtest.Client(t)
	fetch, id := start(t, gorilla.New(client), actions{"/late": func(r *http.Request, w http.ResponseWriter, s *sessions.Session) error {
		if _, err := client.RevokeUser(r.Context(), "bob", ""); err != nil {
			return err
		}
		s.Values["late"] = "1"
		if err := s.Save(r, w); !errors.Is(err, gorilla.ErrGone) || s.Values["secret"] != nil || !s.IsNew {
			t.Errorf("got %v, %v", err, s.Values)
		}
		return nil
	}})
	fetch("/login?user=bob")
	fetch("/put?name=secret&value=1")
	if status, _ := fetch("/late"); status != 200 || id() != "" {
		t.Errorf("got %d, the cookie is %q", status, id())
	}
	if _, got := fetch("/get?name=secret"); got != "" {
		t.Errorf("the old data is there: %q", got)
	}
}

// Values that are all replaced are gone.
func TestReplacedValues(t *testing.T) {
	fetch, _ := start(t, gorilla.New(sessiondtest.Client(t)), actions{"/replace": func(r *http.Request, w http.ResponseWriter, s *sessions.Session) error {
		s.Values = map[any]any{"y": "2"}
		return s.Save(r, w)
	}})
	fetch("/put?name=x&value=1")
	fetch("/replace")
	for name, want := range map[string]string{"x": "", "y": "2"} {
		if _, got := fetch("/get?name=" + name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// An ID that somebody has planted is worth nothing after a renewal, and neither is that of a session with another name.
func TestPlantedID(t *testing.T) {
	client := sessiondtest.Client(t)
	fetch, id := start(t, gorilla.New(client), actions{})
	fetch("/put?name=x&value=1")
	planted := id()
	fetch("/renew")
	if _, err := client.Get(t.Context(), planted); !errors.Is(err, sessiond.ErrNotFound) || id() == planted {
		t.Errorf("got %v", err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "other", Value: id()})
	if s, err := gorilla.New(client).Get(r, "other"); err != nil || !s.IsNew || s.Values["x"] != nil {
		t.Errorf("got %v, %v", s, err)
	}
}

// Another user's login over a session begins an empty one, and the same user's gets a new ID.
func TestLoginOverAnotherUser(t *testing.T) {
	client := sessiondtest.Client(t)
	fetch, id := start(t, gorilla.New(client), actions{})
	fetch("/login?user=alice")
	fetch("/put?name=x&value=1")
	first := id()
	fetch("/login?user=alice")
	if _, err := client.Get(t.Context(), first); !errors.Is(err, sessiond.ErrNotFound) || id() == first {
		t.Errorf("the ID from before: %v", err)
	}
	fetch("/login?user=bob")
	if _, got := fetch("/get?name=x"); got != "" {
		t.Errorf("bob has alice's value: %q", got)
	}
	if s, err := client.Get(t.Context(), id()); err != nil || s.User != "bob" {
		t.Errorf("got %+v, %v", s, err)
	}
}

// That the store is out is an error, and the cookie stays.
func TestOutageIsAnError(t *testing.T) {
	client, err := sessiond.New(sessiond.Config{URLs: []string{"http://127.0.0.1:1"}, Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "sid", Value: "an-id-of-some-22-characters"})
	s, err := gorilla.New(client).Get(r, "sid")
	if !errors.Is(err, sessiond.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	w := httptest.NewRecorder()
	if err := s.Save(r, w); !errors.Is(err, sessiond.ErrUnavailable) || len(w.Result().Cookies()) > 0 {
		t.Errorf("a save after an error: %v, cookies %v", err, w.Result().Cookies())
	}
}

// Keys and values keep their types.
func TestTypesSurvive(t *testing.T) {
	fetch, _ := start(t, gorilla.New(sessiondtest.Client(t)), actions{
		"/types": func(r *http.Request, w http.ResponseWriter, s *sessions.Session) error {
			s.Values[7], s.Values["n"] = 2.5, 3
			return s.Save(r, w)
		},
		"/check": func(_ *http.Request, _ http.ResponseWriter, s *sessions.Session) error {
			if s.Values[7] != 2.5 || s.Values["n"] != 3 || s.IsNew {
				t.Errorf("got %v, new: %t", s.Values, s.IsNew)
			}
			return nil
		},
	})
	fetch("/types")
	if status, text := fetch("/check"); status != 200 {
		t.Errorf("got %d %s", status, text)
	}
}
