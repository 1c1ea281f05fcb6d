package session

import (
	"testing"
	"time"
)

func TestPolicyResolve(t *testing.T) {
	p := Policy{DefaultIdle: 30 * time.Minute, DefaultMax: 24 * time.Hour, TTLLimit: 720 * time.Hour}
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
	ok := Policy{DefaultIdle: time.Minute, DefaultMax: time.Hour, TTLLimit: time.Hour}
	for name, c := range map[string]struct {
		tenant string
		policy Policy
	}{
		"empty name":           {"", ok},
		"brace in name":        {"a{b}", ok},
		"colon in name":        {"a:b", ok},
		"no policy":            {"a", Policy{}},
		"idle above the limit": {"a", Policy{DefaultIdle: 2 * time.Hour, DefaultMax: time.Hour, TTLLimit: time.Hour}},
		"max above the limit":  {"a", Policy{DefaultIdle: time.Hour, DefaultMax: 2 * time.Hour, TTLLimit: time.Hour}},
		"limit of two ages":    {"a", Policy{DefaultIdle: time.Hour, DefaultMax: time.Hour, TTLLimit: 2 * maxTTL}},
	} {
		if _, err := NewTenant(c.tenant, c.policy, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
