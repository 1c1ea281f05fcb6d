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

// The live page is plain HTML, CSS and JavaScript. It shows what /v1/cluster, /v1/cluster/events and /metrics tell anybody.
//
//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page load nothing but what this instance serves, and run nothing that stands in the document.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// pageTypes are the media types of the page's files: the system's own table may lack or change them.
var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

type pageFile struct {
	body      []byte
	etag      string // a strong one, of the content
	mediaType string
}

// routePage serves the live page at /, and what it consists of under /page/.
func (a *api) routePage(r chi.Router) {
	files := readPage()
	r.Get("/", files["index.html"].serve)
	r.Get("/page/{file}", func(w http.ResponseWriter, r *http.Request) {
		name := chi.URLParam(r, "file")
		f, ok := files[name]
		if !ok || name == "index.html" { // which stands at /
			a.noRoute(w, r)
			return
		}
		f.serve(w, r)
	})
}

// readPage reads the embedded files, by name.
func readPage() map[string]pageFile {
	files := map[string]pageFile{}
	entries, err := fs.ReadDir(pageFiles, "page")
	if err != nil {
		panic(err) // they are in the binary
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

// serve answers with the file, or 304. Browsers ask again every time, so that a page is never older than its service.
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
