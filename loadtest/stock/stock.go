// Package stock is the load test's control: sessions as a team might write them in an afternoon, with a plain SET with an
// expiry through go-redis' ClusterClient and its default options. The same load runs against it and against the service, so
// the difference is what the service adds. It is not an example to follow.
//
// It keeps neither versions nor tombstones. Its answers carry no version, so the ledger judges by the order of writes alone.
package stock

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/loadtest/load"
)

// A Config says where Redis is.
type Config struct {
	// Addrs are some nodes of the cluster, host:port.
	Addrs []string
	// Username and Password are those of a Redis ACL user; empty for none.
	Username, Password string
	// Deadline of a request, set on its context. 3 seconds if 0. go-redis checks it between its tries, not within one.
	Deadline time.Duration
	// MaxBody bounds a request's body. 64 KiB if 0.
	MaxBody int64
}

// A Handler serves create, read, replace, patch and delete on /v1/sessions, and answers 501 to everything else.
type Handler struct {
	cfg Config
	rdb *redis.ClusterClient
	mux *http.ServeMux
}

// New connects lazily, as go-redis does.
func New(cfg Config) *Handler {
	if cfg.Deadline == 0 {
		cfg.Deadline = 3 * time.Second
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 64 << 10
	}
	h := &Handler{cfg: cfg, rdb: redis.NewClusterClient(&redis.ClusterOptions{Addrs: cfg.Addrs, Username: cfg.Username, Password: cfg.Password}), mux: http.NewServeMux()}
	h.mux.HandleFunc("POST /v1/sessions", h.create)
	h.mux.HandleFunc("GET /v1/sessions/{id}", h.read)
	h.mux.HandleFunc("PUT /v1/sessions/{id}", h.replace)
	h.mux.HandleFunc("PATCH /v1/sessions/{id}", h.patch)
	h.mux.HandleFunc("DELETE /v1/sessions/{id}", h.remove)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { problem(w, http.StatusNotImplemented, "not-implemented") })
	return h
}

// Close closes the connections to Redis.
func (h *Handler) Close() error { return h.rdb.Close() }

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.Deadline)
	defer cancel()
	r.Body = http.MaxBytesReader(w, r.Body, h.cfg.MaxBody)
	h.mux.ServeHTTP(w, r.WithContext(ctx))
}

// A record is both what is stored and what is sent.
type record struct {
	ID   string          `json:"id,omitempty"`
	User string          `json:"user,omitempty"`
	TTL  string          `json:"idle_ttl,omitempty"`
	Data json.RawMessage `json:"data,omitempty"`
}

func (rec record) ttl() (time.Duration, error) {
	if rec.TTL == "" {
		return 30 * time.Minute, nil
	}
	ttl, err := time.ParseDuration(rec.TTL)
	if err == nil && ttl < time.Second {
		err = errors.New("EX counts in seconds")
	}
	return ttl, err
}

func key(id string) string { return "session:" + id }

// Slot returns the hash slot of a session.
func Slot(id string) uint16 { return load.KeySlot(key(id)) }

func (h *Handler) create(w http.ResponseWriter, r *http.Request) {
	var rec record
	if !decode(w, r, &rec) {
		return
	}
	id := rand.Text()
	if rec.ID = ""; !h.store(w, r, id, rec, false) {
		return
	}
	rec.ID = id
	w.Header().Set("Session-ID", id)
	answer(w, http.StatusCreated, rec)
}

// store writes a session. It reports false if it has already answered.
func (h *Handler) store(w http.ResponseWriter, r *http.Request, id string, rec record, mustExist bool) bool {
	ttl, err := rec.ttl()
	if err != nil {
		problem(w, http.StatusUnprocessableEntity, "ttl-out-of-range")
		return false
	}
	value, err := json.Marshal(rec)
	if err != nil {
		problem(w, http.StatusInternalServerError, "internal")
		return false
	}
	if mustExist {
		err = h.rdb.SetArgs(r.Context(), key(id), value, redis.SetArgs{Mode: "XX", TTL: ttl}).Err()
	} else {
		err = h.rdb.Set(r.Context(), key(id), value, ttl).Err()
	}
	return written(w, err)
}

// written answers for a failed write. go-redis does not tell whether Redis applied it.
func written(w http.ResponseWriter, err error) bool {
	switch {
	case err == nil:
		return true
	case errors.Is(err, redis.Nil):
		problem(w, http.StatusNotFound, "not-found")
	default:
		problem(w, http.StatusServiceUnavailable, "outcome-unknown")
	}
	return false
}

// load reads a session. It reports false if it has already answered.
func (h *Handler) load(w http.ResponseWriter, r *http.Request) (record, bool) {
	value, err := h.rdb.Get(r.Context(), key(r.PathValue("id"))).Bytes()
	var rec record
	switch {
	case errors.Is(err, redis.Nil):
		problem(w, http.StatusNotFound, "not-found")
	case err != nil:
		problem(w, http.StatusServiceUnavailable, "unavailable")
	case json.Unmarshal(value, &rec) != nil:
		problem(w, http.StatusInternalServerError, "internal")
	default:
		return rec, true
	}
	return record{}, false
}

func (h *Handler) read(w http.ResponseWriter, r *http.Request) {
	if rec, ok := h.load(w, r); ok {
		answer(w, http.StatusOK, rec)
	}
}

func (h *Handler) replace(w http.ResponseWriter, r *http.Request) {
	var rec record
	if decode(w, r, &rec) && h.store(w, r, r.PathValue("id"), rec, true) {
		answer(w, http.StatusOK, rec)
	}
}

// patch merges the first level of data, without a guard against concurrent writes.
func (h *Handler) patch(w http.ResponseWriter, r *http.Request) {
	var change struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	if !decode(w, r, &change) {
		return
	}
	rec, ok := h.load(w, r)
	if !ok {
		return
	}
	data := map[string]json.RawMessage{}
	if err := json.Unmarshal(rec.Data, &data); err != nil {
		problem(w, http.StatusInternalServerError, "internal")
		return
	}
	for name, value := range change.Data {
		if data[name] = value; string(value) == "null" {
			delete(data, name)
		}
	}
	rec.Data, _ = json.Marshal(data) // cannot fail: these raw messages were decoded
	if h.store(w, r, r.PathValue("id"), rec, true) {
		answer(w, http.StatusOK, rec)
	}
}

func (h *Handler) remove(w http.ResponseWriter, r *http.Request) {
	if written(w, h.rdb.Del(r.Context(), key(r.PathValue("id"))).Err()) {
		w.WriteHeader(http.StatusNoContent)
	}
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		problem(w, http.StatusBadRequest, "malformed-body")
	}
	return err == nil
}

func answer(w http.ResponseWriter, status int, rec record) {
	body, err := json.Marshal(rec)
	if err != nil {
		problem(w, http.StatusInternalServerError, "internal")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

// problem answers with a problem document of one of the service's types.
func problem(w http.ResponseWriter, status int, kind string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	doc := map[string]any{"type": "urn:sessiond:" + kind, "title": strings.ReplaceAll(kind, "-", " "), "status": status}
	json.NewEncoder(w).Encode(doc)
}
