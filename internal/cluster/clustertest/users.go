package clustertest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// The users of every real cluster are those of deploy/redis, so that each test proves that the service needs no more.
// Only the default user, which the tests' own connections and the replicas are, may do everything.

// The users that the code under test and its companions are, and the password of all.
const (
	serviceUser  = "sessiond"
	operatorUser = "operator"
	exporterUser = "exporter"
	password     = "password-of-the-tests"
)

// users is deploy/redis/users.acl and bundle.acl with passwords, and with a default user who may do everything.
func users() (string, error) {
	text, err := os.ReadFile(inRepository("deploy/redis/users.acl"))
	if err != nil {
		return "", err
	}
	bundle, err := os.ReadFile(inRepository("deploy/redis/bundle.acl"))
	if err != nil {
		return "", err
	}
	var lines []string
	for line := range strings.Lines(string(text) + string(bundle)) {
		name, rules, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "user "), " ")
		if name == "default" {
			rules = "on nopass ~* &* +@all"
		} else {
			rules = ">" + password + " " + rules
		}
		lines = append(lines, fmt.Sprintf("user %s %s\n", name, rules))
	}
	return strings.Join(lines, ""), nil
}

// Operator is Access as the user that the cluster commands need. It has the nodes' addresses, also over TLS: before the cluster
// is formed, no node knows another's name.
func (r *Real) Operator() peer.Access {
	a := r.Access()
	a.Username = operatorUser
	if r.tls != nil {
		a.Addrs, a.TLS = r.addrs(), r.tls.operator
	}
	return a
}

// denied returns what the nodes that answer have denied, beside logins (ACL LOG).
func (r *Real) denied() []string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var denied []string
	for _, n := range r.nodes {
		if n == nil || n.container == nil {
			continue
		}
		rdb := r.single(n)
		entries, err := rdb.ACLLog(ctx, 10).Result()
		rdb.Close()
		for _, e := range entries {
			if err == nil && e.Reason != "auth" {
				denied = append(denied, fmt.Sprintf("%s denied %s the %s %s (%s), %d times", n.name, e.Username, e.Reason, e.Object, e.Context, e.Count))
			}
		}
	}
	return denied
}

// checkDenied fails the test if a node has denied something to a user: users.acl grants too little.
func (r *Real) checkDenied(t testing.TB) {
	t.Helper()
	for _, d := range r.denied() {
		t.Error(d)
	}
}
