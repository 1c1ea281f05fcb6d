package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessiond/sessiond/internal/audit"
	"github.com/sessiond/sessiond/internal/cluster/watch"
	"github.com/sessiond/sessiond/internal/keys"
)

// auditFlags say what is written down of acts that somebody may have to answer for. Every command that does such acts has them.
type auditFlags struct {
	AuditLog      string `placeholder:"FILE" help:"Write a JSON line before and after each act that somebody may have to answer for, and for each call that is refused, to this file, or to standard output (-). The file is opened again on SIGHUP."`
	AuditRequired bool   `help:"Do no act whose line cannot be written."`
	AuditUsers    string `enum:"hashed,plain" default:"hashed" help:"How these lines name users: hashed or plain (${default})."`
	AuditKeyFile  string `placeholder:"FILE" help:"Key of these hashes, at least 16 bytes. Without it each process makes a random one, so hashes of two processes cannot be compared."`

	stdout io.Writer // what - stands for
}

// minAuditKey is how many bytes a key must have.
const minAuditKey = 16

// Validate checks what the flags say together. kong calls it.
func (f *auditFlags) Validate() error {
	if f.AuditLog == "" && (f.AuditRequired || f.AuditKeyFile != "") {
		return errors.New("--audit-required and --audit-key-file need --audit-log")
	}
	if f.AuditUsers == "plain" && f.AuditKeyFile != "" {
		return errors.New("--audit-key-file is of no use with --audit-users plain")
	}
	return nil
}

// open opens the audit log; nil if there is none. metrics may be nil.
func (f *auditFlags) open(log *slog.Logger, metrics prometheus.Registerer) (*audit.Log, error) {
	if f.AuditLog == "" {
		return nil, nil
	}
	key, err := f.key()
	if err != nil {
		return nil, fmt.Errorf("--audit-key-file: %w", err)
	}
	l, err := audit.New(audit.Config{
		Open: audit.File(f.AuditLog, f.stdout), Required: f.AuditRequired, PlainUsers: f.AuditUsers == "plain", Key: key, Log: log, Metrics: metrics,
	})
	if err != nil {
		return nil, fmt.Errorf("--audit-log: %w", err)
	}
	return l, nil
}

// key reads the key file; nil if there is none. The end of its line is not part of the key.
func (f *auditFlags) key() ([]byte, error) {
	if f.AuditKeyFile == "" {
		return nil, nil
	}
	key, err := keys.ReadPrivate(f.AuditKeyFile)
	if err != nil {
		return nil, err
	}
	if key = bytes.TrimRight(key, "\r\n"); len(key) < minAuditKey {
		return nil, fmt.Errorf("%s: a key has at least %d bytes", f.AuditKeyFile, minAuditKey)
	}
	return key, nil
}

// permitTakeovers writes the lines of what the service asks replicas for.
func permitTakeovers(log *audit.Log) watch.Permit {
	return func(t watch.Takeover) (done func(error), err error) {
		e := audit.Entry{Action: audit.AskFailover, By: audit.Service, Shard: t.Shard, Node: t.Replica, Detail: "from " + t.Master}
		if t.Forced {
			e.Action = audit.ForceFailover
		}
		act, err := log.Begin(e)
		return func(err error) { act.EndWith(err, "") }, err
	}
}

// byCommand is the entry of an act of whoever runs this program.
func byCommand(action audit.Action, detail string) audit.Entry {
	return audit.Entry{Action: action, By: audit.Command, From: "uid " + strconv.Itoa(os.Getuid()), Detail: detail}
}
