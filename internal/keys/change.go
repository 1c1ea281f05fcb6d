package keys

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A Change is what the key file says otherwise than before: the IDs of keys, and the names of tenants, each in order.
type Change struct {
	KeysAdded, KeysRemoved, KeysChanged          []string
	TenantsAdded, TenantsRemoved, TenantsChanged []string
}

// String names the change in plain words.
func (c Change) String() string {
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{
		{"keys added", c.KeysAdded}, {"keys removed", c.KeysRemoved}, {"keys changed", c.KeysChanged},
		{"tenants added", c.TenantsAdded}, {"tenants removed", c.TenantsRemoved}, {"tenants changed", c.TenantsChanged},
	} {
		if len(p.names) > 0 {
			parts = append(parts, fmt.Sprintf("%s: %s", p.what, strings.Join(p.names, ", ")))
		}
	}
	if parts == nil {
		return "nothing has changed"
	}
	return strings.Join(parts, "; ")
}

// meaning is all that the file says of a key.
type meaning struct {
	sum     hash
	tenant  string
	scopes  Scope
	expires time.Time
}

func compare(last, next contents) Change {
	var c Change
	c.KeysAdded, c.KeysRemoved, c.KeysChanged = differences(last.meanings(), next.meanings())
	c.TenantsAdded, c.TenantsRemoved, c.TenantsChanged = differences(last.tenants, next.tenants)
	return c
}

// meanings are those of the keys, by ID.
func (c contents) meanings() map[string]meaning {
	m := map[string]meaning{}
	for sum, e := range c.keys {
		m[e.grant.Key] = meaning{sum, e.grant.Tenant.Name(), e.grant.Scopes, e.expires.UTC()}
	}
	return m
}

func differences[V any](last, next map[string]V) (added, removed, changed []string) {
	for _, name := range slices.Sorted(maps.Keys(next)) {
		if v, ok := last[name]; !ok {
			added = append(added, name)
		} else if !reflect.DeepEqual(v, next[name]) {
			changed = append(changed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(last)) {
		if _, ok := next[name]; !ok {
			removed = append(removed, name)
		}
	}
	return added, removed, changed
}
