package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A caller sends requests over one connection, each when the last one is answered. It is as cheap as it can be, since it runs on the
// cores of those whom it measures.
type caller struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(addr string) (*caller, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &caller{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

// send sends a request and returns the value of the header Session-ID of the answer, if it has one.
func (c *caller) send(request []byte) (id string, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return "", err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	if len(line) < 12 || line[9] != '2' {
		return "", fmt.Errorf("answered %q", line)
	}
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		name, value, ok := bytes.Cut(line, []byte(": "))
		if !ok {
			break
		}
		switch textproto.CanonicalMIMEHeaderKey(string(name)) {
		case "Content-Length":
			length, err = strconv.Atoi(string(bytes.TrimSpace(value)))
		case "Session-Id":
			id = string(bytes.TrimSpace(value))
		}
		if err != nil {
			return "", err
		}
	}
	_, err = c.in.Discard(length)
	return id, err
}

// A figure is what one load has measured.
type figure struct {
	PerSecond      float64       `json:"per_second"`
	P50, P99, P999 time.Duration `json:"-"`
	ServiceCPU     time.Duration `json:"-"` // per request
	RedisCPU       time.Duration `json:"-"` // per request, of all nodes
}

// run sends requests over so many connections for a while. next makes the n-th request of a connection; it is told the session ID in
// the answer before, if there was one.
func run(t testing.TB, addr string, conns int, lasts time.Duration, next func(conn, n int, id string) []byte) figure {
	t.Helper()
	var callers sync.WaitGroup
	took := make([][]time.Duration, conns)
	errs := make([]error, conns)
	began := time.Now()
	for i := range conns {
		callers.Go(func() {
			c, err := dial(addr)
			if err != nil {
				errs[i] = err
				return
			}
			defer c.conn.Close()
			id := ""
			for n := 0; time.Since(began) < lasts; n++ {
				request := next(i, n, id)
				sent := time.Now()
				given, err := c.send(request)
				if err != nil {
					errs[i] = err
					return
				}
				took[i] = append(took[i], time.Since(sent))
				if given != "" {
					id = given
				}
			}
		})
	}
	callers.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatalf("%s: %v", addr, err)
		}
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	at := func(quantile float64) time.Duration { return all[int(quantile*float64(len(all)-1))] }
	return figure{PerSecond: float64(len(all)) / time.Since(began).Seconds(), P50: at(0.5), P99: at(0.99), P999: at(0.999)}
}

// request makes one for the session with the ID.
func request(method, path, id, prefer, contentType, body string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, path)
	for _, h := range [][2]string{{"Session-ID", id}, {"Prefer", prefer}, {"Content-Type", contentType}} {
		if h[1] != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
		}
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return []byte(b.String())
}
