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

// uncoveredGrace is how long slots may be without a master before the service says that it is not ready: longer than a
// failover, in which reads go on and writes wait. To take all instances out then would make an outage of it.
const uncoveredGrace = 15 * time.Second

// readyTimeout bounds the wait for a node that answers: a probe that hangs helps nobody.
const readyTimeout = time.Second

// livez says that the process serves. It asks nothing: a restart would not bring the cluster back.
func (a *api) livez(w http.ResponseWriter, r *http.Request) {
	writeHealth(w, http.StatusOK, readiness{Status: "alive"})
}

// readiness is the answer of /livez and /readyz.
type readiness struct {
	Status       string      `json:"status"` // alive, ready or not ready
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

// readyz says whether every slot has, or lately had, a master that is well, and the service is not about to stop.
func (a *api) readyz(w http.ResponseWriter, r *http.Request) {
	if a.isDraining() {
		writeHealth(w, http.StatusServiceUnavailable, readiness{Status: "not ready", Reason: "the service is stopping"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	seen, err := a.Ready(ctx)
	if err != nil {
		eventOf(r).err = err
		reason := "no node of the cluster answers"
		if errors.Is(err, cluster.ErrRefused) {
			reason = "the cluster refuses our credentials"
		}
		writeHealth(w, http.StatusServiceUnavailable, readiness{Status: "not ready", Reason: reason})
		return
	}
	covered := seen.SlotsCovered
	state := readiness{Status: "ready", SlotsCovered: &covered}
	status := http.StatusOK
	if covered < view.Slots {
		if seen.UncoveredFor > uncoveredGrace {
			status = http.StatusServiceUnavailable
			state.Status = "not ready"
		}
		state.Reason = fmt.Sprintf("%d of %d slots have no master that is well", view.Slots-covered, view.Slots)
	}
	if r.URL.Query().Has("verbose") {
		state.Nodes = nodeStates(seen)
	}
	writeHealth(w, status, state)
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
	json.MarshalWrite(w, state, jsontext.Multiline(true)) // an error means that the prober is gone
}
