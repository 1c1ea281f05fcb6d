package httpapi

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/session"
)

// grace is the grace of a rotation. Unlike a TTL it may be zero.
type grace struct{ time.Duration }

var errGrace = errors.New(`must be a duration in whole milliseconds, like "30s" or 30, or 0 for none`)

// UnmarshalJSONFrom implements the JSON package's interface for reading.
func (g *grace) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	if s := string(v); s == "0" || s == `"0s"` || s == `"0"` {
		g.Duration = 0
		return nil
	}
	var positive session.Duration
	if err := positive.UnmarshalJSONFrom(jsontext.NewDecoder(bytes.NewReader(v))); err != nil {
		return errGrace
	}
	*g = grace(positive)
	return nil
}

// formatTTL returns the shortest Go duration string: "30m" where [time.Duration.String] says "30m0s".
func formatTTL(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
