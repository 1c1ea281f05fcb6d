package scenario

import (
	"fmt"
	"maps"
	"slices"

	"github.com/alecthomas/kong"
)

// A Flag is the flag that chooses a scenario. The scenario's values apply to flags that the command line does not set.
type Flag string

// BeforeResolve is called by kong.
func (f Flag) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	s, err := Open(string(ctx.FlagValue(trace.Flag).(Flag)))
	if err != nil {
		return err
	}
	ctx.AddResolver(resolver{s})
	return nil
}

type resolver struct{ Scenario }

// Validate rejects unknown flags: a misspelt name would silently change the test.
func (r resolver) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, group := range app.AllFlags(false) {
		for _, f := range group {
			known[f.Name] = f.Name != "scenario" && f.Name != "help" && f.Name != "token" // a file is no place for a secret
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		if !known[name] {
			return fmt.Errorf("scenario %s: %q is not a flag", r.Name, name)
		}
	}
	return nil
}

func (r resolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if value, ok := r.Values[flag.Name]; ok {
		return value, nil
	}
	return nil, nil
}
