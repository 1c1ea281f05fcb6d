package clustertest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
)

// Whoever gets hold of a user of deploy/redis/users.acl can do nothing with it but what it is for. That it can do that, every
// other test on a real cluster shows.
func TestUsersMayDoNothingElseOnRealCluster(t *testing.T) {
	real := clustertest.Shared(t)
	rdb := single(t, real, "redis-1")
	for user, commands := range map[string][]string{
		"sessiond": {
			"flushall", "keys *", "config set maxmemory 1", "acl list", "acl setuser sessiond allcommands", "debug sleep 1", "shutdown", "monitor",
			"client list", "client kill type normal", "cluster reset", "cluster forget x", "cluster setslot 1 stable", "replicaof no one", "save", "bgsave",
			"module list", "script flush", "function load x", "slowlog get", "publish c m", "subscribe c", "migrate h 1 k 0 1", "dump k", "restore k 0 v",
			"get other", "set other v", "get {a}:other:k", "eval x 1 other", "psync ? -1", "latency reset", "memory usage k", "object encoding k", "select 1",
		},
		"operator": {
			"flushall", "keys *", "scan 0", "randomkey", "get {a}:s:shop:k", "set {a}:s:shop:k v", "config set maxmemory 1", "acl list", "shutdown", "cluster reset",
			"eval x 1 {a}:s:shop:k",
		},
		"replica": {"get {a}:s:shop:k", "scan 0", "config get *", "eval x 0", "cluster failover", "info"},
	} {
		for _, command := range commands {
			args := []any{"acl", "dryrun", user}
			for arg := range strings.FieldsSeq(command) {
				args = append(args, arg)
			}
			if said, err := rdb.Do(t.Context(), args...).Text(); err != nil || !strings.Contains(said, "permissions") {
				t.Errorf("%s may %s: %s, %v", user, command, said, err)
			}
		}
		if said, err := rdb.Do(t.Context(), "acl", "dryrun", user, "cluster", "nodes").Text(); err != nil || said != "OK" {
			t.Errorf("%s may not even see the nodes: %s, %v", user, said, err)
		}
	}
}

// As it is in the repository, the file lets nobody in: it has no passwords, and the default user is off.
func TestUsersHaveNoPasswords(t *testing.T) {
	text, err := os.ReadFile("../../../deploy/redis/users.acl")
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(string(text), "><#!") || strings.Contains(string(text), "nopass") || !strings.Contains(string(text), "user default off\n") {
		t.Errorf("the file lets somebody in:\n%s", text)
	}
}
