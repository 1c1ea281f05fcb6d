package values

import (
	"encoding/gob"
	"maps"
	"slices"
	"testing"
)

func encode(t *testing.T, of map[string]any) Values {
	t.Helper()
	v := Values{}
	for name, value := range of {
		b, err := Encode(value)
		if err != nil {
			t.Fatal(err)
		}
		v[name] = b
	}
	return v
}

func TestChanges(t *testing.T) {
	gob.Register(map[string]int{})
	large := func() map[string]int { // gob writes it in another order each time
		m := map[string]int{}
		for i := range 50 {
			m[string(rune('a'+i))] = i
		}
		return m
	}
	before := encode(t, map[string]any{"same": 1, "other": "x", "type": 1, "gone": true, "map": large()})
	now := encode(t, map[string]any{"same": 1, "other": "y", "type": "1", "new": 2.5, "map": large()})
	got := slices.Sorted(maps.Keys(before.Changes(now)))
	if want := []string{"gone", "new", "other", "type"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if before.Changes(now)["gone"] != nil {
		t.Error("a value that is gone is not removed")
	}
	for name, b := range now {
		if v, err := Decode(b); err != nil || v == nil {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
}
