package scs

import (
	"encoding/json"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/sessiond/sessiond/clients/go/internal/values"
)

// fallbackCodec is that of the sessions in the fallback.
var fallbackCodec scs.GobCodec

// A content is what a session holds in sessiond.
type content struct {
	Deadline time.Time     `json:"deadline"` // scs' own, which it keeps with the values
	Values   values.Values `json:"values"`
}

// A codec is scs' codec for such contents.
type codec struct{}

// Encode implements [scs.Codec].
func (codec) Encode(deadline time.Time, all map[string]any) ([]byte, error) {
	c := content{deadline, make(values.Values, len(all))}
	for name, value := range all {
		if name == mark {
			continue
		}
		b, err := values.Encode(value)
		if err != nil {
			return nil, err
		}
		c.Values[name] = b
	}
	return json.Marshal(c)
}

// Decode implements [scs.Codec].
func (codec) Decode(text []byte) (time.Time, map[string]any, error) {
	var c content
	if err := json.Unmarshal(text, &c); err != nil {
		return time.Time{}, nil, err
	}
	all := make(map[string]any, len(c.Values))
	for name, b := range c.Values {
		value, err := values.Decode(b)
		if err != nil {
			return time.Time{}, nil, err
		}
		all[name] = value
	}
	return c.Deadline, all, nil
}
