package servicetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// A Handler serves a Service on a port, with the events of a pretended cluster of three shards, each with a third of the
// slots.
type Handler struct {
	*Service
	// Process is the prefix of its events' IDs. Another process does not know them.
	Process string

	mu     sync.Mutex
	events []event // guarded by mu
}

type event struct {
	ID    string    `json:"id"`
	Time  time.Time `json:"time"`
	Type  string    `json:"type"`
	Node  string    `json:"node,omitempty"`
	VM    string    `json:"vm,omitempty"`
	Shard string    `json:"shard,omitempty"`
	Text  string    `json:"text"`
}

// Happen adds an event to the timeline.
func (h *Handler) Happen(kind, node, vm, shard, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, event{fmt.Sprintf("%s-%d", h.Process, len(h.events)+1), time.Now().UTC(), kind, node, vm, shard, text})
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/v1/cluster":
		io.WriteString(w, clusterBody)
		return
	case "/v1/cluster/events":
		h.serveEvents(w, r)
		return
	}
	res, err := h.RoundTrip(r)
	if err != nil {
		panic(http.ErrAbortHandler) // no answer
	}
	for name, values := range res.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(res.StatusCode)
	io.Copy(w, res.Body)
}

// serveEvents answers with the events after ?since=, or with all if that ID is unknown.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	since := h.events
	for i, e := range h.events {
		if e.ID == r.FormValue("since") {
			since = h.events[i+1:]
		}
	}
	body := struct {
		Events []event `json:"events"`
	}{append([]event{}, since...)}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}

const clusterBody = `{"known":true,"epoch":6,"slots_covered":16384,"masters_per_vm":{"vm1":1,"vm2":1,"vm3":1},"nodes":[
{"node":"redis-1.vm1","vm":"vm1","addr":"10.0.0.11:6379","role":"master","slots":"0-5460","epoch":1,"health":"ok","state":"well","silence":"0s","shard":"0"},
{"node":"redis-2.vm2","vm":"vm2","addr":"10.0.0.21:6379","role":"master","slots":"5461-10922","epoch":2,"health":"ok","state":"well","silence":"0s","shard":"5461"},
{"node":"redis-3.vm3","vm":"vm3","addr":"10.0.0.31:6379","role":"master","slots":"10923-16383","epoch":3,"health":"ok","state":"well","silence":"0s","shard":"10923"},
{"node":"redis-5.vm1","vm":"vm1","addr":"10.0.0.12:6379","role":"replica","slots":"","epoch":2,"health":"ok","state":"well","silence":"0s","shard":"5461","master":"redis-2.vm2","link_up":true,"in_step":true}],
"shards":[{"shard":"0","master":"redis-1.vm1","slots":5461,"writes":0,"stalled":false},{"shard":"5461","master":"redis-2.vm2","slots":5462,"writes":0,"stalled":false},
{"shard":"10923","master":"redis-3.vm3","slots":5461,"writes":0,"stalled":false}]}`
