package rights

import (
	"maps"
	"testing"
)

func TestAfter(t *testing.T) {
	three := map[string]int64{"m1": 1, "m2": 2, "m3": 3}
	for _, c := range []struct {
		name   string
		before seal
		after  map[string]int64
		want   int64
	}{
		{"nothing has happened", seal{3, three, nil}, three, 3},
		{"a replica was promoted", seal{3, three, nil}, map[string]int64{"r1": 4, "m2": 2, "m3": 3}, 4},
		{"two were", seal{3, three, nil}, map[string]int64{"r1": 5, "r2": 4, "m3": 3}, 5},
		{"one was, and there was another election", seal{3, three, nil}, map[string]int64{"r1": 5, "m2": 2, "m3": 3}, 3},
		{"a master has raised its own epoch: somebody else may still win it", seal{3, three, nil}, map[string]int64{"m1": 4, "m2": 2, "m3": 3}, 3},
		{"a master without slots was given some", seal{3, three, map[string]bool{"m4": true}}, map[string]int64{"m1": 1, "m2": 2, "m3": 3, "m4": 4}, 3},
		{"nothing was accounted for", seal{-1, three, nil}, map[string]int64{"r1": 0, "m2": 2, "m3": 3}, -1},
	} {
		if got := (seal{masters: c.after}).after(c.before); got.epoch != c.want || !maps.Equal(got.masters, c.after) {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
}

func TestLearn(t *testing.T) {
	three := map[string]int64{"m1": 1, "m2": 2, "m3": 3}
	for _, c := range []struct {
		name   string
		ours   seal
		sealed seal
		want   int64
	}{
		{"the same masters", seal{-1, three, nil}, seal{3, three, nil}, 3},
		{"an older seal", seal{5, three, nil}, seal{3, three, nil}, 5},
		{"one was promoted since", seal{-1, map[string]int64{"r1": 4, "m2": 2, "m3": 3}, nil}, seal{3, three, nil}, 4},
		{"one was promoted since, and there was another election", seal{-1, map[string]int64{"r1": 5, "m2": 2, "m3": 3}, nil}, seal{3, three, nil}, 3},
		{"the seal knows a master that we do not", seal{-1, three, nil}, seal{4, map[string]int64{"r1": 4, "m2": 2, "m3": 3}, nil}, -1},
		{"we have a master that has been replaced", seal{-1, map[string]int64{"m1": 1, "m2": 2, "m3": 3, "m4": 0}, nil}, seal{3, three, nil}, -1},
		{"our view lacks a master", seal{-1, map[string]int64{"m1": 1, "m2": 2}, nil}, seal{3, three, nil}, -1},
		{"a master has another epoch than in the seal", seal{-1, map[string]int64{"m1": 1, "m2": 0, "m3": 3}, nil}, seal{3, three, nil}, -1},
	} {
		if got := c.ours.learn(c.sealed); got.epoch != c.want {
			t.Errorf("%s: got %d", c.name, got.epoch)
		}
	}
}

func TestSealText(t *testing.T) {
	s := seal{7, map[string]int64{"b": 2, "a": 10}, map[string]bool{"c": true}}
	if got := s.String(); got != "a@10 b@2 -c" {
		t.Errorf("got %q", got)
	}
	got, err := parseSeal("7", s.String())
	if err != nil || got.epoch != 7 || !maps.Equal(got.masters, s.masters) || !got.idle["c"] {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range [][2]string{{"x", ""}, {"1", "a"}, {"1", "a@x"}} {
		if _, err := parseSeal(bad[0], bad[1]); err == nil {
			t.Errorf("%q was believed", bad)
		}
	}
}
