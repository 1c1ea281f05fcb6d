// Package keys says who may do what: the API keys of a file, and the tenants that they act for. It knows nothing of HTTP.
package keys

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// hash is the SHA-256 of an API key, or of the SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) of a client certificate.
type hash [sha256.Size]byte

// A Ring holds the API keys of a file, which docs/keys.md describes. It knows their hashes only. Its methods may be
// called concurrently.
type Ring struct {
	path     string
	defaults Limits
	contents atomic.Pointer[contents]
}

// Load reads the key file. Limits that the file does not set for a tenant are the defaults.
func Load(path string, defaults Limits) (*Ring, error) {
	r := &Ring{path: path, defaults: defaults}
	_, err := r.Reload()
	return r, err
}

// Reload reads the file again and returns what has changed. If it cannot be read or is invalid, the ring keeps the keys
// that it has. Calls must not overlap.
func (r *Ring) Reload() (Change, error) {
	b, err := ReadPrivate(r.path)
	if err != nil {
		return Change{}, err
	}
	next, err := parse(b, r.defaults)
	if err != nil {
		return Change{}, fmt.Errorf("%s: %w", r.path, err)
	}
	last := r.contents.Load()
	if last == nil {
		last = &contents{}
	}
	for sum, e := range next.keys {
		if known := last.keys[sum]; known != nil {
			e.used = known.used
		}
	}
	r.contents.Store(&next)
	return compare(*last, next), nil
}

// ReadPrivate reads a file that not everybody on the host may read. Hashes of keys that people chose can be guessed.
func ReadPrivate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s: everybody may access it (mode %#o): take that away (chmod o=)", path, info.Mode().Perm())
	}
	return io.ReadAll(f)
}

// Grant returns what the bearer of a key may do; false for a key that is not in the file or has expired. Of an expired key
// the grant says which it was, and nothing else. The lookup is by hash, so its timing reveals nothing about the keys in the file.
func (r *Ring) Grant(bearer string) (Grant, bool) {
	if bearer == "" {
		return Grant{}, false
	}
	return r.find(sha256.Sum256([]byte(bearer)), false)
}

// GrantCert returns what the holder of a client certificate may do; false if its public key is not in the file. It does not
// verify the certificate: the TLS handshake has.
func (r *Ring) GrantCert(cert *x509.Certificate) (Grant, bool) {
	return r.find(sha256.Sum256(cert.RawSubjectPublicKeyInfo), true)
}

// find tells certificates and API keys apart: a public key is no secret, and must not be good as an API key.
func (r *Ring) find(sum hash, byCert bool) (Grant, bool) {
	e := r.contents.Load().keys[sum]
	if e == nil || e.grant.byCert != byCert {
		return Grant{}, false
	}
	now := time.Now()
	if !e.expires.IsZero() && !now.Before(e.expires) {
		return Grant{Key: e.grant.Key}, false
	}
	if second := now.Unix(); e.used.Load() != second { // a write by every request would keep the cores waiting for each other
		e.used.Store(second)
	}
	return e.grant, true
}
