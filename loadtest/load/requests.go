package load

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/loadtest/ledger"
)

// A plan is an arrival whose operation, session and size are decided.
type plan struct {
	op       Op
	intended time.Time
	seat     int // -1 for a retired ID and a list
	at       seat
	size     int // of the padding
	guarded  bool
}

// The headers of each kind of request. All requests share them, and nothing changes them.
type headers struct{ read, write, patch, remove http.Header }

func newHeaders(cfg Config, bearer string) headers {
	base := http.Header{}
	if bearer != "" {
		base.Set("Authorization", bearer)
	}
	with := func(pairs ...string) http.Header {
		h := base.Clone()
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] != "" {
				h.Set(pairs[i], pairs[i+1])
			}
		}
		return h
	}
	prefer, durability := "return=minimal", ""
	if cfg.Durability != "" {
		durability = "durability=" + cfg.Durability
		prefer += ", " + durability
	}
	return headers{
		read:   with("Prefer", cfg.Prefer),
		write:  with("Content-Type", "application/json", "Prefer", prefer),
		patch:  with("Content-Type", "application/merge-patch+json", "Prefer", prefer),
		remove: with("Prefer", durability),
	}
}

// execute carries out a plan: it tells the ledger, sends, judges, returns the seat and records the result.
func (g *Generator) execute(ctx context.Context, p plan) Result {
	r := Result{Op: p.op, Key: p.at.id, Intended: p.intended}
	switch p.op {
	case Read:
		g.read(ctx, &p, &r)
	case List:
		r.User, r.Key = p.at.user, ""
		g.list(ctx, &p, &r)
	default:
		g.write(ctx, &p, &r)
	}
	switch {
	case r.Key != "":
		r.Slot = SlotIn(g.cfg.Tenant, r.Key)
	case r.User != "":
		r.Slot = UserSlot(g.cfg.Tenant, r.User)
	}
	return r
}

// exchange sends a request and notes what every answer has.
func (g *Generator) exchange(ctx context.Context, r *Result, c call) reply {
	r.Sent = time.Now()
	got := g.client.do(ctx, c)
	r.Done = time.Now()
	r.Target, r.Redials, r.Status, r.Err = got.target, got.redials, got.status, got.err
	r.Problem = problemOf(got)
	if values := got.header.Values("Preference-Applied"); len(values) > 0 {
		r.PreferenceApplied = values[0]
		for _, v := range values[1:] {
			r.PreferenceApplied += ", " + v
		}
	}
	r.SessionSource = got.header.Get("Session-Source")
	return got
}

// An answer has the members of a session that the load needs.
type answer struct {
	ID      string         `json:"id"`
	Version uint64         `json:"version"`
	Data    jsontext.Value `json:"data"`
}

func (g *Generator) read(ctx context.Context, p *plan, r *Result) {
	judge := g.cfg.Ledger.Read(p.at.id)
	got := g.exchange(ctx, r, call{method: http.MethodGet, path: "/v1/sessions/" + p.at.id, header: g.headers.read})
	r.Verdict, r.Outcome = judgeRead(judge, got)
	r.Failed = r.Outcome == Refused || r.Verdict != ledger.OK
	if !g.named.Load() && bytes.Contains(got.body, []byte(handleOf(g.cfg.Tenant, p.at.id))) {
		g.named.Store(true)
	}
	if r.Status == http.StatusNotFound && p.seat >= 0 {
		g.pool.gone(p.seat, p.at.id)
	}
}

// judgeRead tells the ledger what a read returned.
func judgeRead(judge *ledger.Read, got reply) (ledger.Verdict, Outcome) {
	if !judge.Known() && (got.status == http.StatusOK || got.status == http.StatusNotFound) {
		return ledger.OK, Answered // a retired ID that was forgotten before its read began: nothing can be said of it
	}
	switch got.status {
	case http.StatusOK:
		var s answer
		if err := json.Unmarshal(got.body, &s); err != nil {
			s = answer{} // no content is corrupt content
		}
		return judge.Found(s.Version, s.Data), Answered
	case http.StatusNotFound:
		return judge.Missing(), Answered
	}
	judge.Failed()
	return ledger.OK, Refused
}

// list asks for a user's sessions. All sessions that did not change in the meantime must be listed, once an answer has shown
// that their handles are computed correctly.
func (g *Generator) list(ctx context.Context, p *plan, r *Result) {
	before := g.pool.settled(p.at.user)
	looks := map[string]*ledger.Listing{}
	for id := range before {
		looks[id] = g.cfg.Ledger.List(id)
	}
	got := g.exchange(ctx, r, call{method: http.MethodGet, path: "/v1/users/" + url.PathEscape(p.at.user) + "/sessions", header: g.headers.read})
	listed, whole := listing(got)
	after := g.pool.settled(p.at.user)
	for id, look := range looks {
		if !whole || !g.named.Load() || !after[id] || listed[handleOf(g.cfg.Tenant, id)] {
			continue
		}
		if v := look.Absent(); v != ledger.OK {
			r.Verdict = v
		}
	}
	r.Outcome = Answered
	if got.status != http.StatusOK {
		r.Outcome = Refused
	}
	r.Failed = r.Outcome == Refused || r.Verdict != ledger.OK
}

