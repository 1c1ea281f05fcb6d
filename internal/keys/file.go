package keys

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
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
}

type key struct {
	SHA256 string   `json:"sha256"` // hexadecimal
	Tenant string   `json:"tenant"`
	Scopes []string `json:"scopes"`
}

func parse(b []byte, defaults Limits) (map[hash]Grant, error) {
	var f file
	if err := json.UnmarshalRead(bytes.NewReader(b), &f, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if len(f.Keys) == 0 {
		return nil, errors.New("the file has no keys: nobody could call the service")
	}
	tenants := map[string]Grant{}
	for name, t := range f.Tenants {
		grant, err := t.grant(name, defaults)
		if err != nil {
			return nil, err
		}
		tenants[name] = grant
	}
	grants := map[hash]Grant{}
	for i, k := range f.Keys {
		if err := k.add(grants, tenants); err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
	}
	return grants, nil
}

// grant is what the tenant's keys have in common. It has no scopes yet.
func (t tenant) grant(name string, limits Limits) (Grant, error) {
	p := &limits.Policy
	setDuration(&p.DefaultIdle, t.DefaultIdleTTL)
	setDuration(&p.DefaultMax, t.DefaultMaxTTL)
	setDuration(&p.TTLLimit, t.TTLLimit)
	if t.SessionsPerUser != nil {
		p.MaxPerUser = *t.SessionsPerUser
	}
	if t.MaxBodyBytes != nil {
		limits.MaxBody = *t.MaxBodyBytes
	}
	switch t.OnLimit {
	case "":
	case Deny, EvictOldest:
		p.EvictOldest = t.OnLimit == EvictOldest
	default:
		return Grant{}, fmt.Errorf("tenant %s: on_limit must be deny or evict-oldest, not %q", name, t.OnLimit)
	}
	return NewGrant(name, 0, limits)
}

func setDuration(limit *time.Duration, own session.Duration) {
	if own.Duration > 0 {
		*limit = own.Duration
	}
}

// add gives the key its tenant's grant with its own scopes.
func (k key) add(grants map[hash]Grant, tenants map[string]Grant) error {
	grant, ok := tenants[k.Tenant]
	if !ok {
		return fmt.Errorf("unknown tenant %q: the file defines %q", k.Tenant, slices.Sorted(maps.Keys(tenants)))
	}
	sum, err := k.hash()
	if err != nil {
		return err
	}
	if _, ok := grants[sum]; ok {
		return errors.New("the file lists this sha256 more than once")
	}
	grant.Scopes, err = parseScopes(k.Scopes)
	grants[sum] = grant
	return err
}

func (k key) hash() (hash, error) {
	sum, err := hex.DecodeString(k.SHA256)
	if err != nil || len(sum) != sha256.Size {
		return hash{}, errors.New("sha256 must be 64 hexadecimal digits")
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
		default:
			return 0, fmt.Errorf("unknown scope %q: want read, write or admin", name)
		}
	}
	return scopes, nil
}
