package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sessiond/sessiond/internal/reread"
)

// A secret is a user name or a password. Its current value is returned; it does not block.
type secret func() string

// inFile is a secret in a file that may change. flag names the flag that gave the file.
func inFile(log *slog.Logger, flag, file string) (secret, error) {
	v, err := reread.New(log, func() (string, error) {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", flag, err)
		}
		return onlyLine(flag, text)
	}, file)
	return v.Get, err
}

// onlyLine returns a text of one line without its end. The text of the error contains nothing of it.
func onlyLine(of string, text []byte) (string, error) {
	line := strings.TrimRight(string(text), "\r\n")
	if line == "" || strings.ContainsAny(line, "\r\n") {
		return "", fmt.Errorf("%s: one line is wanted", of)
	}
	return line, nil
}

const (
	commandInterval = time.Minute      // between two runs; tokens are good for a quarter of an hour at least
	commandTimeout  = 20 * time.Second // of one run
)

// printed is a password that a command prints. The command runs once now, which must succeed, and then again and again until
// the context ends. While it fails, its last password stays.
func printed(ctx context.Context, log *slog.Logger, command string, every time.Duration) (secret, error) {
	var last atomic.Pointer[string]
	run := func() error {
		password, err := output(ctx, command)
		if err == nil {
			last.Store(&password)
		}
		return err
	}
	if err := run(); err != nil {
		return nil, err
	}
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := run(); err != nil && ctx.Err() == nil {
				log.Error("the command for the password of Redis fails; keeping the last password", "error", err)
			}
		}
	}()
	return func() string { return *last.Load() }, nil
}

// output runs a command and returns the line that it prints. The error contains what it says on its standard error.
func output(ctx context.Context, command string) (string, error) {
	const flag = "--redis-password-command"
	args := strings.Fields(command)
	if len(args) == 0 {
		return "", errors.New(flag + " is empty")
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = time.Second
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", flag, err, strings.TrimSpace(complaint.String()))
	}
	return onlyLine(flag, text)
}
