// Package values keeps what an app stores in a session by its name, value by value, so that a save can send those that have changed. A value
// is encoded by encoding/gob, so that it keeps its Go type.
package values

import (
	"bytes"
	"encoding/gob"
	"reflect"
)

// Values are encoded values by their names.
type Values map[string][]byte

// Encode encodes one value. Its type must be one that gob knows, or registered (gob.Register).
func Encode(value any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(&value) // by its address, so that its type goes with it
	return b.Bytes(), err
}

// Decode decodes one value.
func Decode(b []byte) (value any, err error) {
	err = gob.NewDecoder(bytes.NewReader(b)).Decode(&value)
	return value, err
}

// Changes is the merge patch (RFC 7396) from v to now: the values that differ, and nil for those that are gone.
func (v Values) Changes(now Values) map[string]any {
	patch := map[string]any{}
	for name, b := range now {
		if was, had := v[name]; !had || !same(was, b) {
			patch[name] = b
		}
	}
	for name := range v {
		if _, has := now[name]; !has {
			patch[name] = nil
		}
	}
	return patch
}

// same compares two encoded values. gob writes a map in any order, so equal values may differ in their bytes.
func same(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := Decode(a)
	y, errY := Decode(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}
