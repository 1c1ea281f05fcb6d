package load

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-json-experiment/json"
)

// Problem types that promise that nothing was applied, where the status alone does not promise it.
const (
	problemUnavailable = "urn:sessiond:unavailable"
	problemOverloaded  = "urn:sessiond:overloaded"
	problemStoreFull   = "urn:sessiond:store-full"
)

// outcomeOf returns what a write did. Without a promise, it is unknown.
func outcomeOf(r reply, problem string) Outcome {
	switch {
	case r.unsent:
		return Refused
	case r.err != nil:
		return Unknown
	case r.status/100 == 2:
		return Acknowledged
	case r.status == http.StatusNotFound, r.status == http.StatusGone:
		return Missing
	case r.status == http.StatusPreconditionFailed:
		return Conflict
	case r.status/100 == 4:
		return Refused
	}
	switch problem {
	case problemUnavailable, problemOverloaded, problemStoreFull:
		return Refused
	}
	return Unknown
}

// problemOf returns the type of a problem document (RFC 9457), or "".
func problemOf(r reply) string {
	if r.status < 400 || !strings.HasPrefix(r.header.Get("Content-Type"), "application/problem+json") {
		return ""
	}
	var doc struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(r.body, &doc); err != nil {
		return ""
	}
	return doc.Type
}

// versionOf reads the version from an ETag, `"life.version"`; 0 if it holds none.
func versionOf(etag string) uint64 {
	_, text, _ := strings.Cut(strings.Trim(etag, `"`), ".")
	version, _ := strconv.ParseUint(text, 10, 64)
	return version
}

// errorClass gives all errors of a kind the same name, without addresses and ports.
func errorClass(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return "no error"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "connection closed"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case isDial(err):
		return "no connection"
	}
	return "connection failed"
}
