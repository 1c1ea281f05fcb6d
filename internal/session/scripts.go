package session

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"

	"github.com/sessiond/sessiond/internal/cluster"
)

var (
	//go:embed scripts/record.lua
	recordLua string
	//go:embed scripts/create.lua
	createLua string
	//go:embed scripts/replace.lua
	replaceLua string
	//go:embed scripts/touch.lua
	touchLua string
	//go:embed scripts/delete.lua
	deleteLua string
	//go:embed scripts/rotate.lua
	rotateLua string
	//go:embed scripts/retire.lua
	retireLua string
	//go:embed scripts/enlist.lua
	enlistLua string
	//go:embed scripts/list.lua
	listLua string
	//go:embed scripts/revoke.lua
	revokeLua string
)

// scripts are the writes, each one atomic step in one slot, and one that only reads. The scripts that look at a user's other
// sessions must not run while the slot moves to another master. Either they are wide, or one of their keys does not exist
// yet, and then Redis refuses them (TRYAGAIN).
type scripts struct {
	create, replace, delete, rotate, retire, enlist, revoke *cluster.Script
	touch                                                   *cluster.Script // async unless the terms ask for more
	slide                                                   *cluster.Script // touch, with the durability of other writes
	list                                                    *cluster.Script // only reads
}

func loadScripts() scripts {
	script := func(body string) *cluster.Script { return cluster.NewScript(withShared(recordLua, body)) }
	return scripts{
		create:  script(createLua),
		replace: script(replaceLua),
		touch:   script(touchLua).Loosely(),
		slide:   script(touchLua),
		delete:  script(deleteLua),
		rotate:  script(rotateLua),
		retire:  script(retireLua),
		enlist:  script(enlistLua).Widely(),
		list:    script(listLua).Widely(),
		revoke:  script(revokeLua),
	}
}

var (
	// definition matches what a script has in common with others: a comment on it, and a function or other locals.
	definition = regexp.MustCompile(`(?m)^((?:--.*\n)*)local (?:function (\w+)\((?:.*\bend$|(?s:.*?)^end$)|([\w, ]+) = .*$)`)
	word       = regexp.MustCompile(`\w+`)
)

// withShared puts in front of a script those shared definitions that it needs, directly or not. A script runs its definitions each time,
// while it holds the shard: some thirty functions took longer to define than most scripts to run.
func withShared(shared, body string) string {
	needed := map[string]bool{}
	note := func(text string) {
		for _, name := range word.FindAllString(text, -1) {
			needed[name] = true
		}
	}
	note(body)
	var parts []string
	found := definition.FindAllStringSubmatch(shared, -1)
	for _, d := range slices.Backward(found) { // each follows those that it uses
		names := strings.Split(d[2]+d[3], ", ")
		if slices.ContainsFunc(names, func(name string) bool { return needed[name] }) {
			code := strings.TrimPrefix(d[0], d[1])
			note(code)
			parts = append(parts, code)
		}
	}
	slices.Reverse(parts)
	return strings.Join(append(parts, body), "\n")
}
