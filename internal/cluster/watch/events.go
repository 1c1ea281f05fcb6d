package watch

import (
	"sync"
	"time"
)

// eventsKept bounds the events that are remembered.
const eventsKept = 1000

// An Event is one step in the life of the cluster, as this instance saw it.
type Event struct {
	ID    uint64 // counts from 1 in this process
	Time  time.Time
	Type  EventType
	Node  string // its name, if the event is about one
	VM    string
	Shard string // its name, if the event is about one
	Text  string // in plain words
}

// An EventType is a stable name.
type EventType string

const (
	NodeSuspect     EventType = "node-suspect" // it owes an answer, or a connection broke
	NodeDown        EventType = "node-down"    // it has owed one too long; its connections are closed
	NodeUp          EventType = "node-up"      // it answers again
	NodeJoined      EventType = "node-joined"
	NodeLeft        EventType = "node-left"
	NodeFailed      EventType = "node-failed" // a majority of masters says that it is down
	Promoted        EventType = "promoted"    // a replica has become master
	Rebalanced      EventType = "rebalanced"  // every VM with nodes that are well holds one master again
	SlotsUncovered  EventType = "slots-uncovered"
	SlotsCovered    EventType = "slots-covered"
	SlotsMoved      EventType = "slots-moved"
	TopologyAdopted EventType = "topology-adopted" // this instance sends its commands accordingly
	WritesStalled   EventType = "writes-stalled"   // writes to the shard have been waiting for a moment
	WritesResumed   EventType = "writes-resumed"
	FailoverAsked   EventType = "failover-asked" // this instance asked a replica to take over
	FailoverForced  EventType = "failover-forced"
)

// eventTypes are all of them.
var eventTypes = []EventType{
	NodeSuspect, NodeDown, NodeUp, NodeJoined, NodeLeft, NodeFailed, Promoted, Rebalanced, SlotsUncovered, SlotsCovered, SlotsMoved,
	TopologyAdopted, WritesStalled, WritesResumed, FailoverAsked, FailoverForced,
}

// Events is the timeline. It only remembers: whoever wants to hear of events asks for them, so that a slow listener keeps
// nobody waiting. The zero value is ready to use, and its methods may be called concurrently.
type Events struct {
	mu    sync.Mutex
	last  uint64        // ID of the newest; guarded by mu
	kept  []Event       // the newest, in order; guarded by mu
	fresh chan struct{} // closed when another comes; guarded by mu, nil while nobody waits
}

func (e *Events) add(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	ev.ID, ev.Time = e.last, time.Now().UTC()
	if len(e.kept) == eventsKept {
		e.kept = append(e.kept[:0], e.kept[1:]...)
	}
	e.kept = append(e.kept, ev)
	if e.fresh != nil {
		close(e.fresh)
		e.fresh = nil
	}
}

// Since returns the events with an ID above id, of the last 1000, and a channel that is closed when there are more. An
// ID that this process never gave returns all.
func (e *Events) Since(id uint64) ([]Event, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if id > e.last {
		id = 0
	}
	if e.fresh == nil {
		e.fresh = make(chan struct{})
	}
	var since []Event
	for _, ev := range e.kept {
		if ev.ID > id {
			since = append(since, ev)
		}
	}
	return since, e.fresh
}
