package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/conns"
)

const (
	maxStreams    = 100              // open event streams per instance
	maxStreamsOf  = 20               // open event streams of one address
	maxStreamsBy  = 10               // open event streams by one key, which may be used from one address by a proxy
	streamPulse   = 15 * time.Second // time between comments that keep a quiet stream open
	streamPatient = 10 * time.Second // how long a write may wait for a slow reader
)

// eventBody is one event. Its ID consists of a name of this process and a number that counts up from 1.
type eventBody struct {
	ID    string          `json:"id"`
	Time  string          `json:"time"`
	Type  watch.EventType `json:"type"`
	Node  string          `json:"node,omitzero"`
	VM    string          `json:"vm,omitzero"`
	Shard string          `json:"shard,omitzero"`
	Text  string          `json:"text"`
}

// eventsBody is the answer of GET /v1/cluster/events.
type eventsBody struct {
	Events []eventBody `json:"events"`
}

// events answers with the timeline: as one document, or as a stream of server-sent events (WHATWG HTML, section 9.2) for
// a caller who accepts that. Both begin after the event that ?since= or Last-Event-ID names.
func (a *api) events(r *http.Request) (answer, error) {
	if err := checkQuery(r, "since"); err != nil {
		return answer{}, err
	}
	since := a.eventNumber(queryOf(r).Get("since"))
	last, _, err := single(r, "Last-Event-Id")
	if err != nil {
		return answer{}, err
	}
	if last != "" {
		since = a.eventNumber(last)
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return a.streamAnswer(r, since)
	}
	events, _ := a.Events.Since(since)
	body := eventsBody{Events: make([]eventBody, 0, len(events))}
	for _, ev := range events {
		body.Events = append(body.Events, a.describeEvent(ev))
	}
	return jsonAnswer(body)
}

// eventNumber parses an event ID. It returns 0, the beginning, for an ID that this process did not issue.
func (a *api) eventNumber(id string) uint64 {
	boot, number, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	if boot != a.boot || err != nil {
		return 0
	}
	return n
}

func (a *api) describeEvent(ev watch.Event) eventBody {
	return eventBody{
		ID: a.boot + "-" + strconv.FormatUint(ev.ID, 10), Time: timestamp(ev.Time), Type: ev.Type,
		Node: ev.Node, VM: ev.VM, Shard: ev.Shard, Text: ev.Text,
	}
}

// streamAnswer reserves one of the streams; the stream releases it when it ends.
func (a *api) streamAnswer(r *http.Request, since uint64) (answer, error) {
	leave, err := a.takeStream(r)
	if err != nil {
		return answer{}, err
	}
	return answer{stream: func(w http.ResponseWriter, r *http.Request) {
		defer leave()
		a.stream(w, r, since)
	}}, nil
}

// takeStream takes one of the streams for the caller's address, and one for its key if it has one.
func (a *api) takeStream(r *http.Request) (leave func(), err error) {
	leaveAddress, err := a.streams.take(conns.AddressOf(r.RemoteAddr).String())
	if err != nil {
		return nil, err
	}
	key := callOf(r).key
	if key == "" {
		return leaveAddress, nil
	}
	leaveKey, err := a.streamsBy.take(key)
	if err != nil {
		leaveAddress()
		return nil, err
	}
	return func() { leaveKey(); leaveAddress() }, nil
}

// stream sends events as they happen, until the caller leaves or may see them no more, or the service stops.
func (a *api) stream(w http.ResponseWriter, r *http.Request, since uint64) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // otherwise nginx would buffer the events
	out := http.NewResponseController(w)
	send := func(text string) bool {
		_ = out.SetWriteDeadline(time.Now().Add(streamPatient)) // replaces the server's deadline, which is for a whole answer
		_, err := w.Write([]byte(text))
		return err == nil && out.Flush() == nil
	}
	pulse := time.NewTicker(streamPulse)
	defer pulse.Stop()
	if !send("retry: 1000\n\n") {
		return
	}
	for {
		events, more := a.Events.Since(since)
		for _, ev := range events {
			if !send(a.encodeEvent(ev)) {
				return
			}
			since = ev.ID
		}
		select {
		case <-more:
		case <-pulse.C:
			if a.Ops == OpsByKey && !a.isOperator(r) { // the key has expired, or is gone from the key file
				return
			}
			if !send(": still here\n\n") {
				return
			}
		case <-a.Draining:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (a *api) encodeEvent(ev watch.Event) string {
	body := a.describeEvent(ev)
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // only strings
	}
	return fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", body.ID, body.Type, data)
}
