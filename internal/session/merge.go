package session

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// mergePatch applies a JSON merge patch (RFC 7396, section 2). It works on raw values, so that members which the patch does
// not name keep their order and every byte of their values. Both arguments must be valid JSON with unique names; an empty
// target stands for an undefined one.
func mergePatch(target, patch jsontext.Value) jsontext.Value {
	if patch.Kind() != '{' {
		return patch
	}
	var old []member
	if len(target) > 0 && target.Kind() == '{' {
		old = members(target)
	}
	changes := members(patch)
	byName := make(map[string]jsontext.Value, len(changes))
	for _, c := range changes {
		byName[c.name] = c.value
	}

	merged := make([]member, 0, len(old)+len(changes))
	kept := make(map[string]bool, len(old))
	for _, m := range old {
		kept[m.name] = true
		change, named := byName[m.name]
		switch {
		case !named:
			merged = append(merged, m)
		case change.Kind() != 'n':
			merged = append(merged, member{m.name, mergePatch(m.value, change)})
		}
	}
	for _, c := range changes {
		if !kept[c.name] && c.value.Kind() != 'n' {
			merged = append(merged, member{c.name, mergePatch(nil, c.value)})
		}
	}
	return object(merged)
}

type member struct {
	name  string
	value jsontext.Value
}

// members lists an object's members in order. It cannot fail: the value was decoded before.
func members(v jsontext.Value) []member {
	d := jsontext.NewDecoder(bytes.NewReader(v))
	must(d.ReadToken())
	var ms []member
	for d.PeekKind() != '}' {
		n := must(d.ReadToken()).String()
		ms = append(ms, member{n, must(d.ReadValue()).Clone()})
	}
	return ms
}

func object(ms []member) jsontext.Value {
	b := []byte{'{'}
	for i, m := range ms {
		if i > 0 {
			b = append(b, ',')
		}
		b = must(jsontext.AppendQuote(b, m.name))
		b = append(b, ':')
		b = append(b, m.value...)
	}
	return append(b, '}')
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("session: invalid JSON reached the merge: " + err.Error())
	}
	return v
}
