package session

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"

	"github.com/sessiond/sessiond/internal/cluster"
)

var (
	//go:embed scripts/struct.lua
	structLua string
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
	script := func(body string) *cluster.Script { return cluster.NewScript(structLua + withShared(recordLua, body)) }
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
	// branch matches a statement of a script that begins with a condition: the condition, and what follows where it holds. It has no
	// other branch.
	branch  = regexp.MustCompile(`(?m)^(if .*? then\b)(.*\bend(?: *--.*)?$|(?: *--.*)?\n(?s:.*?)^end\b.*$)`)
	word    = regexp.MustCompile(`\w+`)
	comment = regexp.MustCompile(`--.*`)
)

// withShared adds those shared definitions to a script that it needs, directly or not. They come first, but for those that only a
// branch needs: those come where its condition holds. A script makes its functions anew each time, while it holds the shard. All of
// them would take longer than what most scripts do, and most branches are for what is rare.
func withShared(shared, body string) string {
	defs := definitionsOf(shared)
	always := defs.neededBy(branch.ReplaceAllString(body, "$1"), nil)
	body = branch.ReplaceAllStringFunc(body, func(statement string) string {
		parts := branch.FindStringSubmatch(statement)
		own := defs.neededBy(parts[2], always)
		if len(own) == 0 {
			return statement
		}
		return parts[1] + "\n" + defs.code(own) + parts[2]
	})
	return defs.code(always) + body
}

// definitions are the shared ones. Each follows those that it uses.
type definitions []struct {
	names []string
	code  string
}

func definitionsOf(shared string) definitions {
	var all definitions
	for _, d := range definition.FindAllStringSubmatch(shared, -1) {
		all = append(all, struct {
			names []string
			code  string
		}{strings.Split(d[2]+d[3], ", "), strings.TrimPrefix(d[0], d[1])})
	}
	return all
}

// neededBy returns the indices of those that some code needs, without those that are there anyway.
func (all definitions) neededBy(code string, there map[int]bool) map[int]bool {
	words, needed := map[string]bool{}, map[int]bool{}
	note := func(code string) {
		for _, w := range word.FindAllString(comment.ReplaceAllString(code, ""), -1) {
			words[w] = true
		}
	}
	note(code)
	for i, d := range slices.Backward(all) {
		if !there[i] && slices.ContainsFunc(d.names, func(name string) bool { return words[name] }) {
			needed[i] = true
			note(d.code)
		}
	}
	return needed
}

func (all definitions) code(which map[int]bool) string {
	var b strings.Builder
	for i, d := range all {
		if which[i] {
			b.WriteString(d.code + "\n")
		}
	}
	return b.String()
}
