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
)

// readyTimeout bounds the look at the cluster: a probe that hangs helps nobody.
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
	VM     string         `json:"vm"`
	Addr   string         `json:"addr"`
	Role   string         `json:"role"`
	Slots  int            `json:"slots"`
	Health cluster.Health `json:"health"`
}

// readyz says whether every slot has a master that is well.
func (a *api) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	view, err := a.Look(ctx)
	if err != nil {
		eventOf(r).err = err
		reason := "no node of the cluster answers"
		if errors.Is(err, cluster.ErrRefused) {
			reason = "the cluster refuses our credentials"
		}
		writeHealth(w, http.StatusServiceUnavailable, readiness{Status: "not ready", Reason: reason})
		return
	}
	covered := view.Covered()
	state := readiness{Status: "ready", SlotsCovered: &covered}
	status := http.StatusOK
	if covered < cluster.Slots {
		status = http.StatusServiceUnavailable
		state.Status = "not ready"
		state.Reason = fmt.Sprintf("%d of %d slots have no master that is well", cluster.Slots-covered, cluster.Slots)
	}
	if r.URL.Query().Has("verbose") {
		state.Nodes = nodeStates(view)
	}
	writeHealth(w, status, state)
}

func nodeStates(v cluster.View) []nodeState {
	states := make([]nodeState, 0, len(v.Nodes))
	for _, n := range v.Nodes {
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
