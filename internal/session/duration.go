package session

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// A Duration is a positive duration in JSON, in a request's body or in the key file: a Go duration string ("1h30m") or a
// number of seconds (1800). The zero value means that it was not given.
type Duration struct{ time.Duration }

// ErrDuration means that a JSON value is no [Duration].
var ErrDuration = errors.New(`must be a positive duration in whole milliseconds, like "30m" or 1800`)

// UnmarshalJSONFrom implements the JSON package's interface for reading.
func (d *Duration) UnmarshalJSONFrom(from *jsontext.Decoder) error {
	token, err := from.ReadToken()
	if err != nil {
		return err
	}
	switch token.Kind() {
	case '"':
		d.Duration, err = time.ParseDuration(token.String())
	case '0':
		d.Duration, err = seconds(token.String())
	default:
		err = ErrDuration
	}
	if err != nil || d.Duration <= 0 || d.Duration%time.Millisecond != 0 {
		return ErrDuration
	}
	return nil
}

// tooLong stands for every number of seconds that is too large for a time.Duration. It is above every limit.
const tooLong = math.MaxInt64 / time.Millisecond * time.Millisecond

// seconds parses a JSON number without losing a millisecond to floating point.
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
