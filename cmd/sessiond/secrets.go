package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sessiond/sessiond/internal/authority"
)

// certificatesLast is how long the certificates of secretsCmd are valid. Some clients accept none that is valid for longer.
const certificatesLast = 825 * 24 * time.Hour

// replicaUser is the ACL user that the nodes are among themselves.
const replicaUser = "replica"

// secretsCmd makes what the nodes and the service need to trust each other, for a cluster that has no authority of its own yet.
type secretsCmd struct {
	Dir       string   `required:"" env:"-" placeholder:"DIR" help:"Where to write them, and where nodes and service find them. Whoever is in the group of this process may read them."`
	Users     []string `required:"" env:"-" sep:"none" placeholder:"FILE" help:"ACL files whose users are to get a password each, such as deploy/redis/users.acl (repeatable)."`
	RedisHost []string `env:"-" placeholder:"NAME" help:"The names and addresses of all nodes, for their certificate."`
	Host      []string `env:"-" placeholder:"NAME" help:"The names and addresses of the service, for its certificate."`
}

// Run keeps the passwords and certificates that are there, and makes the others. What is derived from them it writes in any case,
// so that it follows the ACL files.
func (s *secretsCmd) Run() error {
	if err := os.MkdirAll(s.Dir, 0o750); err != nil {
		return err
	}
	users, err := s.users()
	if err != nil {
		return err
	}
	password, err := os.ReadFile(s.password(replicaUser))
	if err != nil {
		return fmt.Errorf("--users must have a user %s, whom the nodes are among themselves: %w", replicaUser, err)
	}
	if err := s.certificates(); err != nil {
		return err
	}
	conf := fmt.Sprintf("aclfile %s\nmasteruser %s\nmasterauth %s\n", s.path("users.acl"), replicaUser, bytes.TrimSpace(password))
	return errors.Join(
		s.write("users.acl", users),
		s.write("redis.conf", []byte(conf)),
		s.write("redis-tls.conf", []byte(conf+s.tls())),
	)
}

// users returns the ACL files with a password for each user who may log in.
func (s *secretsCmd) users() ([]byte, error) {
	var all bytes.Buffer
	for _, file := range s.Users {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) == 0 {
				continue // as Redis does
			}
			if len(fields) < 2 || fields[0] != "user" {
				return nil, fmt.Errorf("%s: %q is not the line of a user", file, line)
			}
			if name := fields[1]; !slices.Contains(fields, "off") {
				password, err := s.keepPassword(name)
				if err != nil {
					return nil, err
				}
				fields = slices.Insert(fields, 2, fmt.Sprintf("#%x", sha256.Sum256(bytes.TrimSpace(password))))
			}
			fmt.Fprintln(&all, strings.Join(fields, " "))
		}
	}
	return all.Bytes(), nil
}

// certificates makes an authority, a certificate of the nodes and one of the service. Nobody keeps the authority's key: new
// certificates are those of a new authority.
func (s *secretsCmd) certificates() error {
	if _, err := os.Stat(s.path("ca.pem")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	a, err := authority.New("sessiond", certificatesLast)
	if err != nil {
		return err
	}
	for name, hosts := range map[string][]string{"redis": s.RedisHost, "sessiond": s.Host} {
		cert, key, err := a.Issue(hosts...)
		if err != nil {
			return err
		}
		if err := errors.Join(s.write(name+".pem", cert), s.write(name+".key", key)); err != nil {
			return err
		}
	}
	return s.write("ca.pem", a.PEM()) // last: it says that the others are there
}

// tls is what a node's configuration needs to speak nothing but TLS, with clients and nodes that the authority knows.
func (s *secretsCmd) tls() string {
	return fmt.Sprintf(`port 0
tls-port 6379
tls-cluster yes
tls-replication yes
tls-auth-clients yes
tls-ca-cert-file %s
tls-cert-file %s
tls-key-file %s
cluster-preferred-endpoint-type hostname
`, s.path("ca.pem"), s.path("redis.pem"), s.path("redis.key"))
}

func (s *secretsCmd) path(name string) string { return filepath.Join(s.Dir, name) }

// password is the file with a user's password.
func (s *secretsCmd) password(user string) string { return s.path(user + ".password") }

// keepPassword returns the password of a user, which it makes if there is none.
func (s *secretsCmd) keepPassword(user string) ([]byte, error) {
	text, err := os.ReadFile(s.password(user))
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte(rand.Text() + "\n")
		err = s.write(filepath.Base(s.password(user)), text)
	}
	return text, err
}

// write replaces a file as a whole: whoever reads it meanwhile, or after a crash, finds the old one or the new one.
func (s *secretsCmd) write(name string, text []byte) error {
	f, err := os.CreateTemp(s.Dir, "."+name+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // if it has not become the file
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o640), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), s.path(name))
}
