package httpapi

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

// requestID matches what a caller may choose as X-Request-Id. It admits nothing that could forge a log line.
var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// observe gives every request its ID, counts, times and logs it, and traces it. It names the route's pattern, since a path may hold an ID.
func (a *api) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{recorder: recorder{ResponseWriter: w}, start: time.Now(), slow: a.SlowRequest, requestID: chosenID(r)}
		if c.requestID == "" {
			c.requestID = newRequestID()
		}
		c.setHeader(w.Header(), "X-Request-Id", c.requestID)
		ctx, span := a.tracer.begin(r.Context(), r)
		c.ctx.Context, c.ctx.call = ctx, c
		defer c.ctx.end()
		r = r.WithContext(&c.ctx)
		if a.isDraining() {
			w.Header().Set("Connection", "close") // RFC 9112, section 9.6
		}
		a.metrics.inFlight.Inc()
		defer a.metrics.inFlight.Dec()

		next.ServeHTTP(c, r)

		took := time.Since(c.start)
		if c.status == 0 {
			c.status = http.StatusOK
		}
		c.route = route(ctx)
		endSpan(span, r, c)
		a.metrics.observe(ctx, r.Method, c, took)
		a.requests.write(r, c, took)
	})
}

// chosenID is the request ID that the caller has chosen; empty if there is none that may stand in a log.
func chosenID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if id == "" || !requestID.MatchString(id) || revealsSecret(r, id) {
		return ""
	}
	return id
}

// newRequestID makes an ID that is no secret: it only has to be another one each time.
func newRequestID() string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return requestIDs.EncodeToString(id[:])
}

var requestIDs = base32.StdEncoding.WithPadding(base32.NoPadding)

// isDraining reports whether the service is stopping.
func (a *api) isDraining() bool {
	select {
	case <-a.Draining:
		return true
	default:
		return false
	}
}

// revealsSecret reports whether the caller's request ID would put the session's ID or the API key into the log, or a part
// of either.
func revealsSecret(r *http.Request, requestID string) bool {
	secrets := append(strings.Split(r.URL.Path, "/"), r.Header[sessionIDHeader]...)
	for _, authorization := range r.Header["Authorization"] {
		secrets = append(secrets, strings.Fields(authorization)...)
	}
	for end := minSecretPart; end <= len(requestID); end++ {
		part := requestID[end-minSecretPart : end]
		if slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(s, part) }) {
			return true
		}
	}
	return false
}

// minSecretPart is how many characters of a secret are worth hiding. Fewer are left to chance: they occur in any request ID.
const minSecretPart = 8

// statusClientGone is counted and logged when the caller closed the connection before the answer, which is no failure of
// the service. The number is nginx's.
const statusClientGone = 499

// methods are the known ones, with their names as the metrics have them.
var methods = map[string]string{
	http.MethodGet: "get", http.MethodHead: "head", http.MethodPost: "post", http.MethodPut: "put", http.MethodPatch: "patch",
	http.MethodDelete: "delete", http.MethodOptions: "options",
}

// method limits what logs and spans call a method to the known ones.
func method(m string) string {
	if methods[m] == "" {
		return "other"
	}
	return m
}

// recoverPanics turns a defect into a 500 and a log line with the stack, and keeps the process alive.
func (a *api) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			a.Log.LogAttrs(r.Context(), slog.LevelError, "panic",
				slog.String("request_id", callOf(r).requestID), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			a.fail(w, r, fmt.Errorf("panic: %v", v))
		}()
		next.ServeHTTP(w, r)
	})
}

// The values of headers that answers have in common. Nobody changes them: Header.Add copies, because they have no room for more.
var noSniff, noStored, isJSON = []string{"nosniff"}, []string{"no-store"}, []string{"application/json"}

// secure sets the headers of every answer.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Content-Type-Options"] = noSniff
		next.ServeHTTP(w, r)
	})
}

// noStore keeps sessions out of every cache (RFC 9111, section 5.2.2.5).
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Cache-Control"] = noStored
		next.ServeHTTP(w, r)
	})
}

// deadline only sets the deadline of the context, and of the body if there is one. The handler notices it and answers.
func (a *api) deadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r)
		c.ctx.deadline = c.start.Add(a.Deadline)
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(a.Deadline)) // not supported only in tests
		}
		next.ServeHTTP(w, r)
	})
}

// wrongMethod answers 405 with the methods that the path supports (RFC 9110, section 15.5.6).
func (a *api) wrongMethod(w http.ResponseWriter, r *http.Request) {
	routes := chi.RouteContext(r.Context()).Routes
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		path := r.URL.RawPath
		if path == "" {
			path = r.URL.Path
		}
		if routes.Match(chi.NewRouteContext(), m, path) {
			w.Header().Add("Allow", m)
		}
	}
	a.writeProblem(w, r, methodNotAllowed, problem{})
}
