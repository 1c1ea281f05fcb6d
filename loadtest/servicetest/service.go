// Package servicetest is an in-memory service for tests. It answers as the service does, and can be told to misbehave.
package servicetest

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// An Op is an operation of the API.
type Op string

const (
	Create Op = "create"
	Read   Op = "read"
	Update Op = "update"
	Patch  Op = "patch"
	Delete Op = "delete"
	Rotate Op = "rotate"
	List   Op = "list"
)

// A Fault is how one request is mishandled.
type Fault int

const (
	None            Fault = iota
	LoseWrite             // acknowledged, but not applied
	UndoWrite             // applied and acknowledged, and undone by the next write
	KeepDeleted           // a deletion that is acknowledged, but not applied
	AnswerStale           // a read of the write before the last
	ForgetSession         // a live session is not found, or not listed
	SpoilContent          // a read of a damaged payload
	ApplyTwice            // a write that takes effect twice
	Late                  // answered after a second
	UnknownApplied        // outcome-unknown, but applied
	UnknownDropped        // outcome-unknown, and never applied
	UnknownLinger         // outcome-unknown, and applied two seconds later
	Unavailable           // nothing applied
	LiesUnavailable       // promises that nothing was applied, but it was
	Hang                  // no answer before the timeout
)

// A Service keeps sessions in memory. It is an http.RoundTripper, so that a load can run in a synctest bubble. Handler serves
// it on a port.
type Service struct {
	mu       sync.Mutex
	fault    func(op Op, n int) Fault // guarded by mu, as is all below
	sessions map[string]*session
	counts   map[Op]int
	next     int
	perUser  map[string]int
	mostUser int
	rates    map[int]int // arrivals by second since start
	start    time.Time
}

// New makes a service without faults.
func New() *Service {
	f := &Service{sessions: map[string]*session{}, perUser: map[string]int{}}
	f.Fault(func(Op, int) Fault { return None })
	return f
}

// Fault sets the function that decides what goes wrong. n counts the operation's requests since this call, from 1 on.
func (f *Service) Fault(choose func(op Op, n int) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.counts, f.rates, f.start = choose, map[Op]int{}, map[int]int{}, time.Now()
}

// Heal ends all faults. Counting goes on.
func (f *Service) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = func(Op, int) Fault { return None }
}

// Rate returns the number of arrivals in a second, counted from the last call of Fault.
func (f *Service) Rate(second int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rates[second]
}

// MostOfOneUser returns the most live sessions that any user had at a time.
func (f *Service) MostOfOneUser() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mostUser
}

type session struct {
	id, user     string
	version      int
	data, before json.RawMessage
	deleted      bool
	movedTo      *session
	movedUntil   time.Time
}

func opOf(req *http.Request) Op {
	switch {
	case strings.HasPrefix(req.URL.Path, "/v1/users/"):
		return List
	case strings.HasSuffix(req.URL.Path, "/rotate"):
		return Rotate
	}
	return map[string]Op{"GET": Read, "POST": Create, "PUT": Update, "PATCH": Patch, "DELETE": Delete}[req.Method]
}

