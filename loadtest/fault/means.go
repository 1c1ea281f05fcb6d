package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// A Means carries out steps. The zero value uses docker.
type Means struct {
	// By is "docker", "ssh", or a command for sh -c, which gets the action as $1 and the target as $2.
	By string
	// Unit is the systemd unit of Redis on machines reached by ssh. "redis-server" if empty.
	Unit string
	// Project is the Compose project whose containers docker acts on. All containers if empty.
	Project string
	// Run executes a command and returns its standard output. Outside tests it uses os/exec.
	Run func(ctx context.Context, name string, args ...string) (string, error)
}

// dockerActions are docker's own commands.
var dockerActions = map[string]bool{"kill": true, "start": true, "stop": true, "restart": true, "pause": true, "unpause": true}

// sshActions are the arguments of systemctl for each action.
var sshActions = map[string]string{
	"kill": "kill --signal=KILL", "start": "start", "stop": "stop", "restart": "restart",
	"pause": "kill --signal=STOP", "unpause": "kill --signal=CONT",
}

// Check reports whether a step can be carried out at all, before the load begins.
func (m Means) Check(s Step) error {
	known := true
	switch m.By {
	case "", "docker":
		known = dockerActions[s.Action] || s.Action == "rebalance"
	case "ssh":
		known = sshActions[s.Action] != "" || s.Action == "rebalance"
	default:
		return nil // up to the command
	}
	if !known {
		return fmt.Errorf("fault %s: %s cannot %s", s, m.name(), s.Action)
	}
	if s.Target == "" {
		return fmt.Errorf("fault %s: %s needs a target", s, m.name())
	}
	return nil
}

func (m Means) name() string {
	if m.By == "" {
		return "docker"
	}
	return m.By
}

// Do carries out a step, and returns when its commands have ended.
func (m Means) Do(ctx context.Context, s Step) error {
	if m.Run == nil {
		m.Run = run
	}
	var err error
	switch m.By {
	case "", "docker":
		err = m.docker(ctx, s)
	case "ssh":
		err = m.ssh(ctx, s)
	default:
		_, err = m.Run(ctx, "sh", "-c", m.By, "fault", s.Action, s.Target)
	}
	if err != nil {
		return fmt.Errorf("fault %s: %w", s, err)
	}
	return nil
}

// docker acts on the containers whose label sessiond.vm, Compose service or name is the target.
func (m Means) docker(ctx context.Context, s Step) error {
	var containers []string
	for _, label := range []string{"sessiond.vm", "com.docker.compose.service"} {
		args := []string{"ps", "-aq", "--filter", "label=" + label + "=" + s.Target}
		if m.Project != "" {
			args = append(args, "--filter", "label=com.docker.compose.project="+m.Project)
		}
		out, err := m.Run(ctx, "docker", args...)
		if err != nil {
			return err
		}
		if containers = strings.Fields(out); len(containers) > 0 {
			break
		}
	}
	if len(containers) == 0 {
		containers = []string{s.Target}
	}
	if s.Action == "rebalance" {
		_, err := m.Run(ctx, "docker", "exec", containers[0], "/sessiond", "cluster", "rebalance")
		return err
	}
	_, err := m.Run(ctx, "docker", append([]string{s.Action}, containers...)...)
	return err
}

func (m Means) ssh(ctx context.Context, s Step) error {
	args := []string{"-o", "BatchMode=yes", "-o", "ConnectTimeout=5", s.Target}
	if s.Action == "rebalance" {
		args = append(args, "sessiond", "cluster", "rebalance")
	} else {
		unit := m.Unit
		if unit == "" {
			unit = "redis-server"
		}
		args = append(append(args, "sudo", "systemctl"), strings.Fields(sshActions[s.Action])...)
		args = append(args, unit)
	}
	_, err := m.Run(ctx, "ssh", args...)
	return err
}

// run adds the command's output to its error.
func run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if said := strings.TrimSpace(string(exit.Stderr)); said != "" {
			return "", fmt.Errorf("%s: %w: %s", name, err, said)
		}
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return string(out), nil
}
