package session

import (
	"testing"
	"time"
)

func TestTTLPolicyResolve(t *testing.T) {
	p := TTLPolicy{DefaultIdle: 30 * time.Minute, DefaultMax: 24 * time.Hour, Limit: 720 * time.Hour}
	for _, c := range []struct {
		name      string
		ask, want TTL
	}{
		{"nothing asked", TTL{}, TTL{30 * time.Minute, 24 * time.Hour}},
		{"idle asked", TTL{Idle: time.Hour}, TTL{time.Hour, 24 * time.Hour}},
		{"idle above the default max raises it", TTL{Idle: 48 * time.Hour}, TTL{48 * time.Hour, 48 * time.Hour}},
		{"max asked", TTL{Max: 48 * time.Hour}, TTL{30 * time.Minute, 48 * time.Hour}},
		{"max below the default idle lowers it", TTL{Max: time.Minute}, TTL{time.Minute, time.Minute}},
		{"both at the limit", TTL{720 * time.Hour, 720 * time.Hour}, TTL{720 * time.Hour, 720 * time.Hour}},
		{"a millisecond", TTL{Idle: time.Millisecond}, TTL{time.Millisecond, 24 * time.Hour}},
	} {
		if got, err := p.resolve(c.ask); err != nil || got != c.want {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestNewTenantRefuses(t *testing.T) {
	ok := TTLPolicy{DefaultIdle: time.Minute, DefaultMax: time.Hour, Limit: time.Hour}
	for name, c := range map[string]struct {
		tenant string
		policy TTLPolicy
	}{
		"empty name":           {"", ok},
		"brace in name":        {"a{b}", ok},
		"colon in name":        {"a:b", ok},
		"no policy":            {"a", TTLPolicy{}},
		"idle above the limit": {"a", TTLPolicy{DefaultIdle: 2 * time.Hour, DefaultMax: time.Hour, Limit: time.Hour}},
		"max above the limit":  {"a", TTLPolicy{DefaultIdle: time.Hour, DefaultMax: 2 * time.Hour, Limit: time.Hour}},
		"limit of two ages":    {"a", TTLPolicy{DefaultIdle: time.Hour, DefaultMax: time.Hour, Limit: 2 * maxTTL}},
	} {
		if _, err := NewTenant(c.tenant, c.policy); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
