package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sessiond/sessiond/internal/session"
)

// etag returns a strong entity tag (RFC 9110, section 8.8.3). It is made of the time when this life of the session began
// and of the version.
func etag(s session.Stamp) string {
	return `"` + strconv.FormatInt(s.Created.UnixMicro(), 36) + "." + strconv.FormatUint(s.Version, 10) + `"`
}

// parseETag reads what etag wrote. It returns false for any other tag, which no session ever has.
func parseETag(tag string) (session.Stamp, bool) {
	created, version, _ := strings.Cut(strings.Trim(tag, `"`), ".")
	micros, errC := strconv.ParseInt(created, 36, 64)
	number, errV := strconv.ParseUint(version, 10, 64)
	s := session.Stamp{Version: number, Created: time.UnixMicro(micros)}
	return s, errC == nil && errV == nil && etag(s) == tag
}

// ifMatch reads If-Match (RFC 9110, section 13.1.1). "*" requires only that the session exists.
func ifMatch(r *http.Request) (session.Guard, error) {
	tags, star, err := entityTags(r, "If-Match")
	if err != nil || tags == nil {
		return session.Guard{Exists: star}, err
	}
	guard := session.Guard{Set: true}
	for _, t := range tags {
		if s, ok := parseETag(t); ok { // false for a weak tag, which never matches here
			guard.AnyOf = append(guard.AnyOf, s)
		}
	}
	return guard, nil
}

// notModified evaluates If-None-Match for a read (RFC 9110, section 13.1.2), which compares weakly.
func notModified(r *http.Request, s session.Stamp) (bool, error) {
	tags, star, err := entityTags(r, "If-None-Match")
	for _, t := range tags {
		if strings.TrimPrefix(t, "W/") == etag(s) {
			return true, err
		}
	}
	return star, err
}

// noStrayConditions refuses If-None-Match where it has no meaning. To ignore a condition is to do what it forbids.
func noStrayConditions(r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut:
		return nil
	}
	if len(r.Header["If-None-Match"]) > 0 {
		return badRequest(r.Method + " does not accept If-None-Match")
	}
	return nil
}

// createOnly reports whether a PUT carries If-None-Match: *, which makes it a create.
func createOnly(r *http.Request) (bool, error) {
	tags, star, err := entityTags(r, "If-None-Match")
	if err == nil && tags != nil {
		err = badRequest("PUT accepts only * in If-None-Match")
	}
	if err == nil && star && len(r.Header["If-Match"]) > 0 { // an empty one too
		err = badRequest("If-Match cannot be combined with If-None-Match: *")
	}
	return star, err
}

// entityTags parses a header that is "*" or a list of entity tags. Its name must be canonical.
func entityTags(r *http.Request, header string) (tags []string, star bool, err error) {
	values := r.Header[header]
	if len(values) == 0 {
		return nil, false, nil
	}
	rest := strings.Trim(strings.Join(values, ","), " \t,")
	switch {
	case rest == "*":
		return nil, true, nil
	case rest == "":
		return nil, false, badRequest("header " + header + " is empty: to ignore the condition could lose an update")
	}
	for rest != "" {
		tag, after, ok := cutEntityTag(rest)
		if !ok {
			return nil, false, badRequest("header " + header + " is not a list of entity tags")
		}
		tags = append(tags, tag)
		rest = strings.TrimLeft(after, " \t,")
	}
	return tags, false, nil
}

// cutEntityTag cuts one tag, in its quotes and with W/ if it is weak, from the start of s.
func cutEntityTag(s string) (tag, after string, ok bool) {
	start := 0
	if strings.HasPrefix(s, "W/") {
		start = 2
	}
	if !strings.HasPrefix(s[start:], `"`) {
		return "", "", false
	}
	length := strings.IndexByte(s[start+1:], '"')
	if length < 0 {
		return "", "", false
	}
	end := start + 1 + length + 1
	after = strings.TrimLeft(s[end:], " \t")
	return s[:end], after, after == "" || after[0] == ','
}
