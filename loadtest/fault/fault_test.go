package fault

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseStep(t *testing.T) {
	for text, want := range map[string]Step{
		"10s:kill:vm2":                {10 * time.Second, "kill", "vm2"},
		"0s:stop:sessiond-1":          {0, "stop", "sessiond-1"},
		"1m30s:rebalance":             {90 * time.Second, "rebalance", ""},
		"250ms:kill:ops@[fd00::1]:22": {250 * time.Millisecond, "kill", "ops@[fd00::1]:22"},
	} {
		got, err := ParseStep(text)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
		if again, err := ParseStep(got.String()); err != nil || again != want {
			t.Errorf("%s does not survive String: %+v, %v", text, again, err)
		}
	}
	for _, text := range []string{"", "10s", "kill:vm2", "10:kill:vm2", "-1s:kill:vm2", "10s::vm2", "10s:kill:", "10s:kill:-f", "10s:--rm:vm2", "10s:kill:vm 2", "10s:kill:vm2\n"} {
		if s, err := ParseStep(text); err == nil {
			t.Errorf("%q was accepted as %+v", text, s)
		}
	}
}

func TestMends(t *testing.T) {
	for action, want := range map[string]bool{"kill": false, "stop": false, "restart": false, "pause": false, "cut": false, "start": true, "unpause": true, "connect": true, "rebalance": true} {
		if got := (Step{Action: action}).Mends(); got != want {
			t.Errorf("%s mends: %t", action, got)
		}
	}
}

// Each means runs the commands that an operator would type.
func TestCommands(t *testing.T) {
	for name, test := range map[string]struct {
		means Means
		step  string
		out   map[string]string // of commands that answer something
		want  []string
	}{
		"docker, a VM by its label": {Means{}, "1s:kill:vm2", map[string]string{"docker ps -aq --filter label=sessiond.vm=vm2": "a1\nb2\n"},
			[]string{"docker ps -aq --filter label=sessiond.vm=vm2", "docker kill a1 b2"}},
		"docker, of one project": {Means{Project: "mine"}, "1s:stop:vm2", map[string]string{"docker ps -aq --filter label=sessiond.vm=vm2 --filter label=com.docker.compose.project=mine": "a1"},
			[]string{"docker ps -aq --filter label=sessiond.vm=vm2 --filter label=com.docker.compose.project=mine", "docker stop a1"}},
		"docker, a service": {Means{By: "docker"}, "1s:restart:sessiond-1", map[string]string{"docker ps -aq --filter label=com.docker.compose.service=sessiond-1": "c3"},
			[]string{"docker ps -aq --filter label=sessiond.vm=sessiond-1", "docker ps -aq --filter label=com.docker.compose.service=sessiond-1", "docker restart c3"}},
		"docker, a name": {Means{By: "docker"}, "1s:pause:redis", nil,
			[]string{"docker ps -aq --filter label=sessiond.vm=redis", "docker ps -aq --filter label=com.docker.compose.service=redis", "docker pause redis"}},
		"docker, rebalance": {Means{}, "1s:rebalance:sessiond-1", map[string]string{"docker ps -aq --filter label=com.docker.compose.service=sessiond-1": "c3"},
			[]string{"docker ps -aq --filter label=sessiond.vm=sessiond-1", "docker ps -aq --filter label=com.docker.compose.service=sessiond-1", "docker exec c3 /sessiond cluster rebalance"}},
		"ssh":            {Means{By: "ssh"}, "1s:kill:ops@vm2", nil, []string{"ssh -o BatchMode=yes -o ConnectTimeout=5 ops@vm2 sudo systemctl kill --signal=KILL redis-server"}},
		"ssh, a unit":    {Means{By: "ssh", Unit: "redis@*"}, "1s:start:vm2", nil, []string{"ssh -o BatchMode=yes -o ConnectTimeout=5 vm2 sudo systemctl start redis@*"}},
		"ssh, rebalance": {Means{By: "ssh"}, "1s:rebalance:app1", nil, []string{"ssh -o BatchMode=yes -o ConnectTimeout=5 app1 sessiond cluster rebalance"}},
		"a command":      {Means{By: `cut-power "$2"`}, "1s:kill:vm2", nil, []string{`sh -c cut-power "$2" fault kill vm2`}},
	} {
		t.Run(name, func(t *testing.T) {
			var ran []string
			test.means.Run = func(_ context.Context, name string, args ...string) (string, error) {
				line := strings.Join(append([]string{name}, args...), " ")
				ran = append(ran, line)
				return test.out[line], nil
			}
			step, err := ParseStep(test.step)
			if err != nil {
				t.Fatal(err)
			}
			if err := test.means.Check(step); err != nil {
				t.Error(err)
			}
			if err := test.means.Do(t.Context(), step); err != nil {
				t.Error(err)
			}
			if !slices.Equal(ran, test.want) {
				t.Errorf("ran %q\nwant %q", ran, test.want)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	for text, means := range map[string]Means{"1s:explode:vm2": {}, "1s:kill": {By: "docker"}, "1s:connect:vm2": {By: "ssh"}} {
		step, err := ParseStep(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := means.Check(step); err == nil {
			t.Errorf("%s by %q was accepted", text, means.By)
		}
	}
}

// A command gets action and target as arguments. If it fails, its output is in the error.
func TestRealCommand(t *testing.T) {
	step := Step{Action: "kill", Target: `vm2;echo "$IFS"`}
	if err := (Means{By: `test "$1" = kill && test "$2" = 'vm2;echo "$IFS"'`}).Do(t.Context(), step); err != nil {
		t.Error(err)
	}
	err := Means{By: "echo no such VM >&2; exit 3"}.Do(t.Context(), step)
	if err == nil || !strings.Contains(err.Error(), "no such VM") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
}

func TestScheduleKeepsItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		steps := []Step{{20 * time.Second, "start", "b"}, {5 * time.Second, "kill", "a"}, {6 * time.Second, "kill", "b"}, {time.Minute, "start", "a"}}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		means := Means{By: "x", Run: func(_ context.Context, _ string, args ...string) (string, error) {
			time.Sleep(3 * time.Second)
			if args[3] == "kill" && args[4] == "b" {
				return "", errors.New("refused")
			}
			return "", nil
		}}
		var began []string
		made, left := Run(ctx, start, steps, means, func(s Step, at time.Time) { began = append(began, s.Name()+" at "+at.Sub(start).String()) })
		if want := []string{"kill a at 5s", "kill b at 8s", "start b at 20s"}; !slices.Equal(began, want) {
			t.Errorf("began %q, want %q", began, want)
		}
		if len(made) != 3 || made[0].Err != nil || made[1].Err == nil || made[0].Ended.Sub(start) != 8*time.Second {
			t.Errorf("made %+v", made)
		}
		if len(left) != 1 || left[0].Action != "start" || left[0].Target != "a" {
			t.Errorf("left %v", left)
		}
	})
}

// The end of the run does not abort a step: half a fault is worse than none.
func TestStepUnderWayIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		means := Means{By: "x", Run: func(ctx context.Context, _ string, _ ...string) (string, error) {
			cancel()
			time.Sleep(time.Second)
			return "", ctx.Err()
		}}
		made, left := Run(ctx, time.Now(), []Step{{0, "kill", "a"}, {0, "start", "a"}}, means, func(Step, time.Time) {})
		if len(made) != 1 || made[0].Err != nil || len(left) != 1 {
			t.Errorf("made %+v, left %v", made, left)
		}
	})
}
