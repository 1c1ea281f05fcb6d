package keys_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sessiond/sessiond/internal/keys"
	"github.com/sessiond/sessiond/internal/session"
)

// The key file holds hashes of API keys, and a ring finds a key's grant. What the file does not set is the default.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "keys.json")
	file := fmt.Sprintf(`{
		"tenants": {"shop": {"max_body_bytes": 4096}},
		"keys": [{"sha256": "%x", "tenant": "shop", "scopes": ["read"]}]
	}`, sha256.Sum256([]byte("an API key of the shop")))
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	ring, err := keys.Load(path, keys.Limits{
		Policy:  session.Policy{DefaultIdle: 30 * time.Minute, DefaultMax: 24 * time.Hour, TTLLimit: 24 * time.Hour},
		MaxBody: 64 << 10,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	grant, ok := ring.Grant("an API key of the shop")
	fmt.Println(ok, grant.Tenant.Name(), "may write:", grant.Scopes&keys.Write != 0, "body:", grant.MaxBody)
	_, ok = ring.Grant("some other key")
	fmt.Println(ok)

	// Output:
	// true shop may write: false body: 4096
	// false
}
