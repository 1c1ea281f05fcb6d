package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/doctor"
	"github.com/sessiond/sessiond/internal/cluster/view"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// clusterBody is the answer of GET /v1/cluster: the cluster as this instance believes it to be.
type clusterBody struct {
	Known        bool           `json:"known"` // false until a node has answered
	Epoch        int64          `json:"epoch"`
	Unaccounted  bool           `json:"unaccounted_election"` // an election whose outcome is not known here yet: nothing is leased or marked
	Formers      bool           `json:"former_masters"`       // masters that were replaced lately must grant leases and marks too
	SlotsCovered int            `json:"slots_covered"`
	MastersPerVM map[string]int `json:"masters_per_vm"`
	Nodes        []nodeBody     `json:"nodes"`
	Shards       []shardBody    `json:"shards"`

	ExaminedAt string           `json:"examined_at,omitzero"` // when the nodes were last examined
	Findings   []doctor.Finding `json:"findings"`             // of that examination
}

type nodeBody struct {
	Node       string           `json:"node"`
	VM         string           `json:"vm"`
	Addr       string           `json:"addr"`
	Role       string           `json:"role"`
	Slots      string           `json:"slots"` // of a master, as ranges: "0-5460 5470"
	Epoch      int64            `json:"epoch"`
	Health     view.Health      `json:"health"` // as the cluster sees it
	State      string           `json:"state"`  // as this instance sees it: "well", "suspect" or "down"
	Silence    string           `json:"silence"`
	Failure    string           `json:"failure,omitzero"` // why it did not answer when it was last asked
	AnsweredAt string           `json:"answered_at,omitzero"`
	Shard      string           `json:"shard,omitzero"`
	Lacks      []doctor.Ability `json:"lacks,omitzero"`         // what the Redis user may not do on it, so that it is not tried
	Master     string           `json:"master,omitzero"`        // of a replica: its master's name
	LinkUp     *bool            `json:"link_up,omitzero"`       // of a replica
	InStep     *bool            `json:"in_step,omitzero"`       // of a replica: whether it keeps up, and may be leased
	Leased     *bool            `json:"leased,omitzero"`        // of a replica: whether this instance takes its word now
	Refused    string           `json:"lease_refused,omitzero"` // of a replica: why the last lease was refused
	Marked     string           `json:"mark,omitzero"`          // of a replica: the outcome of the last mark that this instance asked for
	LagBytes   *int64           `json:"lag_bytes,omitzero"`     // of a replica; missing if unknown
}

type shardBody struct {
	Shard   string `json:"shard"`
	Master  string `json:"master"`
	Slots   int    `json:"slots"`
	Writes  int64  `json:"writes"`  // in progress, including those that wait
	Stalled bool   `json:"stalled"` // writes cannot be served now
	MovedAt string `json:"moved_at,omitzero"`
}

// cluster shows what this instance knows. It does not ask any node.
func (a *api) cluster(r *http.Request) (answer, error) {
	if err := checkQuery(r); err != nil {
		return answer{}, err
	}
	return jsonAnswer(describeCluster(a.State()))
}

func describeCluster(s watch.Snapshot) clusterBody {
	body := clusterBody{
		Known: s.Known, Epoch: s.Epoch, Unaccounted: s.Unaccounted, Formers: s.Formers, SlotsCovered: s.SlotsCovered, MastersPerVM: s.MastersPerVM,
		Nodes: []nodeBody{}, Shards: []shardBody{},
		ExaminedAt: timestampOrNone(s.Examined), Findings: append([]doctor.Finding{}, s.Findings...),
	}
	names := map[string]string{}
	for _, n := range s.Nodes {
		names[n.ID] = n.Name()
	}
	for _, n := range s.Nodes {
		body.Nodes = append(body.Nodes, describeNode(n, names[n.MasterID]))
	}
	for _, shard := range s.Shards {
		body.Shards = append(body.Shards, shardBody{shard.Name, shard.Master, shard.Slots, shard.Writes, shard.Waits, timestampOrNone(shard.Moved)})
	}
	return body
}

func describeNode(n watch.NodeSnapshot, master string) nodeBody {
	body := nodeBody{
		Node: n.Name(), VM: n.VM(), Addr: n.Addr, Role: n.Role(), Slots: formatRanges(n.Ranges), Epoch: n.Epoch, Health: n.Health,
		State: n.Seen, Silence: n.Silence.Round(time.Millisecond).String(), Failure: n.Failure, AnsweredAt: timestampOrNone(n.Answered), Shard: n.Shard,
		Lacks: n.Lacks,
	}
	if !n.Master {
		body.Master, body.LinkUp, body.InStep, body.Leased, body.Refused, body.Marked = master, &n.LinkUp, &n.InStep, &n.Leased, n.Refused, n.Marked
		if n.Lag >= 0 {
			body.LagBytes = &n.Lag
		}
	}
	return body
}

func formatRanges(ranges []view.SlotRange) string {
	var texts []string
	for _, r := range ranges {
		text := strconv.Itoa(r.First)
		if r.Last > r.First {
			text += "-" + strconv.Itoa(r.Last)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " ")
}

func timestampOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return timestamp(t)
}
