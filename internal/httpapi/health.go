package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// probes refuses all but probes on a connection that is only for them. Its answers close the connection.
func (a *api) probes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.OnlyProbes == nil || !a.OnlyProbes(r.Context()) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close")
		if r.URL.Path == "/livez" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		a.writeProblem(w, r, overloaded, problem{Detail: "too many connections are open"})
	})
}

// uncoveredGrace is how long slots may be without a master before the service reports that it is not ready. It is longer
// than a failover: during one, reads succeed and writes wait, and a load balancer that removed all instances would turn it
// into an outage.
const uncoveredGrace = 15 * time.Second

// readyTimeout bounds the wait for a node to respond, so that a probe never hangs.
const readyTimeout = time.Second

// livez reports that the process serves. It does not ask Redis: a restart would not bring the cluster back.
func (a *api) livez(w http.ResponseWriter, r *http.Request) {
	writeHealth(w, http.StatusOK, readiness{Status: alive})
}

// The status in the answers of /livez and /readyz.
const (
	alive    = "alive"
	ready    = "ready"
	notReady = "not ready"
)

// readiness is the answer of /livez and /readyz.
type readiness struct {
	Status       string      `json:"status"`
	Reason       string      `json:"reason,omitzero"`
	SlotsCovered *int        `json:"slots_covered,omitzero"`
	Nodes        []nodeState `json:"nodes,omitzero"` // with ?verbose
}

type nodeState struct {
	VM     string      `json:"vm"`
	Addr   string      `json:"addr"`
	Role   string      `json:"role"`
	Slots  int         `json:"slots"`
	Health view.Health `json:"health"`
}

// readyz reports ready if every slot has a healthy master, or had one within uncoveredGrace, and the service is not
// stopping.
func (a *api) readyz(w http.ResponseWriter, r *http.Request) {
	writeReadiness(w, a.readiness(r))
}

func writeReadiness(w http.ResponseWriter, state readiness) {
	if state.Status == ready {
		writeHealth(w, http.StatusOK, state)
		return
	}
	writeHealth(w, http.StatusServiceUnavailable, state)
}

func (a *api) readiness(r *http.Request) readiness {
	if a.isDraining() {
		return readiness{Status: notReady, Reason: "the service is stopping"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	seen, err := a.Ready(ctx)
	if err != nil {
		callOf(r).err = err
		return readiness{Status: notReady, Reason: unreadyReason(err)}
	}
	state := readiness{Status: ready, SlotsCovered: &seen.SlotsCovered}
	if seen.SlotsCovered < view.Slots {
		state.Reason = fmt.Sprintf("%d of %d slots have no healthy master", view.Slots-seen.SlotsCovered, view.Slots)
		if seen.UncoveredFor > uncoveredGrace && servesLess(seen) {
			state.Status = notReady
		}
	}
	if queryOf(r).Has("verbose") {
		state.Nodes = nodeStates(seen)
	}
	return state
}

// servesLess reports whether another instance could serve more than this one. Slots whose master is dead have no healthy
// master for any instance: that is no reason to leave the rest to nobody.
func servesLess(s watch.Snapshot) bool { return s.Unowned > 0 || s.Missed > 0 || !s.Majority }

func unreadyReason(err error) string {
	switch {
	case errors.Is(err, cluster.ErrRefused):
		return "the cluster rejects the credentials of this service"
	case errors.Is(err, cluster.ErrDenied):
		return "the Redis user of this service may not see the cluster (CLUSTER NODES)"
	}
	return "no node of the cluster responds"
}

func nodeStates(s watch.Snapshot) []nodeState {
	states := make([]nodeState, 0, len(s.Nodes))
	for _, n := range s.Nodes {
		states = append(states, nodeState{VM: n.VM(), Addr: n.Addr, Role: n.Role(), Slots: n.Slots, Health: n.Health})
	}
	return states
}

func writeHealth(w http.ResponseWriter, status int, state readiness) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if status != http.StatusOK {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	json.MarshalWrite(w, state, jsontext.Multiline(true)) // an error means that the caller has gone
}
