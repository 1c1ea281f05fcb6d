package cluster

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sessiond/sessiond/loadtest/servicetest"
)

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// The shards come from the first instance that answers.
func TestShards(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	url := serve(t, &servicetest.Handler{Service: servicetest.New()})
	shards, err := Client{Instances: []string{dead.URL, url + "/"}, HTTP: http.DefaultClient}.Shards(t.Context())
	if err != nil || len(shards) != 3 {
		t.Fatalf("got %+v, %v", shards, err)
	}
	if s := shards[1]; s.Name != "5461" || s.Master != "redis-2.vm2" || s.VM != "vm2" || !slices.Equal(s.Ranges, [][2]int{{5461, 10922}}) {
		t.Errorf("got %+v", s)
	}
	needsKey := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer a-key" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		(&servicetest.Handler{Service: servicetest.New()}).ServeHTTP(w, r)
	}))
	if _, err := (Client{Instances: []string{needsKey}, Token: "a-key", HTTP: http.DefaultClient}).Shards(t.Context()); err != nil {
		t.Error(err)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"no such route": http.NotFound,
		"no JSON":       func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) },
		"not known yet": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"known":false,"nodes":[]}`)) },
		"no slots": func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"known":true,"nodes":[{"role":"master","slots":"9-3"}]}`))
		},
	} {
		if shards, err := (Client{Instances: []string{serve(t, handler)}, HTTP: http.DefaultClient}).Shards(t.Context()); err == nil {
			t.Errorf("%s: got %+v", name, shards)
		}
	}
}

func TestParseRanges(t *testing.T) {
	got, err := parseRanges("0-5460 5470 6000-16383")
	if err != nil || !slices.Equal(got, [][2]int{{0, 5460}, {5470, 5470}, {6000, 16383}}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"x", "1-", "-1", "5-4", "0-16384", "1-2-3"} {
		if got, err := parseRanges(bad); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}

// Events from before the load are left out. Each event is reported once, even if an instance restarts, and the last ones are
// fetched at the end.
func TestFollow(t *testing.T) {
	old := &servicetest.Handler{Service: servicetest.New(), Process: "p"}
	old.Happen("topology-adopted", "", "", "", "before the load")
	start := time.Now()
	old.Happen("node-suspect", "redis-2.vm2", "vm2", "", "one")
	reborn := &servicetest.Handler{Service: servicetest.New(), Process: "q"}
	var mu sync.Mutex
	var current http.Handler = old
	asked := 0
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := current
		asked++
		mu.Unlock()
		h.ServeHTTP(w, r)
	}))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var told []Event
	heard, ended := make(chan struct{}, 10), make(chan struct{})
	go func() {
		defer close(ended)
		Client{Instances: []string{url}, HTTP: http.DefaultClient}.Follow(ctx, start, func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e)
			heard <- struct{}{}
		})
	}()
	<-heard
	old.Happen("node-down", "redis-2.vm2", "vm2", "", "two")
	<-heard
	mu.Lock()
	current = reborn
	mu.Unlock()
	reborn.Happen("promoted", "redis-5.vm1", "vm1", "5461", "three")
	<-heard
	mu.Lock()
	before := asked
	mu.Unlock()
	reborn.Happen("node-up", "redis-2.vm2", "vm2", "", "four")
	cancel()
	<-ended
	var texts []string
	for _, e := range told {
		texts = append(texts, e.Text)
		if e.Instance != url || e.Time.Before(start) {
			t.Errorf("got %+v", e)
		}
	}
	if !slices.Equal(texts, []string{"one", "two", "three", "four"}) {
		t.Errorf("told %q, asked %d times, %d before the end", texts, asked, before)
	}
}

func TestSkew(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 900e6, time.UTC)
	for date, want := range map[time.Time]time.Duration{
		now.Truncate(time.Second):                       0,
		now.Truncate(time.Second).Add(-time.Second):     0,
		now.Truncate(time.Second).Add(10 * time.Second): 9600 * time.Millisecond,
		now.Truncate(time.Second).Add(-time.Minute):     -60400 * time.Millisecond,
	} {
		if got := skewOf(date, now); got != want {
			t.Errorf("%s: skew %s, want %s", date, got, want)
		}
	}
}
