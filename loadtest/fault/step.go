// Package fault makes faults while a load runs. It follows a schedule of steps, each carried out by docker, by ssh, or by a
// command of the caller's.
package fault

import (
	"fmt"
	"strings"
	"time"
)

// A Step is one fault, or the end of one.
type Step struct {
	At     time.Duration // since the start of the load
	Action string        // kill, start, ...: whatever the Means supports
	Target string        // may be empty for a command
}

// ParseStep reads AT:ACTION[:TARGET], for instance "10s:kill:vm2". The target may hold colons.
func ParseStep(text string) (Step, error) {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) < 2 {
		return Step{}, fmt.Errorf("fault %q: want AT:ACTION:TARGET, such as 10s:kill:vm2", text)
	}
	at, err := time.ParseDuration(parts[0])
	if err != nil || at < 0 {
		return Step{}, fmt.Errorf("fault %q: %q is not a time since the start, such as 10s", text, parts[0])
	}
	s := Step{At: at, Action: parts[1]}
	if len(parts) == 3 {
		s.Target = parts[2]
	}
	// Both become arguments of commands, and must not be mistaken for options.
	if !isWord(s.Action) || s.Target != "" && !isWord(s.Target) || len(parts) == 3 && s.Target == "" {
		return Step{}, fmt.Errorf("fault %q: action and target are words", text)
	}
	return s, nil
}

// UnmarshalText is ParseStep, for flags.
func (s *Step) UnmarshalText(text []byte) (err error) {
	*s, err = ParseStep(string(text))
	return err
}

func (s Step) String() string {
	if s.Target == "" {
		return fmt.Sprintf("%s:%s", s.At, s.Action)
	}
	return fmt.Sprintf("%s:%s:%s", s.At, s.Action, s.Target)
}

// Name returns the action and its target: "kill vm2".
func (s Step) Name() string { return strings.TrimSpace(s.Action + " " + s.Target) }

// Mends reports whether the step ends or prevents a fault instead of making one.
func (s Step) Mends() bool {
	switch s.Action {
	case "start", "unpause", "connect", "rebalance":
		return true
	}
	return false
}

func isWord(s string) bool {
	if s == "" || s[0] == '-' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
