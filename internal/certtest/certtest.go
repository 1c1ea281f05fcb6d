// Package certtest puts certificates into files for tests.
package certtest

import (
	"crypto/sha256"
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/authority"
)

// An Authority issues certificates that are valid for an hour.
type Authority struct {
	*authority.Authority
	File string // its own certificate, PEM
}

// A Pair is a certificate and its private key, in two PEM files.
type Pair struct {
	CertFile, KeyFile string
}

// New makes an authority whose certificate is in a file until the test ends.
func New(t testing.TB) *Authority {
	t.Helper()
	made, err := authority.New("test authority", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	a := &Authority{made, filepath.Join(t.TempDir(), "ca.pem")}
	write(t, a.File, a.PEM())
	return a
}

// Issue makes a certificate for servers and clients that is valid for the names, each of which may be an IP address.
func (a *Authority) Issue(t testing.TB, names ...string) Pair {
	t.Helper()
	dir := t.TempDir()
	p := Pair{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	a.Reissue(t, p, names...)
	return p
}

// Reissue puts another certificate with another key into the files of a pair.
func (a *Authority) Reissue(t testing.TB, p Pair, names ...string) {
	t.Helper()
	cert, key, err := a.Authority.Issue(names...)
	if err != nil {
		t.Fatal(err)
	}
	write(t, p.CertFile, cert)
	write(t, p.KeyFile, key)
}

// Load reads the pair.
func (p Pair) Load(t testing.TB) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// KeyHash is the SHA-256 of the certificate's SubjectPublicKeyInfo.
func (p Pair) KeyHash(t testing.TB) [sha256.Size]byte {
	t.Helper()
	return sha256.Sum256(p.Load(t).Leaf.RawSubjectPublicKeyInfo)
}

// write replaces a file. Everybody may read it: containers do so as another user.
func write(t testing.TB, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
}
