package audit

import (
	"crypto/rand"
	"time"
)

// An Action is the stable name of what was done.
type Action string

const (
	RevokeUser    Action = "revoke-user"    // all of a user's sessions, or all but one
	RevokeHandle  Action = "revoke-handle"  // one session of a user
	Walk          Action = "walk"           // a page of all sessions of a tenant
	ReloadKeys    Action = "reload-keys"    // the key file is read again
	AskFailover   Action = "ask-failover"   // a replica is asked to take over, by agreement with its master
	ForceFailover Action = "force-failover" // a replica is asked to take over by election, without its master
	Rebalance     Action = "rebalance"      // masters are moved back to their VMs
	Refuse        Action = "refuse"         // a call was answered 401 or 403
)

// The values of Entry.By.
const (
	Caller  = "caller"  // of the API
	Service = "service" // by itself
	Signal  = "signal"  // to the process
	Command = "command" // that somebody has run
)

// An Entry says who does what. Lines leave out what is empty.
type Entry struct {
	Action    Action `json:"action"`
	By        string `json:"by"`
	Key       string `json:"key,omitzero"`    // ID of the caller's API key
	Tenant    string `json:"tenant,omitzero"` // that the caller acts for
	From      string `json:"from,omitzero"`   // address that the request came from, or the user ID of who ran the command
	RequestID string `json:"request_id,omitzero"`
	Call      string `json:"call,omitzero"`    // method and route of the request
	User      string `json:"user,omitzero"`    // whose sessions it is about; lines hold a hash of the name, see Config
	Session   string `json:"session,omitzero"` // handle of the session that it is about, or that it spares
	Shard     string `json:"shard,omitzero"`
	Node      string `json:"node,omitzero"` // that is asked
	Detail    string `json:"detail,omitzero"`
}

// A line is what stands in the log.
type line struct {
	Time time.Time `json:"time"`
	Act  string    `json:"act,omitzero"`  // the same in the two lines of one act
	Step string    `json:"step,omitzero"` // of an act: before or after
	Entry
	Outcome string `json:"outcome,omitzero"` // Done, Failed, or the problem type of the answer; of the line after, and of refusals
	LeftOut int64  `json:"left_out,omitzero"`
	Lost    int64  `json:"lost,omitzero"`
}

// The outcomes of acts that have no problem type.
const (
	Done   = "done"
	Failed = "failed"
)

// An Act has begun: the line before it is written. A nil one has no lines.
type Act struct {
	log   *Log
	entry Entry
	id    string
}

// Begin writes the line before an act. If it cannot, and the log is required, the error is ErrUnavailable, and the act must
// not happen.
func (l *Log) Begin(e Entry) (*Act, error) {
	if l == nil {
		return nil, nil
	}
	a := &Act{l, e, rand.Text()[:12]}
	err := l.write(line{Act: a.id, Step: "before", Entry: e}, l.cfg.Required)
	if err != nil && l.cfg.Required {
		return nil, err
	}
	return a, nil
}

// End writes the line after the act, with its outcome, and details if there are any. If it cannot, the line counts as lost: the
// act has happened.
func (a *Act) End(outcome, detail string) {
	if a == nil {
		return
	}
	if detail != "" {
		a.entry.Detail = detail
	}
	_ = a.log.write(line{Act: a.id, Step: "after", Entry: a.entry, Outcome: outcome}, false)
}

// EndWith ends the act with its error, or as done with details.
func (a *Act) EndWith(err error, detail string) {
	if err != nil {
		a.End(Failed, err.Error())
		return
	}
	a.End(Done, detail)
}
