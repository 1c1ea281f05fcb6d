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
)

// scripts are the writes, each one atomic step in one slot.
type scripts struct {
	create, replace, touch, delete *cluster.Script
}

func loadScripts() scripts {
	script := func(body string) *cluster.Script { return cluster.NewScript(recordLua + "\n" + body) }
	return scripts{
		create:  script(createLua),
		replace: script(replaceLua),
		touch:   script(touchLua),
		delete:  script(deleteLua),
	}
}