// RoundTrip answers as the service does, apart from the chosen fault.
func (f *Service) RoundTrip(req *http.Request) (*http.Response, error) {
	op := opOf(req)
	var body struct {
		User, Grace string
		Data        json.RawMessage
	}
	if req.Body != nil {
		raw, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, &body); err != nil && len(raw) > 0 {
			return nil, err
		}
	}
	f.mu.Lock()
	f.rates[int(time.Since(f.start)/time.Second)]++
	f.counts[op]++
	what := f.fault(op, f.counts[op])
	f.mu.Unlock()
	switch what {
	case Late:
		time.Sleep(time.Second)
	case Hang:
		<-req.Context().Done()
		return nil, req.Context().Err()
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	id := strings.TrimSuffix(strings.TrimPrefix(req.URL.Path, "/v1/sessions/"), "/rotate")
	s := f.find(id)
	switch what {
	case Unavailable:
		return problemResponse(503, "unavailable"), nil
	case UnknownDropped:
		return problemResponse(503, "outcome-unknown"), nil
	case UnknownLinger:
		if s != nil {
			time.AfterFunc(2*time.Second, func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				if match := req.Header.Get("If-Match"); match == "" || match == etag(s.version) {
					f.apply(op, s, body.Data)
				}
			})
		}
		return problemResponse(503, "outcome-unknown"), nil
	}
	if op == List {
		listed := f.ofUser(strings.Split(req.URL.Path, "/")[3])
		if what == ForgetSession && len(listed) > 0 {
			listed = listed[1:]
		}
		return response(200, "", map[string]any{"sessions": listed}), nil
	}
	if op == Create {
		f.next++
		s = &session{id: issue(f.next), user: body.User, version: 1, data: body.Data}
		f.perUser[s.user]++
		if s.user != "" {
			f.mostUser = max(f.mostUser, f.perUser[s.user])
		}
		f.sessions[s.id] = s
	}
	switch {
	case s == nil || s.deleted:
		if op == Delete {
			return response(204, "", nil), nil
		}
		return problemResponse(404, "not-found"), nil
	case what == ForgetSession:
		return problemResponse(404, "not-found"), nil
	case op == Read:
		data := s.data
		version := s.version
		if what == AnswerStale && s.before != nil {
			data, version = s.before, version-1
		}
		if what == SpoilContent {
			data = bytes.Replace(data, []byte(`"p":"`), []byte(`"p":"!`), 1)
		}
		return response(200, etag(version), map[string]any{"handle": handle(s.id), "version": version, "data": data}), nil
	case op == Update || op == Patch:
		if match := req.Header.Get("If-Match"); match != "" && match != etag(s.version) {
			return problemResponse(412, "version-mismatch"), nil
		}
	}
	reported := s.version + 1
	switch what {
	case LoseWrite:
	case KeepDeleted:
		return response(204, "", nil), nil
	default:
		s = f.apply(op, s, body.Data)
		reported = s.version
	}
	switch what {
	case ApplyTwice:
		f.apply(op, s, body.Data)
		reported = s.version
	case UndoWrite:
		s.version--
		s.data = s.before
	case UnknownApplied:
		return problemResponse(503, "outcome-unknown"), nil
	case LiesUnavailable:
		return problemResponse(503, "unavailable"), nil
	}
	if op == Delete {
		return response(204, "", nil), nil
	}
	res := response(200, etag(reported), nil)
	if op == Create || op == Rotate {
		res.Header.Set("Session-ID", s.id)
	}
	res.Header.Add("Preference-Applied", "return=minimal")
	res.Header.Add("Preference-Applied", "durability=replicated")
	return res, nil
}

// ofUser returns the list of a user's sessions.
func (f *Service) ofUser(user string) []map[string]string {
	listed := []map[string]string{}
	for _, s := range f.sessions {
		if s.user == user && !s.deleted && s.movedTo == nil {
			listed = append(listed, map[string]string{"handle": handle(s.id)})
		}
	}
	return listed
}

func (f *Service) find(id string) *session {
	s := f.sessions[id]
	for s != nil && s.movedTo != nil {
		if time.Now().After(s.movedUntil) { // reuse: the session is revoked
			for at := s; at != nil; at = at.movedTo {
				at.deleted = true
			}
			return nil
		}
		s = s.movedTo
	}
	return s
}

func (f *Service) apply(op Op, s *session, data json.RawMessage) *session {
	if s.deleted || s.movedTo != nil {
		return s
	}
	switch op {
	case Update:
		s.before, s.data = s.data, data
		s.version++
	case Patch:
		var old, change map[string]json.RawMessage
		if json.Unmarshal(s.data, &old) != nil || json.Unmarshal(data, &change) != nil {
			panic("no objects")
		}
		maps.Copy(old, change)
		s.before = s.data
		s.data, _ = json.Marshal(old)
		s.version++
	case Delete:
		s.deleted = true
		f.perUser[s.user]--
	case Rotate:
		f.next++
		next := &session{id: issue(f.next), user: s.user, version: s.version + 1, data: s.data, before: nil}
		f.sessions[next.id] = next
		s.movedTo, s.movedUntil = next, time.Now().Add(30*time.Second)
		return next
	}
	return s
}

// issue makes an ID of the published format (docs/ids.md). Each has another tag, and thus another slot.
func issue(n int) string {
	raw := make([]byte, 24)
	raw[0] = 1
	binary.BigEndian.PutUint16(raw[1:], uint16(n))
	binary.BigEndian.PutUint64(raw[16:], uint64(n))
	return base64.RawURLEncoding.EncodeToString(raw)
}

// handle returns the public name of an issued ID of the tenant "default" (docs/ids.md).
func handle(id string) string {
	raw, _ := base64.RawURLEncoding.DecodeString(id)
	sum := sha512.Sum512([]byte("session/1\x00default\x00" + id))
	return base64.RawURLEncoding.EncodeToString(raw[1:3]) + base64.RawURLEncoding.EncodeToString(sum[:16])
}

func etag(version int) string { return fmt.Sprintf(`"life.%d"`, version) }

func response(status int, etag string, body any) *http.Response {
	raw := []byte{}
	if body != nil {
		raw, _ = json.Marshal(body)
	}
	res := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(raw)), ContentLength: int64(len(raw))}
	if etag != "" {
		res.Header.Set("ETag", etag)
	}
	return res
}

func problemResponse(status int, kind string) *http.Response {
	res := response(status, "", map[string]any{"type": "urn:sessiond:" + kind, "status": status})
	res.Header.Set("Content-Type", "application/problem+json")
	return res
}
