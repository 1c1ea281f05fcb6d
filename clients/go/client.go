// Package sessiond is a client of sessiond, a session store behind HTTP.
//
// A [Client] knows several instances of the service and sends each request to one of them. It leaves an instance that is gone, that stops,
// or that is cut off from the store, and sends the request to another: reads always, and those writes that take effect once however often
// they are sent. All writes of this package do, but [Client.Login] and a rotation without grace. So a request fails only when no instance could serve it until its
// deadline.
//
// Errors tell three things apart that an app must not mix up: there is no such session ([ErrNotFound]), which ends a login; the store could
// not be asked ([ErrUnavailable]), which ends nothing; and a write of which nobody knows whether it took effect ([ErrOutcomeUnknown]).
package sessiond

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says which service a client uses. Only URLs is needed.
type Config struct {
	URLs   []string // base URLs of the instances, such as http://sessiond-1:8080
	Key    string   // API key; empty where the service runs without a key file
	Tenant string   // the key's tenant, which is part of the IDs of sessions with a user; empty for "default"

	// Timeout bounds a call whose context has no earlier deadline: 10 s if it is 0. It should be longer than the service's
	// --request-timeout, within which a write outlasts a failover.
	Timeout time.Duration

	// Patience is how long an instance may take before a request that can be repeated goes to another one: 3 s if it is 0.
	Patience time.Duration

	// HTTP sends the requests. If it is nil, the client has connections of its own.
	HTTP *http.Client
}

// A Client sends requests to a service. Its methods may be called concurrently.
type Client struct {
	http      *http.Client
	key       string
	tenant    string
	timeout   time.Duration
	patience  time.Duration
	instances *instances
}

// New returns a client. It sends nothing yet. It fails if a URL is no base URL.
func New(c Config) (*Client, error) {
	if len(c.URLs) == 0 {
		return nil, errors.New("sessiond: no URLs of instances are given")
	}
	bases := make([]string, len(c.URLs))
	for i, text := range c.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("sessiond: URL %d is not that of an instance", i+1) // not shown: it may hold a password
		}
		bases[i] = strings.TrimSuffix(text, "/")
	}
	client := &Client{
		http: c.HTTP, key: c.Key, tenant: c.Tenant, timeout: c.Timeout, patience: c.Patience, instances: newInstances(bases),
	}
	if client.http == nil {
		client.http = &http.Client{Transport: transport()}
	}
	client.http = unredirected(client.http)
	if client.tenant == "" {
		client.tenant = "default"
	}
	if client.timeout == 0 {
		client.timeout = 10 * time.Second
	}
	if client.patience == 0 {
		client.patience = 3 * time.Second
	}
	return client, nil
}

// unredirected is a client that follows no redirect: net/http would make a write a GET of something else, and send the session's ID there.
func unredirected(c *http.Client) *http.Client {
	other := *c
	other.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &other
}

// transport keeps as many connections as an app has requests under way: the default of net/http, two to a host, would make a new one for
// most requests.
func transport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: time.Second, KeepAlive: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 2 * time.Second,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}
}
