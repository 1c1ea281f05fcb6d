package keys

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sessiond/sessiond/internal/session"
)

// file is the form of the key file.
type file struct {
	Tenants map[string]tenant `json:"tenants"`
	Keys    []key             `json:"keys"`
}

// tenant holds the limits that a tenant sets for itself. The defaults apply to the others.
type tenant struct {
	DefaultIdleTTL  session.Duration `json:"default_idle_ttl"`
	DefaultMaxTTL   session.Duration `json:"default_max_ttl"`
	TTLLimit        session.Duration `json:"ttl_limit"`
	SessionsPerUser *int             `json:"sessions_per_user"`
	OnLimit         OnLimit          `json:"on_limit"`
	MaxBodyBytes    *int64           `json:"max_body_bytes"`

	RequestsPerSecond *float64 `json:"requests_per_second"`
	Burst             *int     `json:"burst"`
	RequestsInFlight  *int     `json:"requests_in_flight"`
	MaxSessions       *int64   `json:"max_sessions"`
	MaxBytes          *int64   `json:"max_bytes"`
	Weight            *int     `json:"weight"`
}

type key struct {
	ID         string     `json:"id"`          // its public name; without one, the first digits of the hash stand for it
	SHA256     string     `json:"sha256"`      // hexadecimal
	CertSHA256 string     `json:"cert_sha256"` // instead: of the SubjectPublicKeyInfo of a client certificate
	Tenant     string     `json:"tenant"`
	Scopes     []string   `json:"scopes"`
	Expires    *time.Time `json:"expires"` // RFC 3339; nil for never
}

// contents are what a key file says.
type contents struct {
	keys    map[hash]*entry
	tenants map[string]tenant
}

// An entry is one key of the file.
type entry struct {
	grant   Grant
	expires time.Time     // zero for never
	used    *atomic.Int64 // Unix time in seconds of the last use since the program began; 0 for none
}

func parse(b []byte, defaults Limits) (contents, error) {
	var f file
	if err := json.UnmarshalRead(bytes.NewReader(b), &f, json.RejectUnknownMembers(true)); err != nil {
		return contents{}, err
	}
	if len(f.Keys) == 0 {
		return contents{}, errors.New("the file has no keys: nobody could call the service")
	}
	tenants := map[string]Grant{}
	for name, t := range f.Tenants {
		grant, err := t.grant(name, defaults)
		if err != nil {
			return contents{}, err
		}
		tenants[name] = grant
	}
	c, ids := contents{map[hash]*entry{}, f.Tenants}, map[string]bool{}
	for i, k := range f.Keys {
		sum, e, err := k.entry(tenants)
		switch {
		case err != nil:
		case c.keys[sum] != nil:
			err = errors.New("the file lists this sha256 more than once")
		case ids[e.grant.Key]:
			err = fmt.Errorf("another key has the id %q too", e.grant.Key)
		}
		if err != nil {
			return contents{}, fmt.Errorf("key %d: %w", i+1, err)
		}
		c.keys[sum], ids[e.grant.Key] = e, true
	}
	return c, nil
}

// grant is what the tenant's keys have in common. It has no scopes yet.
func (t tenant) grant(name string, limits Limits) (Grant, error) {
	p := &limits.Policy
	setDuration(&p.DefaultIdle, t.DefaultIdleTTL)
	setDuration(&p.DefaultMax, t.DefaultMaxTTL)
	setDuration(&p.TTLLimit, t.TTLLimit)
	set(&p.MaxPerUser, t.SessionsPerUser)
	set(&limits.MaxBody, t.MaxBodyBytes)
	t.setQuota(&limits.Quota)
	switch t.OnLimit {
	case "":
	case Deny, EvictOldest:
		p.EvictOldest = t.OnLimit == EvictOldest
	default:
		return Grant{}, fmt.Errorf("tenant %s: on_limit must be deny or evict-oldest, not %q", name, t.OnLimit)
	}
	return NewGrant(name, 0, limits)
}

func (t tenant) setQuota(q *Quota) {
	set(&q.PerSecond, t.RequestsPerSecond)
	set(&q.Burst, t.Burst)
	set(&q.InFlight, t.RequestsInFlight)
	set(&q.Sessions, t.MaxSessions)
	set(&q.Bytes, t.MaxBytes)
	set(&q.Weight, t.Weight)
}

func set[T any](limit, own *T) {
	if own != nil {
		*limit = *own
	}
}

func setDuration(limit *time.Duration, own session.Duration) {
	if own.Duration > 0 {
		*limit = own.Duration
	}
}

// entry gives the key its tenant's grant with its own scopes.
func (k key) entry(tenants map[string]Grant) (hash, *entry, error) {
	grant, ok := tenants[k.Tenant]
	if !ok {
		return hash{}, nil, fmt.Errorf("unknown tenant %q: the file defines %q", k.Tenant, slices.Sorted(maps.Keys(tenants)))
	}
	sum, err := k.hash()
	if err != nil {
		return hash{}, nil, err
	}
	if grant.Key, err = k.id(sum); err != nil {
		return hash{}, nil, err
	}
	if grant.Scopes, err = parseScopes(k.Scopes); err != nil {
		return hash{}, nil, err
	}
	grant.byCert = k.CertSHA256 != ""
	e := &entry{grant: grant, used: new(atomic.Int64)}
	if k.Expires != nil {
		e.expires = *k.Expires
	}
	return sum, e, nil
}

// keyID matches the ID of a key. It stands in logs and metrics, so it admits nothing that could forge a line.
var keyID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// idDigits is how many digits of its hash stand for a key that has no ID.
const idDigits = 8

func (k key) id(sum hash) (string, error) {
	switch {
	case k.ID == "":
		return hex.EncodeToString(sum[:])[:idDigits], nil
	case !keyID.MatchString(k.ID):
		return "", errors.New("an id has 1 to 64 characters from A-Z a-z 0-9 . _ -")
	case sha256.Sum256([]byte(k.ID)) == sum:
		return "", errors.New("the id is the key itself: an id is public")
	}
	return k.ID, nil
}

func (k key) hash() (hash, error) {
	if k.SHA256 != "" && k.CertSHA256 != "" {
		return hash{}, errors.New("sha256 and cert_sha256 exclude each other: give the certificate a key of its own")
	}
	sum, err := hex.DecodeString(cmp.Or(k.SHA256, k.CertSHA256))
	if err != nil || len(sum) != sha256.Size {
		return hash{}, errors.New("sha256 or cert_sha256 must be 64 hexadecimal digits")
	}
	if hash(sum) == sha256.Sum256(nil) {
		return hash{}, errors.New("sha256 is the hash of the empty string")
	}
	return hash(sum), nil
}

func parseScopes(names []string) (Scope, error) {
	var scopes Scope
	for _, name := range names {
		switch name {
		case "read":
			scopes |= Read
		case "write":
			scopes |= Write
		case "admin":
			scopes |= Admin
		case "ops":
			scopes |= Ops
		default:
			return 0, fmt.Errorf("unknown scope %q: want read, write, admin or ops", name)
		}
	}
	return scopes, nil
}
