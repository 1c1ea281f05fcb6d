package scs_test

import (
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	upstream "github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	sessiond "github.com/sessiond/sessiond/clients/go"
	"github.com/sessiond/sessiond/clients/go/scs"
	"github.com/sessiond/sessiond/clients/go/sessiondtest"
)

// An app has its sessions in sessiond, and browsers.
type app struct {
	*testing.T
	client   *sessiond.Client
	sessions *scs.Manager
	url      string
}

// start starts an app with handlers by their path.
func start(t *testing.T, handlers map[string]http.HandlerFunc, adjust func(*scs.Manager)) *app {
	t.Helper()
	a := &app{T: t, client: sessiondtest.Client(t)}
	a.sessions = scs.New(a.client)
	if adjust != nil {
		adjust(a.sessions)
	}
	mux := http.NewServeMux()
	for path, h := range handlers {
		mux.HandleFunc(path, h)
	}
	put := func(w http.ResponseWriter, r *http.Request) {
		a.sessions.Put(r.Context(), r.FormValue("name"), r.FormValue("value"))
	}
	mux.HandleFunc("/put", put)
	mux.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, a.sessions.GetString(r.Context(), r.FormValue("name")))
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		if err := a.sessions.Login(r.Context(), r.FormValue("user")); err != nil {
			a.sessions.ErrorFunc(w, r, err)
		}
	})
	mux.HandleFunc("/renew", func(w http.ResponseWriter, r *http.Request) {
		if err := a.sessions.RenewToken(r.Context()); err != nil {
			a.sessions.ErrorFunc(w, r, err)
		}
	})
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		if err := a.sessions.Destroy(r.Context()); err != nil {
			a.sessions.ErrorFunc(w, r, err)
		}
	})
	server := httptest.NewServer(a.sessions.LoadAndSave(mux))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// A browser keeps the app's cookie.
type browser struct {
	*app
	http *http.Client
}

func (a *app) browser() *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{a, &http.Client{Jar: jar}}
}

// id is the value of the cookie; empty if there is none.
func (b *browser) id() string {
	r, _ := http.NewRequest("GET", b.url, nil)
	for _, c := range b.http.Jar.Cookies(r.URL) {
		return c.Value
	}
	return ""
}

func (b *browser) fetch(path string) (int, string) {
	b.Helper()
	answer, err := b.http.Get(b.url + path)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.Fatal(err)
	}
	return answer.StatusCode, strings.TrimSpace(string(text))
}

func (b *browser) want(path, want string) {
	b.Helper()
	if status, got := b.fetch(path); status != 200 || got != want {
		b.Errorf("%s: got %d %q, want %q", path, status, got, want)
	}
}

func (a *app) devices(user string) (n int) {
	a.Helper()
	for _, err := range a.client.List(a.Context(), user) {
		if err != nil {
			a.Fatal(err)
		}
		n++
	}
	return n
}

func TestValuesSurvive(t *testing.T) {
	a := start(t, nil, nil)
	b := a.browser()
	b.want("/get?name=x", "")
	if b.id() != "" {
		t.Error("a session that holds nothing has a cookie")
	}
	b.want("/put?name=x&value=1", "")
	b.want("/put?name=y&value=2", "")
	b.want("/get?name=x", "1")
	b.want("/get?name=y", "2")
	b.want("/put?name=x&value=3", "")
	b.want("/get?name=x", "3")
	b.want("/logout", "")
	if b.id() != "" {
		t.Error("the cookie outlives the log-out")
	}
	b.want("/get?name=x", "")
}

// Two requests of one session that are under way at once, and change different values, both take effect.
func TestNoLostUpdate(t *testing.T) {
	var a *app
	arrived, proceed := make(chan bool), make(chan bool)
	a = start(t, map[string]http.HandlerFunc{"/slow": func(w http.ResponseWriter, r *http.Request) {
		arrived <- true // both have loaded the session
		<-proceed
		a.sessions.Put(r.Context(), r.FormValue("name"), "mine")
	}}, nil)
	b := a.browser()
	for _, name := range []string{"left", "right", "first"} {
		b.want("/put?name="+name+"&value=before", "")
	}
	done := make(chan bool)
	for _, name := range []string{"left", "right"} {
		go func() {
			b.want("/slow?name="+name, "")
			done <- true
		}()
	}
	<-arrived
	<-arrived
	close(proceed)
	<-done
	<-done
	for _, name := range []string{"left", "right"} {
		b.want("/get?name="+name, "mine")
	}
	b.want("/get?name=first", "before")
}

