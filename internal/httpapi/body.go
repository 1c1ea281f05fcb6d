package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/session"
)

// maxDepth is how many levels deep the JSON of a body may be nested.
const maxDepth = 64

type contentBody struct {
	Meta object         `json:"meta"`
	Data jsontext.Value `json:"data"`
}

// content reads null as "no meta". For data, null is a value like any other.
func (b contentBody) content() session.Content {
	if string(b.Meta) == "null" {
		b.Meta = nil
	}
	return session.Content{Meta: jsontext.Value(b.Meta), Data: b.Data}
}

// object is a JSON object or null, byte for byte as in the body.
type object jsontext.Value

var errObject = errors.New("must be an object")

// UnmarshalJSONFrom implements the JSON package's interface for reading.
func (o *object) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err == nil && v.Kind() != '{' && v.Kind() != 'n' {
		return errObject
	}
	*o = object(v.Clone())
	return err
}

type touchBody struct {
	IdleTTL session.Duration `json:"idle_ttl"`
	MaxTTL  session.Duration `json:"max_ttl"`
}

func (b touchBody) ttl() session.TTL {
	return session.TTL{Idle: b.IdleTTL.Duration, Max: b.MaxTTL.Duration}
}

type replaceBody struct {
	contentBody `json:",inline"`
	touchBody   `json:",inline"`
}

type createBody struct {
	User        userName `json:"user"`
	replaceBody `json:",inline"`
}

func (b createBody) user() string { return string(b.User) }

func (b createBody) session() session.New {
	return session.New{User: b.user(), Content: b.content(), TTL: b.ttl()}
}

// userName is a user's name. It is missing or null for no user, and never an empty string.
type userName string

var errUser = errors.New("must be a non-empty string")

// UnmarshalJSONFrom implements the JSON package's interface for reading.
func (u *userName) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	t, err := d.ReadToken()
	if err != nil || t.Kind() == 'n' {
		return err
	}
	if t.Kind() != '"' || t.String() == "" {
		return errUser
	}
	*u = userName(t.String())
	return nil
}

type patchBody contentBody

func (b patchBody) patch() session.Patch {
	return session.Patch{Meta: jsontext.Value(b.Meta), Data: b.Data}
}

type rotateBody struct {
	User  userName `json:"user"`
	Grace grace    `json:"grace"`
}

func (b rotateBody) rotation() session.Rotation {
	return session.Rotation{User: string(b.User), Grace: b.Grace.Duration}
}

// errSlowBody means that the body did not come before the request's deadline.
var errSlowBody = errors.New("the body came too slowly")

// A bodyRule relaxes or changes the default: a JSON object that is required.
type bodyRule int

const (
	emptyAllowed bodyRule = iota // no body means {}
	mergePatch                   // the media type is RFC 7396's
)

// readJSON reads the body strictly: valid UTF-8, a single value, no unknown or duplicate members, and no data after it.
// An error says where the body is wrong.
func readJSON(r *http.Request, into any, rules ...bodyRule) error {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return &mediaError{"the body must not be encoded (Content-Encoding)"}
	}
	want := "application/json"
	if slices.Contains(rules, mergePatch) {
		want = "application/merge-patch+json"
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return tooLarge
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errSlowBody
		}
		return badRequest("the body could not be read")
	}
	if len(b) == 0 && slices.Contains(rules, emptyAllowed) {
		return nil
	}
	got, _, err := single(r, "Content-Type")
	if err != nil {
		return err
	}
	// A body without a type is refused too: a web page can make a browser send one to any site without asking that site.
	if media, _, err := mime.ParseMediaType(got); len(b) > 0 && (err != nil || media != want) {
		return &mediaError{"the media type must be " + want}
	}
	return decodeJSON(b, into)
}

func decodeJSON(b []byte, into any) error {
	if err := checkSyntax(b); err != nil {
		return err
	}
	if jsontext.Value(b).Kind() != '{' { // json.Unmarshal would accept null as an empty object
		return &jsonError{why: "must be an object"}
	}
	err := json.Unmarshal(b, into, json.RejectUnknownMembers(true))
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return &jsonError{Pointer: string(semantic.JSONPointer), Offset: semantic.ByteOffset, why: whyRefused(semantic)}
	}
	return err
}

// whyRefused says why a value that is valid JSON was refused.
func whyRefused(err error) string {
	if errors.Is(err, json.ErrUnknownName) {
		return "is not a known member"
	}
	for _, known := range []error{session.ErrDuration, errGrace, errObject, errUser} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "has the wrong type"
}

// checkSyntax walks the whole body once. Decoding alone would not look into data, which is stored as it is.
func checkSyntax(b []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(b))
	for {
		_, err := d.ReadToken()
		switch {
		case err != nil:
			return syntaxError(b, d, err)
		case d.StackDepth() > maxDepth:
			return &jsonError{Pointer: string(d.StackPointer()), Offset: d.InputOffset(), why: fmt.Sprintf("is nested deeper than %d levels", maxDepth)}
		case d.StackDepth() == 0:
			if rest := bytes.TrimLeft(b[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
				return &jsonError{Offset: int64(len(b) - len(rest)), why: "is followed by other data"}
			}
			return nil
		}
	}
}

func syntaxError(b []byte, d *jsontext.Decoder, err error) error {
	e := &jsonError{Pointer: string(d.StackPointer()), Offset: d.InputOffset(), why: "is not valid JSON"}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		e.Pointer, e.Offset = string(syntactic.JSONPointer), syntactic.ByteOffset
		if errors.Is(err, jsontext.ErrDuplicateName) {
			e.why = "is given more than once"
		}
	}
	if len(bytes.TrimSpace(b)) == 0 {
		e.why = "is missing"
	}
	return e
}

// A jsonError says what is wrong with a body, and where.
type jsonError struct {
	Pointer string // JSON pointer (RFC 6901) of the value; empty for the whole body
	Offset  int64  // bytes from the start of the body
	why     string
}

func (e *jsonError) Error() string {
	if e.Pointer == "" {
		return "the body " + e.why
	}
	return e.Pointer + " " + e.why
}

// A mediaError means that the call does not accept the body's media type or coding.
type mediaError struct{ why string }

func (e *mediaError) Error() string { return e.why }
