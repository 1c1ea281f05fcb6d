package doctor

import (
	"context"
	_ "embed"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// An Ability is something that the service can do on a node if the user may run the commands for it.
type Ability string

const (
	Sessions     Ability = "sessions"      // read and write sessions
	Proof        Ability = "proof"         // know what a replica has, and grant leases and marks
	ReplicaReads Ability = "replica-reads" // let a replica answer for its master
	Assistance   Ability = "assistance"    // ask a replica to take over
	Roles        Ability = "roles"         // ask a master for its replicas in few bytes
	Moves        Ability = "moves"         // follow a slot that is being moved
	Census       Ability = "census"        // count the sessions, and walk through them
	Identity     Ability = "identity"      // check which node answers on a new connection
)

// A need is a command that an ability takes, as the user's rules are asked for it.
type need struct {
	ability Ability
	command string
}

// name is the command without its arguments.
func (n need) name() string {
	words := strings.Fields(n.command)
	if words[0] == "CLUSTER" {
		return words[0] + "|" + words[1]
	}
	return words[0]
}

// Keys as the service makes them: of a session, of a user's index, of a former ID, of the ends of a user's sessions, of the mark of a
// write, and of a register.
const (
	sessionKey  = "{doctor}:s:default:x"
	indexKey    = "{doctor}:u:default"
	formerKey   = "{doctor}:r:default:x"
	endsKey     = "{doctor}:e:default"
	markKey     = "{doctor}:w:default:x"
	registerKey = "sessiond:rights:{doctor}"
)

// needs are the commands that the service sends, and those that its scripts run.
var needs = []need{
	{Sessions, "CLUSTER NODES"},
	{Sessions, "EVAL x 1 " + sessionKey}, {Sessions, "EVALSHA x 1 " + sessionKey},
	{Sessions, "EVAL_RO x 1 " + sessionKey}, {Sessions, "EVALSHA_RO x 1 " + sessionKey},
	{Sessions, "GET " + sessionKey}, {Sessions, "GETRANGE " + sessionKey + " 0 1"}, {Sessions, "EXISTS " + sessionKey},
	{Sessions, "PTTL " + sessionKey}, {Sessions, "SET " + sessionKey + " x"}, {Sessions, "SETRANGE " + sessionKey + " 0 x"},
	{Sessions, "APPEND " + sessionKey + " x"}, {Sessions, "DEL " + sessionKey}, {Sessions, "PEXPIRE " + sessionKey + " 1"},
	{Sessions, "PEXPIREAT " + sessionKey + " 1"}, {Sessions, "ZADD " + indexKey + " 1 x"}, {Sessions, "ZREM " + indexKey + " x"},
	{Sessions, "ZRANDMEMBER " + indexKey}, {Sessions, "ZRANGEBYLEX " + indexKey + " - +"}, {Sessions, "ZREVRANGEBYLEX " + indexKey + " + -"},
	{Sessions, "ZRANGEBYSCORE " + indexKey + " 0 1"}, {Sessions, "ZLEXCOUNT " + indexKey + " - +"}, {Sessions, "ZCARD " + indexKey},
	{Sessions, "TIME"}, {Sessions, "WAIT 0 0"},
	{Sessions, "GET " + formerKey}, {Sessions, "ZADD " + endsKey + " 1 x"}, {Sessions, "SET " + markKey + " x"},

	{Proof, "INFO"}, {Proof, "CLUSTER INFO"}, {Proof, "HGET " + registerKey + " x"}, {Proof, "HGETALL " + registerKey},
	{Proof, "HSET " + registerKey + " x x"}, {Proof, "HDEL " + registerKey + " x"}, {Proof, "DEL " + registerKey},
	{Proof, "EVALSHA x 1 " + registerKey},

	{ReplicaReads, "READONLY"}, {ReplicaReads, "READWRITE"},
	{Assistance, "CLUSTER FAILOVER FORCE"},
	{Roles, "ROLE"},
	{Moves, "ASKING"},
	{Census, "SCAN 0"}, {Census, "DBSIZE"}, {Census, "RANDOMKEY"}, {Census, "STRLEN " + sessionKey},
	{Identity, "CLUSTER MYID"},
}

// A loss is what the lack of an ability means.
type loss struct {
	ability  Ability
	severity Severity
	why      string
}

// losses are those of all abilities.
var losses = []loss{
	{Sessions, Breaks, "sessions cannot be read or written"},
	{Proof, Breaks, "no replica answers for its master or is asked to take over, and a write that a replica lacks is not acknowledged"},
	{ReplicaReads, Breaks, "reads go to the master only, and wait for a promotion when it dies"},
	{Assistance, Weakens, "no replica is asked to take over: Redis decides alone, after the node timeout"},
	{Roles, Weakens, "each group of writes asks INFO for the replicas instead, which is longer"},
	{Moves, Breaks, "calls to a slot that is being moved fail"},
	{Census, Weakens, "sessions are not counted, and a walk through them fails"},
	{Identity, Weakens, "that a new connection leads to the right node is not checked"},
}

//go:embed permissions.lua
var permissionsSource string

// askPermissions asks what the user may do. No command is run but the script (EVAL) that asks.
func (s *sheet) askPermissions(ctx context.Context, rdb *redis.Client) error {
	var args []any
	for _, n := range needs {
		args = append(args, n.command)
	}
	positions, err := rdb.Eval(ctx, permissionsSource, nil, args...).Int64Slice()
	if peer.IsDenied(err) {
		s.denied = []need{{Sessions, "EVAL"}} // of the others nothing is known
		return nil
	}
	s.silent = err != nil
	for _, i := range positions {
		s.denied = append(s.denied, needs[i-1])
	}
	return err
}

// lacks are the abilities that the service does not have on the node.
func (s *sheet) lacks() []Ability {
	var lacks []Ability
	for _, n := range s.denied {
		if !slices.Contains(lacks, n.ability) {
			lacks = append(lacks, n.ability)
		}
	}
	return lacks
}

// judgePermissions finds what the user may not do, by ability.
func judgePermissions(x *examination) []Finding {
	found := x.each(func(s *sheet) Finding {
		if !s.silent {
			return Finding{}
		}
		return Finding{
			Severity: Unknown, Found: "does not tell what the user may do", Why: "a command that is denied shows only when it is needed",
			Do: "allow the user what docs/redis.md lists",
		}
	})
	for _, l := range losses {
		found = append(found, x.each(func(s *sheet) Finding {
			var commands []string
			for _, n := range s.denied {
				if n.ability == l.ability {
					commands = append(commands, n.name())
				}
			}
			if len(commands) == 0 {
				return Finding{}
			}
			f := Finding{
				Severity: l.severity, Found: "the user may not run " + strings.Join(commands, ", "), Why: l.why,
				Do: "allow it: ACL SETUSER ... +" + strings.ToLower(strings.Join(commands, " +")),
			}
			if l.ability == Assistance && x.Assist > 0 {
				f.Severity = Breaks
			}
			return f
		})...)
	}
	return found
}
