package httpapi

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"time"

	"github.com/go-chi/chi/v5"
)

// The live page is plain HTML, CSS and JavaScript. It shows only what /v1/cluster, /v1/cluster/events and /metrics publish.
//
//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page load only what this instance serves, and run no inline script.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// pageTypes are the media types of the page's files. The system's own table may lack them or have others.
var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

type pageFile struct {
	body      []byte
	etag      string // strong: a hash of the content
	mediaType string
}

// routePage serves the live page at /, and its other files under /page/.
func (a *api) routePage(r chi.Router) {
	files := readPage()
	r.Get("/", files["index.html"].serve)
	r.Get("/page/{file}", func(w http.ResponseWriter, r *http.Request) {
		name := chi.URLParam(r, "file")
		f, ok := files[name]
		if !ok || name == "index.html" { // it is served at /
			a.noRoute(w, r)
			return
		}
		f.serve(w, r)
	})
}

// readPage reads the embedded files. The result is by file name.
func readPage() map[string]pageFile {
	files := map[string]pageFile{}
	entries, err := fs.ReadDir(pageFiles, "page")
	if err != nil {
		panic(err) // cannot happen: the files are in the binary
	}
	for _, e := range entries {
		body, err := fs.ReadFile(pageFiles, "page/"+e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		files[e.Name()] = pageFile{body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, pageTypes[path.Ext(e.Name())]}
	}
	return files
}

// serve answers with the file, or with 304. Browsers revalidate every time, so the page is never older than the service.
func (f pageFile) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.mediaType)
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}
