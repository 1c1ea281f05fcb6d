package watch

import (
	"sync"
	"time"
)

// eventsKept bounds the timeline.
const eventsKept = 1000

// An Event is something that happened to the cluster, as this instance saw it.
type Event struct {
	ID    uint64 // counts from 1 in this process
	Time  time.Time
	Type  EventType
	Node  string // name of the node that the event is about; empty if none
	VM    string // of that node
	Shard string // name of the shard that the event is about; empty if none
	Text  string // the event in plain words
}

// An EventType is the stable name of a kind of event.
type EventType string

const (
	NodeSuspect     EventType = "node-suspect" // an answer is overdue, a connection broke, or it is loading its data
	NodeDown        EventType = "node-down"    // it has not answered for peer.DownAfter; its connections are closed
	NodeUp          EventType = "node-up"      // it answers again
	NodeJoined      EventType = "node-joined"
	NodeLeft        EventType = "node-left"
	NodeFailed      EventType = "node-failed" // a majority of masters agrees that it is down
	Promoted        EventType = "promoted"    // a replica has become master
	Rebalanced      EventType = "rebalanced"  // no VM holds two masters any more
	SlotsUncovered  EventType = "slots-uncovered"
	SlotsCovered    EventType = "slots-covered"
	SlotsMoved      EventType = "slots-moved"
	TopologyAdopted EventType = "topology-adopted" // this instance routes its commands by a new topology
	WritesStalled   EventType = "writes-stalled"   // writes to the shard have been waiting for stallShows
	WritesResumed   EventType = "writes-resumed"
	FailoverAsked   EventType = "failover-asked"  // this instance asked a replica to take over, by agreement with its master
	FailoverForced  EventType = "failover-forced" // this instance asked it to take over by election, without its master
	NodeFailing     EventType = "node-failing"    // why it does not answer, once for each reason
	LeaseGranted    EventType = "lease-granted"   // a majority of masters lets this instance take a replica's word
	LeaseRefused    EventType = "lease-refused"   // it does not
	MarkMade        EventType = "mark-made"       // a majority of masters knows that a replica may lack a write
	MarkRefused     EventType = "mark-refused"
	ClockStepped    EventType = "clock-stepped"  // a node's clock was set
	ForeignNode     EventType = "foreign-node"   // another node answers at its address, or it reports another cluster
	PromiseBroken   EventType = "promise-broken" // a promise does not hold, because of how a node is set or what it denies
	FindingMade     EventType = "finding"        // a promise may not hold, or is weaker
	FindingGone     EventType = "finding-gone"
)

// eventTypes are all of them.
var eventTypes = []EventType{
	NodeSuspect, NodeDown, NodeUp, NodeJoined, NodeLeft, NodeFailed, Promoted, Rebalanced, SlotsUncovered, SlotsCovered, SlotsMoved,
	TopologyAdopted, WritesStalled, WritesResumed, FailoverAsked, FailoverForced, NodeFailing, ForeignNode,
	LeaseGranted, LeaseRefused, MarkMade, MarkRefused, ClockStepped,
	PromiseBroken, FindingMade, FindingGone,
}

// Events is the timeline. It only keeps events. Listeners fetch them, so that a slow listener keeps nobody waiting. The
// zero value is ready to use. Its methods may be called concurrently.
type Events struct {
	mu    sync.Mutex
	last  uint64        // ID of the newest; guarded by mu
	kept  []Event       // the newest events, in order; guarded by mu
	fresh chan struct{} // closed when the next event comes; nil while nobody waits; guarded by mu
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

// Since returns those of the last 1000 events whose ID is greater than id, and a channel that is closed when the next event
// comes. For an ID that this process has not given yet, it returns all of them.
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
