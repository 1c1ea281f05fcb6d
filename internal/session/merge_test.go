package session

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// The examples of RFC 7396, appendix A, all of them and in its order.
func TestMergePatchExamples(t *testing.T) {
	for _, c := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		if got := mergePatch(jsontext.Value(c.target), jsontext.Value(c.patch)); string(got) != c.want {
			t.Errorf("%s patched by %s: got %s, want %s", c.target, c.patch, got, c.want)
		}
	}
}

func TestMergePatchKeepsBytes(t *testing.T) {
	target := `{ "z" : 1.0000000000000000001, "a":"<\u00e9>" , "q\"":{"x" :1}}`
	got := mergePatch(jsontext.Value(target), jsontext.Value(`{"n":-0.0}`))
	if want := `{"z":1.0000000000000000001,"a":"<\u00e9>","q\"":{"x" :1},"n":-0.0}`; string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Against the RFC's pseudocode over decoded values.
func TestMergePatchAgreesWithTheRFC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target, patch := value(3).Draw(t, "target"), value(3).Draw(t, "patch")
		got := mergePatch(encoded(target), encoded(patch))
		var decoded any
		if err := json.Unmarshal(got, &decoded); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if want := reference(target, patch); !reflect.DeepEqual(decoded, want) {
			t.Fatalf("got %v, want %v", decoded, want)
		}
	})
}

func reference(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged := map[string]any{}
	if old, ok := target.(map[string]any); ok {
		for name, v := range old {
			merged[name] = v
		}
	}
	for name, v := range changes {
		if v == nil {
			delete(merged, name)
		} else {
			merged[name] = reference(merged[name], v)
		}
	}
	return merged
}

// value generates JSON values with few names, so that target and patch meet.
func value(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.IntRange(-5, 5), func(i int) any { return float64(i) }),
		rapid.Map(rapid.StringN(0, 3, -1), func(s string) any { return s }),
	)
	if depth == 0 {
		return leaf
	}
	members := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), value(depth-1), 0, 3)
	return rapid.OneOf(leaf, rapid.Map(members, func(m map[string]any) any { return m }))
}

func encoded(v any) jsontext.Value {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
