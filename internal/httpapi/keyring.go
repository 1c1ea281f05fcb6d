package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync/atomic"

	"github.com/go-json-experiment/json"

	"github.com/sessiond/sessiond/internal/session"
)

// A Keyring knows the API keys of a file, which docs/keys.md describes. The file holds their hashes only.
type Keyring struct {
	path     string
	defaults Limits
	grants   atomic.Pointer[map[[sha256.Size]byte]Grant]
}

// Limits are what a tenant may have, as far as the key file does not say otherwise.
type Limits struct {
	Policy  session.Policy
	MaxBody int64
}

// keyFile is the form of the file.
type keyFile struct {
	Tenants map[string]tenantLimits `json:"tenants"`
	Keys    []struct {
		SHA256 string   `json:"sha256"`
		Tenant string   `json:"tenant"`
		Scopes []string `json:"scopes"`
	} `json:"keys"`
}

// tenantLimits are one tenant's own; what is missing is the default.
type tenantLimits struct {
	DefaultIdleTTL  ttl     `json:"default_idle_ttl"`
	DefaultMaxTTL   ttl     `json:"default_max_ttl"`
	TTLLimit        ttl     `json:"ttl_limit"`
	SessionsPerUser *int    `json:"sessions_per_user"`
	OnLimit         OnLimit `json:"on_limit"`
	MaxBodyBytes    *int64  `json:"max_body_bytes"`
}

// OnLimit says what one session more than a user may have does: "deny" or "evict-oldest". Empty is not given.
type OnLimit string

// EvictsOldest reports whether the oldest goes.
func (o OnLimit) EvictsOldest() bool { return o == "evict-oldest" }

// LoadKeyring reads the file.
func LoadKeyring(path string, defaults Limits) (*Keyring, error) {
	k := &Keyring{path: path, defaults: defaults}
	return k, k.Reload()
}

// Reload reads the file again. If it cannot be used, the keys stay as they are.
func (k *Keyring) Reload() error {
	b, err := os.ReadFile(k.path)
	if err != nil {
		return err
	}
	grants, err := parseKeys(b, k.defaults)
	if err != nil {
		return fmt.Errorf("%s: %w", k.path, err)
	}
	k.grants.Store(&grants)
	return nil
}

// Grant is what the bearer of a key may do. The key is looked up by its hash, so the time it takes tells nothing of the
// keys that there are.
func (k *Keyring) Grant(bearer string) (Grant, bool) {
	if bearer == "" {
		return Grant{}, false
	}
	g, ok := (*k.grants.Load())[sha256.Sum256([]byte(bearer))]
	return g, ok
}

var scopeNames = map[string]Scope{"read": Read, "write": Write, "admin": Admin}

func parseKeys(b []byte, defaults Limits) (map[[sha256.Size]byte]Grant, error) {
	var file keyFile
	if err := json.UnmarshalRead(bytes.NewReader(b), &file, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	tenants := map[string]Grant{}
	for name, own := range file.Tenants {
		grant, err := own.grant(name, defaults)
		if err != nil {
			return nil, err
		}
		tenants[name] = grant
	}
	grants := map[[sha256.Size]byte]Grant{}
	for i, key := range file.Keys {
		grant, ok := tenants[key.Tenant]
		if !ok {
			return nil, fmt.Errorf("key %d: the tenant %q is not among %q", i+1, key.Tenant, sortedNames(tenants))
		}
		for _, s := range key.Scopes {
			if scopeNames[s] == 0 {
				return nil, fmt.Errorf("key %d: unknown scope %q", i+1, s)
			}
			grant.Scopes |= scopeNames[s]
		}
		hash, err := hex.DecodeString(key.SHA256)
		if err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("key %d: sha256 is not 64 hexadecimal digits", i+1)
		}
		if [sha256.Size]byte(hash) == sha256.Sum256(nil) {
			return nil, fmt.Errorf("key %d is the hash of the empty string", i+1)
		}
		if _, twice := grants[[sha256.Size]byte(hash)]; twice {
			return nil, fmt.Errorf("key %d stands there twice", i+1)
		}
		grants[[sha256.Size]byte(hash)] = grant
	}
	return grants, nil
}

func (own tenantLimits) grant(name string, limits Limits) (Grant, error) {
	p := &limits.Policy
	if own.DefaultIdleTTL.Duration > 0 {
		p.DefaultIdle = own.DefaultIdleTTL.Duration
	}
	if own.DefaultMaxTTL.Duration > 0 {
		p.DefaultMax = own.DefaultMaxTTL.Duration
	}
	if own.TTLLimit.Duration > 0 {
		p.TTLLimit = own.TTLLimit.Duration
	}
	if own.SessionsPerUser != nil {
		p.MaxPerUser = *own.SessionsPerUser
	}
	switch own.OnLimit {
	case "":
	case "deny", "evict-oldest":
		p.EvictOldest = own.OnLimit.EvictsOldest()
	default:
		return Grant{}, fmt.Errorf("tenant %s: on_limit is %q, not deny or evict-oldest", name, own.OnLimit)
	}
	if own.MaxBodyBytes != nil {
		limits.MaxBody = *own.MaxBodyBytes
	}
	return NewGrant(name, 0, limits)
}

// NewGrant makes a grant for a tenant of its own, whose sessions hold no more than a body may.
func NewGrant(tenant string, scopes Scope, limits Limits) (Grant, error) {
	if limits.MaxBody <= 0 {
		return Grant{}, fmt.Errorf("tenant %s: the limit of a body must be positive", tenant)
	}
	limits.Policy.MaxContent = int(limits.MaxBody)
	t, err := session.NewTenant(tenant, limits.Policy)
	return Grant{Tenant: t, Scopes: scopes, MaxBody: limits.MaxBody}, err
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
