package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessiond/sessiond/internal/certtest"
	"github.com/sessiond/sessiond/internal/polltest"
)

// creates reports whether the service at the URL creates sessions.
func creates(t *testing.T, url string) bool {
	t.Helper()
	status, _, _ := call(t, "POST", url+"/v1/sessions", `{}`)
	return status == http.StatusCreated
}

// inTemp writes a file that lives as long as the test.
func inTemp(t *testing.T, text string) (file string, write func(text string)) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "secret")
	write = func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	return file, write
}

// When user and password change, new connections have the new ones. Those that exist go on.
func TestRedisCredentialsChange(t *testing.T) {
	redis := miniredis.RunT(t)
	redis.RequireUserAuth("first", "the-old-password")
	userFile, writeUser := inTemp(t, "first\n")
	passwordFile, writePassword := inTemp(t, "the-old-password\n")
	url, log := serve(t, parse(t, "--redis", redis.Addr(), "--request-timeout", "1s",
		"--redis-username-file", userFile, "--redis-password-file", passwordFile))
	polltest.Eventually(t, "the service is let in", func() bool { return creates(t, url) })

	redis.RequireUserAuth("first", "")
	redis.RequireUserAuth("second", "the-new-password")
	if !creates(t, url) {
		t.Error("existing connections do not go on")
	}
	writeUser("second\n")
	writePassword("the-new-password\n")
	redis.Close()
	if err := redis.Restart(); err != nil { // no connection survives that
		t.Fatal(err)
	}
	polltest.Eventually(t, "the service is let in with the new password", func() bool { return creates(t, url) })
	if strings.Contains(log.String(), "the-old-password") || strings.Contains(log.String(), "the-new-password") {
		t.Errorf("a password is in the log:\n%s", log)
	}
}

// A command prints the password, again and again. While it fails, the last password stays.
func TestPasswordCommand(t *testing.T) {
	file, write := inTemp(t, "first\n")
	log := new(syncBuffer)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	password, err := printed(ctx, slog.New(slog.NewTextHandler(log, nil)), "cat "+file, time.Millisecond)
	if err != nil || password() != "first" {
		t.Fatalf("got %v", err)
	}
	write("second\n")
	polltest.Eventually(t, "the second password", func() bool { return password() == "second" })
	write("a line\nand another\n")
	polltest.Eventually(t, "the log says that it fails", func() bool { return strings.Contains(log.String(), "one line is wanted") })
	if password() != "second" || strings.Contains(log.String(), "another") {
		t.Errorf("got %q; the log says\n%s", password(), log)
	}

	redis := miniredis.RunT(t)
	redis.RequireAuth("token")
	write("token")
	url, _ := serve(t, parse(t, "--redis", redis.Addr(), "--redis-password-command", "cat "+file))
	polltest.Eventually(t, "the service is let in", func() bool { return creates(t, url) })
}

// Redis over TLS: the service shows its certificate, and knows the nodes by the name that it was told.
func TestRedisOverTLS(t *testing.T) {
	ca, strangers := certtest.New(t), certtest.New(t)
	server := ca.Issue(t, "redis.example").Load(t)
	redis := miniredis.NewMiniRedis()
	if err := redis.StartTLS(&tls.Config{
		Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	client, stranger := ca.Issue(t), strangers.Issue(t)
	shown := func(p certtest.Pair) []string {
		return []string{"--redis", redis.Addr(), "--redis-ca-file", ca.File, "--redis-server-name", "redis.example",
			"--redis-cert-file", p.CertFile, "--redis-key-file", p.KeyFile, "--request-timeout", "1s"}
	}
	url, _ := serve(t, parse(t, shown(client)...))
	polltest.Eventually(t, "the service is let in", func() bool { return creates(t, url) })

	for name, args := range map[string][]string{
		"another name":                 append(shown(client), "--redis-server-name", "other.example"),
		"no name":                      append(shown(client), "--redis-server-name", ""),
		"another authority of Redis":   append(shown(client), "--redis-ca-file", strangers.File),
		"a stranger's certificate":     shown(stranger),
		"no certificate":               {"--redis", redis.Addr(), "--redis-ca-file", ca.File, "--redis-server-name", "redis.example"},
		"the system's own authorities": {"--redis", redis.Addr(), "--redis-tls"},
	} {
		url, log := serve(t, parse(t, append(args, "--request-timeout", "300ms")...))
		polltest.Eventually(t, name+": the log says why", func() bool { return strings.Contains(log.String(), "tls: ") })
		if creates(t, url) {
			t.Errorf("%s: it was let in", name)
		}
	}

	// A new certificate counts from the next connection on.
	url, _ = serve(t, parse(t, shown(stranger)...))
	ca.Reissue(t, stranger)
	polltest.Eventually(t, "the new certificate is let in", func() bool { return creates(t, url) })
}
