package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secrets runs the command in a folder, with the repository's users, and returns the files.
func secrets(t *testing.T, dir string) map[string]string {
	t.Helper()
	args := []string{
		"cluster", "secrets", "--dir=" + dir, "--users=../../deploy/redis/users.acl", "--users=../../deploy/redis/bundle.acl",
		"--redis-host=redis-1.vm1,redis-2.vm2", "--host=localhost,127.0.0.1",
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), args, io.Discard, &stderr); code != 0 {
		t.Fatalf("%v: %s", args, &stderr)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s is readable by all: %v, %v", f.Name(), info.Mode(), err)
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		texts[f.Name()] = string(text)
	}
	return texts
}

// Each user has a password of its own, which the nodes know as a hash, and the default user has none.
func TestSecretsGiveEachUserAPassword(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	files := secrets(t, dir)
	for _, user := range []string{"sessiond", "operator", "replica", "exporter", "control"} {
		password := strings.TrimSpace(files[user+".password"])
		if len(password) < 20 {
			t.Errorf("the password of %s is %q", user, password)
		}
		if want := fmt.Sprintf("user %s #%x on ", user, sha256.Sum256([]byte(password))); !strings.Contains(files["users.acl"], want) {
			t.Errorf("%s cannot log in with its password:\n%s", user, files["users.acl"])
		}
		for name, text := range files {
			mine := name == user+".password" || user == "replica" && strings.HasPrefix(name, "redis")
			if !mine && strings.Contains(text, password) {
				t.Errorf("%s has the password of %s", name, user)
			}
		}
	}
	if !strings.Contains(files["users.acl"], "user default off\n") || files["default.password"] != "" {
		t.Errorf("the default user may log in:\n%s", files["users.acl"])
	}
	for _, want := range []string{"aclfile " + dir + "/users.acl\n", "masteruser replica\n", "masterauth " + files["replica.password"]} {
		if !strings.Contains(files["redis.conf"], want) || !strings.Contains(files["redis-tls.conf"], want) {
			t.Errorf("the configuration lacks %q", want)
		}
	}
}

// The certificates are for the hosts that were named, and from the authority that clients are to trust.
func TestSecretsHaveCertificates(t *testing.T) {
	dir := t.TempDir()
	files := secrets(t, dir)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(files["ca.pem"])) {
		t.Fatal("there is no authority")
	}
	for name, hosts := range map[string][]string{"redis": {"redis-1.vm1", "redis-2.vm2"}, "sessiond": {"localhost", "127.0.0.1"}} {
		pair, err := tls.X509KeyPair([]byte(files[name+".pem"]), []byte(files[name+".key"]))
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range hosts {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host}); err != nil {
				t.Errorf("%s, as %s: %v", name, host, err)
			}
		}
	}
}

// What nodes and service use already stays when the command runs again. The rules follow the ACL files.
func TestSecretsStay(t *testing.T) {
	dir := t.TempDir()
	before := secrets(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "users.acl"), []byte("user sessiond off\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "operator.password")); err != nil {
		t.Fatal(err)
	}
	after := secrets(t, dir)
	for name := range before {
		if changed := before[name] != after[name]; changed != (name == "operator.password" || name == "users.acl") {
			t.Errorf("%s changed: %t", name, changed)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files, then %d", len(before), len(after))
	}
}

func TestSecretsRefuseWhatTheyCannotUse(t *testing.T) {
	for name, acl := range map[string]string{"no replica": "user sessiond on +@all\n", "not a user": "# a comment\n"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "users.acl")
			if err := os.WriteFile(file, []byte(acl), 0o600); err != nil {
				t.Fatal(err)
			}
			if code := run(t.Context(), []string{"cluster", "secrets", "--dir=" + t.TempDir(), "--users=" + file}, io.Discard, io.Discard); code != 1 {
				t.Errorf("ended with %d", code)
			}
		})
	}
}
