package keys

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

var defaults = Limits{Policy: sessiontest.Policy, MaxBody: 4096}

func TestRing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := func(reader string) string {
		return fmt.Sprintf(`{
			"tenants": {"shop": {"max_body_bytes": 100}, "blog": {}},
			"keys": [
				{"sha256": %q, "tenant": "shop", "scopes": ["read"]},
				{"sha256": %q, "tenant": "blog", "scopes": ["write", "admin"]}
			]}`, hashOf(reader), hashOf("admin"))
	}
	write(file("reader"))
	ring, err := Load(path, defaults)
	if err != nil {
		t.Fatal(err)
	}
	check := func(key, tenant string, scopes Scope, maxBody int64) {
		t.Helper()
		g, ok := ring.Grant(key)
		if !ok || g.Tenant.Name() != tenant || g.Scopes != scopes || g.MaxBody != maxBody {
			t.Errorf("%s: got %+v, %v", key, g, ok)
		}
	}
	refused := func(keys ...string) {
		t.Helper()
		for _, key := range keys {
			if g, ok := ring.Grant(key); ok {
				t.Errorf("%q may do %+v", key, g)
			}
		}
	}
	check("reader", "shop", Read, 100)
	check("admin", "blog", Write|Admin, defaults.MaxBody)
	refused("", "unknown", hashOf("reader"))

	write(file("new"))
	if _, err := ring.Reload(); err != nil {
		t.Fatal(err)
	}
	check("new", "shop", Read, 100)
	refused("reader")

	write("{")
	if _, err := ring.Reload(); err == nil {
		t.Error("a broken file was accepted")
	}
	check("new", "shop", Read, 100) // the keys are those of before

	for _, empty := range []string{`{}`, `null`, `{"tenants":{"shop":{}},"keys":[]}`} {
		write(empty)
		if _, err := ring.Reload(); err == nil {
			t.Errorf("%s was accepted: nobody could call the service", empty)
		}
	}
	write(file("new"))
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Reload(); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("a file that everybody may read: %v", err)
	}
	check("new", "shop", Read, 100)

	if _, err := Load(path+".absent", defaults); err == nil {
		t.Error("a missing file was accepted")
	}
}

// A certificate and an API key are not the same, even if they have the same hash: public keys are no secrets.
func TestCertificates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	text := fmt.Sprintf(`{"tenants": {"shop": {}}, "keys": [
		{"cert_sha256": %q, "tenant": "shop", "scopes": ["read"]}, {"sha256": %q, "tenant": "shop", "scopes": ["write"]}
	]}`, hashOf("a public key"), hashOf("an API key"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ring, err := Load(path, defaults)
	if err != nil {
		t.Fatal(err)
	}
	with := func(spki string) *x509.Certificate { return &x509.Certificate{RawSubjectPublicKeyInfo: []byte(spki)} }
	if g, ok := ring.GrantCert(with("a public key")); !ok || g.Scopes != Read || g.Tenant.Name() != "shop" {
		t.Errorf("got %+v, %v", g, ok)
	}
	for _, other := range []string{"another public key", "an API key", ""} {
		if g, ok := ring.GrantCert(with(other)); ok {
			t.Errorf("the certificate with %q may do %+v", other, g)
		}
	}
	if g, ok := ring.Grant("a public key"); ok {
		t.Errorf("a public key as an API key may do %+v", g)
	}
}

// A tenant's own quotas replace the defaults one by one, and 0 takes a default away.
func TestQuotas(t *testing.T) {
	limits := defaults
	limits.Quota = Quota{PerSecond: 10.5, InFlight: 7, Sessions: 1000, Weight: 1}
	contents, err := parse([]byte(fmt.Sprintf(`{
		"tenants": {
			"shop": {"requests_per_second": 2.5, "burst": 9, "max_bytes": 1000000, "max_sessions": 0, "weight": 3},
			"blog": {}
		},
		"keys": [{"sha256": %q, "tenant": "shop"}, {"sha256": %q, "tenant": "blog"}]}`, hashOf("shop"), hashOf("blog"))), limits)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]Quota{
		"shop": {PerSecond: 2.5, Burst: 9, InFlight: 7, Bytes: 1000000, Weight: 3},
		"blog": {PerSecond: 10.5, Burst: 11, InFlight: 7, Sessions: 1000, Weight: 1},
	} {
		if got := contents.keys[sha256.Sum256([]byte(key))].grant.Quota; got != want {
			t.Errorf("%s: got %+v, want %+v", key, got, want)
		}
	}
}

func TestBrokenKeyFiles(t *testing.T) {
	good := hashOf("k")
	for name, text := range map[string]string{
		"not JSON":                       `{`,
		"unknown member":                 `{"key":[]}`,
		"unknown tenant":                 `{"keys":[{"sha256":"` + good + `","tenant":"shop"}]}`,
		"unknown scope":                  `{"tenants":{"shop":{}},"keys":[{"sha256":"` + good + `","tenant":"shop","scopes":["root"]}]}`,
		"short hash":                     `{"tenants":{"shop":{}},"keys":[{"sha256":"abcd","tenant":"shop"}]}`,
		"a key twice":                    `{"tenants":{"shop":{}},"keys":[{"sha256":"` + good + `","tenant":"shop"},{"sha256":"` + good + `","tenant":"shop"}]}`,
		"an id twice":                    `{"tenants":{"shop":{}},"keys":[{"id":"a","sha256":"` + good + `","tenant":"shop"},{"id":"a","sha256":"` + hashOf("j") + `","tenant":"shop"}]}`,
		"an id that is another's digits": `{"tenants":{"shop":{}},"keys":[{"sha256":"` + good + `","tenant":"shop"},{"id":"` + good[:8] + `","sha256":"` + hashOf("j") + `","tenant":"shop"}]}`,
		"an id with a space":             `{"tenants":{"shop":{}},"keys":[{"id":"a b","sha256":"` + good + `","tenant":"shop"}]}`,
		"the key as its id":              `{"tenants":{"shop":{}},"keys":[{"id":"k","sha256":"` + good + `","tenant":"shop"}]}`,
		"an expiry that is no time":      `{"tenants":{"shop":{}},"keys":[{"sha256":"` + good + `","tenant":"shop","expires":"tomorrow"}]}`,
		"a key and a certificate":        `{"tenants":{"shop":{}},"keys":[{"sha256":"` + good + `","cert_sha256":"` + hashOf("c") + `","tenant":"shop"}]}`,
		"the empty key":                  `{"tenants":{"shop":{}},"keys":[{"sha256":"` + hashOf("") + `","tenant":"shop"}]}`,
		"bad tenant name":                `{"tenants":{"a:b":{}}}`,
		"bad TTL":                        `{"tenants":{"shop":{"ttl_limit":"1s"}}}`,
		"bad on_limit":                   `{"tenants":{"shop":{"on_limit":"explode"}}}`,
		"negative limit":                 `{"tenants":{"shop":{"sessions_per_user":-1}}}`,
		"heavy":                          `{"tenants":{"shop":{"weight":101}}}`,
		"negative quota":                 `{"tenants":{"shop":{"requests_in_flight":-1}}}`,
		"a mere burst":                   `{"tenants":{"shop":{"burst":5}}}`,
		"no body at all":                 `{"tenants":{"shop":{"max_body_bytes":0}}}`,
	} {
		if _, err := parse([]byte(text), defaults); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