// "Log out everywhere" ends all of a user's sessions. A save that comes after it brings nothing back, and is no error page.
func TestLogOutEverywhere(t *testing.T) {
	var a *app
	a = start(t, map[string]http.HandlerFunc{"/late": func(w http.ResponseWriter, r *http.Request) {
		if _, err := a.client.RevokeUser(r.Context(), "dave", ""); err != nil {
			t.Error(err)
		}
		a.sessions.Put(r.Context(), "late", "1")
	}}, nil)
	phone, laptop := a.browser(), a.browser()
	phone.want("/login?user=dave", "")
	laptop.want("/login?user=dave", "")
	laptop.want("/put?name=secret&value=1", "")
	laptop.want("/late", "")
	if laptop.id() != "" || a.devices("dave") != 0 {
		t.Errorf("cookie %q, %d sessions", laptop.id(), a.devices("dave"))
	}
	laptop.want("/get?name=secret", "")
	phone.want("/get?name=secret", "")
}

// While the store is out, the answer is 503, the cookie stays, and with the store the session is back.
func TestOutageLogsNobodyOut(t *testing.T) {
	out := false
	service := sessiondtest.Start(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if out {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		through, _ := http.NewRequest(r.Method, service+r.URL.RequestURI(), strings.NewReader(string(body)))
		through.Header = r.Header
		answer, err := http.DefaultClient.Do(through)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.StatusCode)
		io.Copy(w, answer.Body)
	}))
	t.Cleanup(front.Close)
	client, err := sessiond.New(sessiond.Config{URLs: []string{front.URL}, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	sessions := scs.New(client)
	server := httptest.NewServer(sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("put") != "" {
			sessions.Put(r.Context(), "x", r.FormValue("put"))
		}
		io.WriteString(w, sessions.GetString(r.Context(), "x"))
	})))
	t.Cleanup(server.Close)
	b := (&app{T: t, url: server.URL}).browser()
	b.want("/?put=1", "1")
	id := b.id()
	out = true
	if status, _ := b.fetch("/"); status != http.StatusServiceUnavailable || b.id() != id {
		t.Errorf("got %d, the cookie is %q", status, b.id())
	}
	out = false
	b.want("/", "1")
}

// Sessions from before move here, and nobody is logged out.
func TestFallback(t *testing.T) {
	old := memstore.New()
	former := upstream.New()
	former.Store = old
	ctx, err := former.Load(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	former.Put(ctx, "x", "from before")
	former.Put(ctx, "n", 7)
	token, _, err := former.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a := start(t, map[string]http.HandlerFunc{}, func(m *scs.Manager) { m.Fallback = ctxStore{old} })
	b := a.browser()
	r, _ := http.NewRequest("GET", a.url, nil)
	b.http.Jar.SetCookies(r.URL, []*http.Cookie{{Name: "session", Value: token}})
	b.want("/get?name=x", "from before")
	b.want("/put?name=y&value=new", "")
	if b.id() == token || b.id() == "" {
		t.Errorf("the ID is %q", b.id())
	}
	b.want("/get?name=x", "from before")
	if _, found, _ := old.Find(token); found {
		t.Error("the session is still where it was")
	}
}

// ctxStore makes a store of one of scs' own.
type ctxStore struct{ upstream.Store }

func (s ctxStore) FindCtx(_ context.Context, token string) ([]byte, bool, error) {
	return s.Find(token)
}
func (s ctxStore) DeleteCtx(_ context.Context, token string) error { return s.Delete(token) }
func (s ctxStore) CommitCtx(_ context.Context, token string, b []byte, expiry time.Time) error {
	return s.Commit(token, b, expiry)
}

// Values keep their types, and a map that is equal is no change, whatever the order in which it was written.
func TestTypesSurvive(t *testing.T) {
	gob.Register(time.Time{}) // as with scs' own stores
	var a *app
	a = start(t, map[string]http.HandlerFunc{"/types": func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if r.FormValue("put") != "" {
			a.sessions.Put(ctx, "int", 7)
			a.sessions.Put(ctx, "time", time.Unix(5, 0).UTC())
			a.sessions.Put(ctx, "bytes", []byte("raw"))
			return
		}
		fmt.Fprint(w, a.sessions.GetInt(ctx, "int"), a.sessions.GetTime(ctx, "time").Unix(), string(a.sessions.GetBytes(ctx, "bytes")))
	}}, func(m *scs.Manager) { m.IdleTimeout = time.Hour })
	b := a.browser()
	b.want("/types?put=1", "")
	b.want("/types", "7 5raw")
	s, err := a.client.Peek(t.Context(), b.id())
	if err != nil || s.Version != 1 || s.IdleTTL != sessiond.Duration(time.Hour) {
		t.Errorf("a read has written: %+v, %v", s, err)
	}
}
