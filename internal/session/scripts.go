package session

import (
	_ "embed"

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
	script := func(body string) *cluster.Script { return cluster.NewScript(recordLua + "\n" + body) }
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
