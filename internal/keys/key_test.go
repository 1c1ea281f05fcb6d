package keys

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// ringOf loads a ring from a file with these tenants and keys. rewrite gives the file others and reads it again.
func ringOf(t *testing.T, tenants, keys string) (ring *Ring, rewrite func(tenants, keys string) Change) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	write := func(tenants, keys string) {
		if err := os.WriteFile(path, fmt.Appendf(nil, `{"tenants":{%s},"keys":[%s]}`, tenants, keys), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(tenants, keys)
	ring, err := Load(path, defaults)
	if err != nil {
		t.Fatal(err)
	}
	return ring, func(tenants, keys string) Change {
		t.Helper()
		write(tenants, keys)
		change, err := ring.Reload()
		if err != nil {
			t.Fatal(err)
		}
		return change
	}
}

// keyOf is a key of the tenant shop in the file. more are its other members.
func keyOf(key, more string) string {
	return fmt.Sprintf(`{"sha256":%q,"tenant":"shop"%s}`, hashOf("the key "+key), more)
}

func TestKeysHaveIDs(t *testing.T) {
	ring, _ := ringOf(t, `"shop":{}`, keyOf("named", `,"id":"web.1"`)+","+keyOf("old", ""))
	for key, want := range map[string]string{"named": "web.1", "old": hashOf("the key old")[:8]} {
		if grant, ok := ring.Grant("the key " + key); !ok || grant.Key != want {
			t.Errorf("%s: got %q, %v", key, grant.Key, ok)
		}
	}
}

// An expired key is one that is not in the file, but for its name.
func TestKeysExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(time.Minute)
		ring, _ := ringOf(t, `"shop":{}`, keyOf("k", `,"id":"short","scopes":["read"],"expires":"`+end.Format(time.RFC3339Nano)+`"`))
		if _, ok := ring.Grant("the key k"); !ok {
			t.Error("refused before its time")
		}
		time.Sleep(time.Until(end) - time.Nanosecond)
		if _, ok := ring.Grant("the key k"); !ok {
			t.Error("refused before its time")
		}
		time.Sleep(time.Nanosecond)
		if grant, ok := ring.Grant("the key k"); ok || grant != (Grant{Key: "short"}) {
			t.Errorf("after its time: %+v, %v", grant, ok)
		}
	})
}

// The metrics show when a key was last used, also over a reload, and when it expires.
func TestKeyMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		used, idle := keyOf("used", `,"id":"used","expires":"2100-01-01T00:00:00Z"`), keyOf("idle", `,"id":"idle"`)
		ring, rewrite := ringOf(t, `"shop":{}`, used+","+idle)
		check := func(want string) {
			t.Helper()
			if err := testutil.CollectAndCompare(ring, strings.NewReader(want), "sessiond_key_last_used_timestamp_seconds", "sessiond_key_expires_timestamp_seconds"); err != nil {
				t.Error(err)
			}
		}
		const help = `
			# HELP sessiond_key_last_used_timestamp_seconds Unix time at which an API key was last used at this instance; 0 if not since it started.
			# TYPE sessiond_key_last_used_timestamp_seconds gauge
		`
		ring.Grant("the key used")
		time.Sleep(time.Minute)
		ring.Grant("the key used")
		last := float64(time.Now().Unix())
		time.Sleep(time.Minute)
		ring.Grant("the key unknown")
		check(`
			# HELP sessiond_key_expires_timestamp_seconds Unix time at which an API key expires. Keys that never do have no series.
			# TYPE sessiond_key_expires_timestamp_seconds gauge
			sessiond_key_expires_timestamp_seconds{key="used",tenant="shop"} 4.1024448e+09
		` + help + `sessiond_key_last_used_timestamp_seconds{key="idle",tenant="shop"} 0
			sessiond_key_last_used_timestamp_seconds{key="used",tenant="shop"} ` + fmt.Sprint(last) + "\n")
		rewrite(`"shop":{}`, keyOf("used", `,"id":"renamed"`))
		check(help + `sessiond_key_last_used_timestamp_seconds{key="renamed",tenant="shop"} ` + fmt.Sprint(last) + "\n")
	})
}

func TestReloadTellsWhatChanged(t *testing.T) {
	_, rewrite := ringOf(t, `"shop":{},"blog":{"ttl_limit":"1h","default_max_ttl":"1h"}`,
		keyOf("a", `,"id":"a"`)+","+keyOf("b", `,"id":"b"`)+","+keyOf("c", `,"id":"c","scopes":["read"]`)+","+keyOf("d", ""))
	for _, step := range []struct{ tenants, keys, want string }{
		{`"shop":{"ttl_limit":"48h"},"wiki":{}`,
			keyOf("a", `,"id":"a"`) + "," + keyOf("other", `,"id":"b"`) + "," + keyOf("c", `,"id":"c","scopes":["read","write"]`) + "," + keyOf("e", `,"id":"e"`),
			"keys added: e; keys removed: " + hashOf("the key d")[:8] + "; keys changed: b, c; tenants added: wiki; tenants removed: blog; tenants changed: shop"},
		{`"shop":{"ttl_limit":"48h"}`, keyOf("a", `,"id":"a","expires":"2100-01-01T00:00:00Z"`), "keys removed: b, c, e; keys changed: a; tenants removed: wiki"},
		{`"shop":{"ttl_limit":"48h"}`, keyOf("a", `,"id":"a","expires":"2100-01-01T02:00:00+02:00"`), "nothing has changed"},
	} {
		if got := rewrite(step.tenants, step.keys).String(); got != step.want {
			t.Errorf("got  %s\nwant %s", got, step.want)
		}
	}
}
