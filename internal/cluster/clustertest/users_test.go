package clustertest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
)

// Whoever gets hold of a user of deploy/redis can do nothing with it but what it is for. That it can do that, every
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
		"exporter": {"get {a}:s:shop:k", "scan 0", "config get *", "client list", "eval x 0", "cluster nodes", "acl list"},
		"control":  {"get {a}:s:shop:k", "set {a}:s:shop:k v", "scan 0", "config get *", "eval x 0", "cluster failover"},
		"replica":  {"get {a}:s:shop:k", "scan 0", "config get *", "eval x 0", "cluster failover", "info"},
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
		may := map[string][]any{"exporter": {"info"}, "control": {"set", "session:x", "v"}}[user]
		if may == nil {
			may = []any{"cluster", "nodes"}
		}
		if said, err := rdb.Do(t.Context(), append([]any{"acl", "dryrun", user}, may...)...).Text(); err != nil || said != "OK" {
			t.Errorf("%s may not even %v: %s, %v", user, may, said, err)
		}
	}
}

// As they are in the repository, the files let nobody in: they have no passwords, and the default user is off.
func TestUsersHaveNoPasswords(t *testing.T) {
	for file, first := range map[string]string{"users.acl": "user default off\n", "bundle.acl": "user exporter on "} {
		text, err := os.ReadFile("../../../deploy/redis/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(string(text), "><#!") || strings.Contains(string(text), "nopass") || !strings.HasPrefix(string(text), first) {
			t.Errorf("%s lets somebody in:\n%s", file, text)
		}
	}
}
