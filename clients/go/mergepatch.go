package sessiond

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// MergePatch returns the merge patch (RFC 7396) that makes after of before, both objects: members that differ, and null for those that are
// gone. changed is false if there is no difference. A save that sends it instead of the whole leaves alone what others have changed
// meanwhile. Members are compared by what they mean, not by how they are written. A member that is null in after counts as gone, since a patch cannot set one to null.
func MergePatch(before, after map[string]json.RawMessage) (patch map[string]json.RawMessage, changed bool) {
	patch = map[string]json.RawMessage{}
	for name, value := range after {
		was, had := before[name]
		switch {
		case isNull(value):
			if had && !isNull(was) {
				patch[name] = value
			}
		case !had:
			patch[name] = value
		case !same(was, value):
			patch[name] = difference(was, value)
		}
	}
	for name, was := range before {
		if _, has := after[name]; !has && !isNull(was) {
			patch[name] = json.RawMessage("null")
		}
	}
	return patch, len(patch) > 0
}

// difference is the patch of a member: that of two objects, or the new value.
func difference(before, after json.RawMessage) json.RawMessage {
	var old, current map[string]json.RawMessage
	if json.Unmarshal(before, &old) != nil || json.Unmarshal(after, &current) != nil || old == nil || current == nil {
		return after
	}
	patch, _ := MergePatch(old, current)
	text, err := json.Marshal(patch)
	if err != nil {
		return after
	}
	return text
}

// same compares two values as JSON.
func same(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func isNull(value json.RawMessage) bool { return bytes.Equal(bytes.TrimSpace(value), []byte("null")) }
