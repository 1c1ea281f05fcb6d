package keys_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sessiond/sessiond/internal/keys"
)

func TestLoadSecrets(t *testing.T) {
	const (
		a = `{"id": "a", "secret": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}`
		b = `{"id": "b", "secret": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="}`
	)
	for _, c := range []struct {
		name, file string
		mode       os.FileMode
		want       []string // nil for an error
	}{
		{"one", `{"secrets": [` + a + `]}`, 0o600, []string{"a"}},
		{"two and none", `{"secrets": [` + b + `,` + a + `,{"id": "none"}]}`, 0o640, []string{"b", "a", "none"}},
		{"the first is to come", `{"secrets": [{"id": "none"},` + a + `]}`, 0o600, []string{"none", "a"}},
		{"no secret", `{"secrets": [{"id": "none"}]}`, 0o600, nil},
		{"nothing", `{}`, 0o600, nil},
		{"everybody may read it", `{"secrets": [` + a + `]}`, 0o604, nil},
		{"short", `{"secrets": [{"id": "a", "secret": "MDEyMw=="}]}`, 0o600, nil},
		{"without an id", `{"secrets": [{"secret": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="}]}`, 0o600, nil},
		{"empty by another id", `{"secrets": [` + a + `,{"id": "b"}]}`, 0o600, nil},
		{"none with a secret", `{"secrets": [{"id": "none", "secret": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="}]}`, 0o600, nil},
		{"twice", `{"secrets": [` + a + `,` + a + `]}`, 0o600, nil},
		{"an unknown member", `{"secrets": [` + a + `], "other": 1}`, 0o600, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secrets.json")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			_, ids, err := keys.LoadSecrets(path)
			if (err == nil) != (c.want != nil) || !slices.Equal(ids, c.want) {
				t.Errorf("got %q, %v", ids, err)
			}
		})
	}
}
