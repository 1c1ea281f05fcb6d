package httpapi

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// ttl is a duration in a body: a Go duration string ("1h30m") or a number of seconds. Zero means that it was not given:
// a value that is given is positive.
type ttl struct{ time.Duration }

var errTTL = errors.New(`must be a positive duration in whole milliseconds, like "30m" or 1800`)

// UnmarshalJSONFrom implements the JSON package's interface for reading.
func (t *ttl) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	token, err := d.ReadToken()
	if err != nil {
		return err
	}
	switch token.Kind() {
	case '"':
		t.Duration, err = time.ParseDuration(token.String())
	case '0':
		t.Duration, err = seconds(token.String())
	default:
		err = errTTL
	}
	if err != nil || t.Duration <= 0 || t.Duration%time.Millisecond != 0 {
		return errTTL
	}
	return nil
}

// grace is the grace of a rotation, which unlike a TTL may be zero.
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
	var t ttl
	if err := t.UnmarshalJSONFrom(jsontext.NewDecoder(bytes.NewReader(v))); err != nil {
		return errGrace
	}
	*g = grace(t)
	return nil
}

// tooLong stands for every number of seconds that no duration can hold: above any limit.
const tooLong = math.MaxInt64 / time.Millisecond * time.Millisecond

// seconds reads a JSON number without losing a millisecond of it to floating point.
func seconds(number string) (time.Duration, error) {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, err
	}
	if f >= tooLong.Seconds() {
		return tooLong, nil
	}
	if strings.ContainsAny(number, "eE") {
		number = strconv.FormatFloat(f, 'f', -1, 64)
	}
	return time.ParseDuration(number + "s")
}

// formatTTL is the shortest Go duration string: "30m" where [time.Duration.String] says "30m0s".
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
