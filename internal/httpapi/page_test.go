package httpapi

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

func withPage(cfg *Config) { cfg.Page = true }

// The page and all that it consists of come with a policy under which nothing else is loaded and no data becomes markup.
func TestPageIsServed(t *testing.T) {
	f := newFixture(t, withPage)
	types := map[string]string{
		"/": "text/html; charset=utf-8", "/page/page.css": "text/css; charset=utf-8", "/page/main.js": "text/javascript; charset=utf-8",
		"/page/icon.svg": "image/svg+xml",
	}
	for path, want := range types {
		got := f.raw("GET", path, "").want(200)
		if got.Header.Get("Content-Type") != want || len(got.body) == 0 {
			t.Errorf("%s: %d bytes of %q", path, len(got.body), got.Header.Get("Content-Type"))
		}
	}
	for path := range pagePaths(t) {
		h := f.raw("GET", path, "").want(200).Header
		for _, directive := range []string{
			"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'", "base-uri 'none'",
			"form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
		} {
			if !strings.Contains(h.Get("Content-Security-Policy")+";", directive+";") {
				t.Errorf("%s: no %s in %q", path, directive, h.Get("Content-Security-Policy"))
			}
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-cache", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		f.raw("GET", path, "", "If-None-Match", h.Get("ETag")).want(304)
		f.raw("GET", path, "", "If-None-Match", `"another"`).want(200)
	}
	for _, path := range []string{"/page/", "/page/index.html", "/page/nothing.js", "/page/../api.go", "/page/%2e%2e%2fapi.go"} {
		f.raw("GET", path, "").want(404)
	}
}

func TestPageCanBeSwitchedOff(t *testing.T) {
	f := newFixture(t)
	for path := range pagePaths(t) {
		f.raw("GET", path, "").want(404)
	}
}

// pagePaths are where the page's files stand, with what they hold.
func pagePaths(t *testing.T) map[string]string {
	t.Helper()
	entries, err := fs.ReadDir(pageFiles, "page")
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{}
	for _, e := range entries {
		body, err := fs.ReadFile(pageFiles, "page/"+e.Name())
		if err != nil {
			t.Fatal(err)
		}
		path := "/page/" + e.Name()
		if e.Name() == "index.html" {
			path = "/"
		}
		paths[path] = string(body)
	}
	return paths
}

var (
	foreign = regexp.MustCompile(`(?i)(https?:|['"(=]\s*//)[^\s"')]*`)
	inline  = regexp.MustCompile(`(?i)<style|\sstyle\s*=|\son[a-z]+\s*=\s*["']|javascript:|<script(?:[^>]*>\s*[^<\s]|[^>]*srcdoc)`)
	markup  = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\(|new Function|srcdoc`)
	absent  = regexp.MustCompile(`(?:src|href)="((?:page|v1|metrics|openapi)[^"]*)"|from "\./([^"]+)"`)
)

// Nothing comes from another origin, no script or style stands in the document, no data becomes markup, and whatever is
// referred to exists.
func TestPageKeepsToItself(t *testing.T) {
	f := newFixture(t, withPage)
	for path, text := range pagePaths(t) {
		text = strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")
		for what, finds := range map[string]*regexp.Regexp{"another origin": foreign, "inline script or style": inline, "data as markup": markup} {
			if found := finds.FindString(text); found != "" {
				t.Errorf("%s: %s: %s", path, what, found)
			}
		}
		for _, m := range absent.FindAllStringSubmatch(text, -1) {
			to := "/" + m[1]
			if m[1] == "" {
				to = "/page/" + m[2]
			}
			f.raw("GET", to, "").want(200)
		}
	}
}

// The page knows every type of event: one that it does not know would not show on its timeline.
func TestPageKnowsTheEvents(t *testing.T) {
	code, err := os.ReadFile("../cluster/watch/events.go")
	if err != nil {
		t.Fatal(err)
	}
	types := regexp.MustCompile(`EventType\s+= "([a-z-]+)"`).FindAllStringSubmatch(string(code), -1)
	if len(types) < 10 {
		t.Fatalf("only %d types of events in the code", len(types))
	}
	for _, m := range types {
		if !strings.Contains(pagePaths(t)["/page/timeline.js"], "\n  \""+m[1]+"\": [") {
			t.Errorf("the timeline does not know %s", m[1])
		}
	}
}