// listing returns the handles in a list, and whether the list is complete.
func listing(got reply) (handles map[string]bool, whole bool) {
	var page struct {
		Sessions []struct {
			Handle string `json:"handle"`
		} `json:"sessions"`
		NextCursor string `json:"next_cursor"`
	}
	if got.status != http.StatusOK || json.Unmarshal(got.body, &page) != nil {
		return nil, false
	}
	handles = map[string]bool{}
	for _, s := range page.Sessions {
		handles[s.Handle] = true
	}
	return handles, page.NextCursor == ""
}

// write carries out any operation that changes a session. The seat is already taken.
func (g *Generator) write(ctx context.Context, p *plan, r *Result) {
	w, c := g.begin(p, r)
	got := g.exchange(ctx, r, c)
	r.Outcome = outcomeOf(got, r.Problem)
	after := p.at
	after.etag = ""
	switch r.Outcome {
	case Acknowledged:
		g.acknowledged(p, r, w, got, &after)
	case Missing:
		r.Verdict = w.Missing()
		after = seat{}
	case Conflict:
		r.Verdict = w.Conflict()
	case Unknown:
		w.Unknown()
		if p.op == Rotate {
			g.rotatedPerhaps(r.Sent, p, &after)
		}
	default:
		w.Refuse()
		after.etag = p.at.etag
	}
	expected := r.Outcome == Acknowledged || r.Outcome == Missing || r.Outcome == Conflict
	r.Failed = !expected || r.Verdict != ledger.OK
	g.pool.put(p.seat, after)
}

// begin enters the write in the ledger and builds its request.
func (g *Generator) begin(p *plan, r *Result) (*ledger.Write, call) {
	c := call{method: http.MethodPut, path: "/v1/sessions/" + p.at.id, header: g.headers.write}
	l, padding := g.cfg.Ledger, g.padding[:p.size]
	switch p.op {
	case Create:
		r.User = p.at.user
		w := l.Create(g.cfg.Lifetime)
		c.method, c.path = http.MethodPost, "/v1/sessions"
		c.body = g.createBody(p.at.user, w.Data(padding))
		return w, c
	case Delete:
		c.method, c.header = http.MethodDelete, g.headers.remove
		return l.Delete(p.at.id), c
	case Rotate:
		c.method, c.path, c.body = http.MethodPost, c.path+"/rotate", g.rotateBody
		return l.Rotate(p.at.id, g.cfg.Grace), c
	case Patch:
		c.method, c.header = http.MethodPatch, g.headers.patch
	}
	guard := uint64(0)
	if p.guarded && p.at.etag != "" {
		guard = versionOf(p.at.etag)
		c.header = maps.Clone(c.header)
		c.header["If-Match"] = []string{p.at.etag}
	}
	w := l.Write(p.at.id, guard)
	content := w.Data(padding)
	if p.op == Patch {
		content = w.Patch(padding)
	}
	c.body = append(append([]byte(`{"data":`), content...), '}')
	return w, c
}

func (g *Generator) createBody(user string, data []byte) []byte {
	b := []byte(`{"idle_ttl":"` + g.cfg.Lifetime.Idle.String() + `","max_ttl":"` + g.cfg.Lifetime.Max.String() + `",`)
	if user != "" {
		b = append(strconv.AppendQuote(append(b, `"user":`...), user), ',')
	}
	return append(append(append(b, `"data":`...), data...), '}')
}

// acknowledged judges an applied write and notes the session's new state.
func (g *Generator) acknowledged(p *plan, r *Result, w *ledger.Write, got reply, after *seat) {
	etag, id := got.header.Get("ETag"), got.header.Get("Session-ID")
	version := versionOf(etag)
	if version == 0 || id == "" {
		var s answer // from a server that does not support return=minimal
		if err := json.Unmarshal(got.body, &s); err == nil {
			id, version = cmp.Or(id, s.ID), cmp.Or(version, s.Version)
		}
	}
	if id == "" && (p.op == Create || p.op == Rotate) { // a 2xx without an ID is useless
		r.Outcome, r.Verdict = Unknown, ledger.Corrupt
		w.Unknown()
		*after = seat{}
		return
	}
	r.Verdict = w.Ack(id, version)
	after.etag = etag
	switch p.op {
	case Create:
		after.id, r.Key = id, id
	case Delete:
		g.pool.retire(p.at.id, time.Time{})
		*after = seat{}
	case Rotate:
		until := time.Time{}
		if g.cfg.Grace > 0 {
			until = r.Sent.Add(g.cfg.Grace / 2)
		}
		g.pool.retire(p.at.id, until)
		after.id, after.turnBy = id, time.Time{}
	}
}

// rotatedPerhaps keeps a session whose rotation has an unknown outcome for as long as its old ID may be used: a second
// rotation has the same successor. Without a grace, the new ID can never be learned.
func (g *Generator) rotatedPerhaps(sent time.Time, p *plan, after *seat) {
	if after.turnBy.IsZero() {
		after.turnBy = sent.Add(g.cfg.Grace / 2)
	}
	if g.cfg.Grace == 0 || !time.Now().Before(after.turnBy) {
		g.abandon(p.at.id)
		*after = seat{}
	}
}

// abandon gives up a session whose ID must no longer be used.
func (g *Generator) abandon(id string) {
	g.cfg.Ledger.Forget(id)
	g.abandoned.Add(1)
}
