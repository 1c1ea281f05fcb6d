package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessiond/sessiond/internal/certtest"
	"github.com/sessiond/sessiond/internal/polltest"
)

// serveTLS starts the program and returns its URL with the scheme https, and its log.
func serveTLS(t *testing.T, pair certtest.Pair, args ...string) (url string, log *syncBuffer) {
	t.Helper()
	url, log = serve(t, parse(t, append(args, "--embedded", "--tls-cert-file", pair.CertFile, "--tls-key-file", pair.KeyFile)...))
	return strings.Replace(url, "http://", "https://", 1), log
}

// caller returns a client that trusts the authority, shows the certificates, and makes a connection for each request.
func caller(ca *certtest.Authority, change func(*tls.Config), shows ...tls.Certificate) *http.Client {
	config := &tls.Config{RootCAs: ca.Pool(), Certificates: shows}
	if change != nil {
		change(config)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
}

// The service speaks TLS 1.2 and 1.3 and HTTP/2, and nothing older.
func TestTLS(t *testing.T) {
	ca := certtest.New(t)
	url, _ := serveTLS(t, ca.Issue(t, "127.0.0.1"))
	for _, c := range []struct {
		name   string
		change func(*tls.Config)
		ok     bool
		proto  int
	}{
		{"by default", nil, true, 2},
		{"HTTP/1.1", func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }, true, 1},
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true, 2},
		{"TLS 1.1", func(c *tls.Config) {
			c.MinVersion, c.MaxVersion, c.NextProtos = tls.VersionTLS10, tls.VersionTLS11, []string{"http/1.1"}
		}, false, 1},
		{"another name", func(c *tls.Config) { c.ServerName = "sessions.example" }, false, 0},
	} {
		client := caller(ca, c.change)
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = c.proto != 1
		answer, err := client.Post(url+"/v1/sessions", "application/json", strings.NewReader(`{}`))
		if err != nil {
			if c.ok {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		answer.Body.Close()
		if !c.ok || answer.StatusCode != http.StatusCreated || answer.ProtoMajor != c.proto {
			t.Errorf("%s: got %s, %s", c.name, answer.Proto, answer.Status)
		}
	}
	if answer, err := http.Get(strings.Replace(url, "https://", "http://", 1) + "/livez"); err == nil && answer.StatusCode == http.StatusOK {
		t.Error("it also answers without TLS")
	}
}

// The address for operations speaks TLS too: metrics show the names of tenants and keys.
func TestOpsListenOverTLS(t *testing.T) {
	ca := certtest.New(t)
	pair := ca.Issue(t, "127.0.0.1")
	p, err := start(parse(t, "--embedded", "--ops-listen", "127.0.0.1:0", "--tls-cert-file", pair.CertFile, "--tls-key-file", pair.KeyFile), new(syncBuffer))
	if err != nil {
		t.Fatal(err)
	}
	defer p.drain()
	answer, err := caller(ca, nil).Get("https://" + p.opsAddr.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("got %s", answer.Status)
	}
	if answer, err := http.Get("http://" + p.opsAddr.String() + "/metrics"); err == nil && answer.StatusCode == http.StatusOK {
		t.Error("it also answers without TLS")
	}
}

// An event stream and an idle connection of HTTP/2 are as good as those of HTTP/1.1, and do not keep the service from stopping.
func TestStreamsOverHTTP2(t *testing.T) {
	ca := certtest.New(t)
	url, _ := serveTLS(t, ca.Issue(t, "127.0.0.1"))
	client := caller(ca, nil)
	client.Transport.(*http.Transport).DisableKeepAlives = false
	r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/v1/cluster/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	stream, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if line, err := bufio.NewReader(stream.Body).ReadString('\n'); err != nil || stream.ProtoMajor != 2 {
		t.Errorf("%s: got %q, %v", stream.Proto, line, err)
	}
	answer, err := client.Get(url + "/livez") // on the same connection
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}

// A new certificate counts without a restart. A pair that does not match changes nothing.
func TestTLSCertificateChanges(t *testing.T) {
	ca := certtest.New(t)
	pair, other := ca.Issue(t, "127.0.0.1", "first.example"), ca.Issue(t, "127.0.0.1", "other.example")
	url, log := serveTLS(t, pair)
	name := func() string {
		answer, err := caller(ca, nil).Get(url + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.TLS.PeerCertificates[0].DNSNames[0]
	}
	if got := name(); got != "first.example" {
		t.Fatalf("got %s", got)
	}
	text, err := os.ReadFile(other.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pair.CertFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	polltest.Eventually(t, "the log says that the pair does not match", func() bool {
		return name() == "first.example" && strings.Contains(log.String(), "private key does not match")
	})
	ca.Reissue(t, pair, "127.0.0.1", "second.example")
	polltest.Eventually(t, "the new certificate is shown", func() bool { return name() == "second.example" })
}

// With --tls-client-ca-file nobody gets in without a certificate of that authority, and a certificate whose key the key file
// names has the rights that stand there. When the authority changes, certificates of the former are no longer let in.
func TestClientCertificates(t *testing.T) {
	ca, strangers := certtest.New(t), certtest.New(t)
	server, app, nobody, stranger := ca.Issue(t, "127.0.0.1"), ca.Issue(t), ca.Issue(t), strangers.Issue(t)
	keyFile := filepath.Join(t.TempDir(), "keys.json")
	text := fmt.Sprintf(`{"tenants":{"shop":{}},"keys":[
		{"cert_sha256":"%x","tenant":"shop","scopes":["write"]}, {"cert_sha256":"%x","tenant":"shop","scopes":["write"]}
	]}`, app.KeyHash(t), stranger.KeyHash(t))
	if err := os.WriteFile(keyFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	authorities := filepath.Join(t.TempDir(), "ca.pem")
	trust := func(a *certtest.Authority) {
		t.Helper()
		pem, err := os.ReadFile(a.File)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(authorities, pem, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust(ca)
	url, _ := serveTLS(t, server, "--tls-client-ca-file", authorities, "--key-file", keyFile)
	create := func(shows *certtest.Pair, header ...string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/sessions", strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		client := caller(ca, func(c *tls.Config) {
			if shows != nil { // even if the authorities that the service names have not issued it
				pair := shows.Load(t)
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			}
		})
		answer, err := client.Do(r)
		if err != nil {
			return "not let in"
		}
		defer answer.Body.Close()
		io.Copy(io.Discard, answer.Body)
		return fmt.Sprint(answer.StatusCode)
	}
	for _, c := range []struct {
		name, want string
		shows      *certtest.Pair
		header     []string
	}{
		{"the app", "201", &app, nil},
		{"no certificate", "not let in", nil, nil},
		{"a certificate without rights", "401", &nobody, nil},
		{"of another authority", "not let in", &stranger, nil},
		{"the app with a wrong key", "401", &app, []string{"Authorization", "Bearer wrong"}},
		{"the app with two keys", "401", &app, []string{"Authorization", "Bearer a", "Authorization", "Bearer b"}},
	} {
		if got := create(c.shows, c.header...); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	trust(strangers)
	polltest.Eventually(t, "the other authority counts", func() bool { return create(&stranger) == "201" })
	if got := create(&app); got != "not let in" {
		t.Errorf("the app, after its authority is gone: got %s", got)
	}
}

// The healthcheck finds out that the service speaks TLS by the flags that it shares with it, and shows a client certificate.
func TestHealthcheckOverTLS(t *testing.T) {
	ca, clients := certtest.New(t), certtest.New(t)
	server, probe := ca.Issue(t, "sessions.example"), clients.Issue(t)
	plain, _ := serveTLS(t, server)
	shared, _ := serveTLS(t, server, "--tls-client-ca-file", ca.File)
	mutual, _ := serveTLS(t, server, "--tls-client-ca-file", clients.File)
	check := func(url string, args ...string) int {
		args = append([]string{"healthcheck", "--listen", strings.TrimPrefix(url, "https://")}, args...)
		return run(t.Context(), args, io.Discard, io.Discard)
	}
	pair := []string{"--tls-cert-file", server.CertFile, "--tls-key-file", server.KeyFile}
	client := []string{"--client-cert-file", probe.CertFile, "--client-key-file", probe.KeyFile}
	for name, got := range map[string]int{
		"TLS": check(plain, pair...), "the service's own certificate": check(shared, pair...),
		"a certificate for clients": check(mutual, append(client, pair...)...), "nothing but that": check(mutual, client...),
	} {
		if got != 0 {
			t.Errorf("%s: exit status %d", name, got)
		}
	}
	if check(plain) == 0 || check(mutual, pair...) == 0 {
		t.Error("it is content without having been let in")
	}
	t.Setenv("SESSIOND_TLS_CERT_FILE", server.CertFile)
	t.Setenv("SESSIOND_TLS_KEY_FILE", server.KeyFile)
	if got := check(plain); got != 0 {
		t.Errorf("by the environment of the service: exit status %d", got)
	}
}

// Keys that cross a network in the clear are worth a warning, once, at start.
func TestWarnsOfKeysInTheClear(t *testing.T) {
	keyFile := filepath.Join(t.TempDir(), "keys.json")
	text := fmt.Sprintf(`{"tenants":{"shop":{}},"keys":[{"sha256":"%064x","tenant":"shop"}]}`, 1)
	if err := os.WriteFile(keyFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := certtest.New(t).Issue(t, "127.0.0.1")
	for _, c := range []struct {
		listen string
		tls    bool
		want   int
	}{{"0.0.0.0:0", false, 1}, {"127.0.0.1:0", false, 0}, {"0.0.0.0:0", true, 0}} {
		args := []string{"--embedded", "--key-file", keyFile, "--listen", c.listen}
		if c.tls {
			args = append(args, "--tls-cert-file", pair.CertFile, "--tls-key-file", pair.KeyFile)
		}
		if _, log := serve(t, parse(t, args...)); strings.Count(log.String(), "there is no TLS") != c.want {
			t.Errorf("%s, TLS %v: the log says\n%s", c.listen, c.tls, log)
		}
	}
}
