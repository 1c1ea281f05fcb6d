package doctor

import (
	"cmp"
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/view"
)

// A sheet is what one node has said. What it refuses to tell is missing.
type sheet struct {
	node     view.Node
	err      error             // why it does not answer; then nothing else is set
	timeout  time.Duration     // its cluster-node-timeout, or the one that was given for nodes that do not tell; 0 if unknown
	info     map[string]string // INFO
	settings map[string]string // CONFIG GET; nil if that is denied
	ahead    time.Duration     // its clock before ours
	slack    time.Duration     // by which ahead may be wrong, either way
	timed    bool              // it has told its clock
	denied   []need            // what the user may not do
	silent   bool              // it does not tell what the user may do
}

// settings are asked for by CONFIG GET.
var settings = []string{
	"maxmemory", "maxmemory-policy", "cluster-require-full-coverage", "cluster-allow-replica-migration", "appendonly", "save",
}

// fill asks the node.
func (s *sheet) fill(ctx context.Context, p *peer.Peer) {
	a, err := p.Probe(ctx)
	if err != nil {
		s.err = peer.Translate(err)
		return
	}
	s.timeout = a.NodeTimeout
	rdb := p.Questions()
	pipe := rdb.Pipeline()
	info := pipe.Info(ctx) // without sections, which engines before 7.0 take only one of
	config := redis.NewMapStringStringCmd(ctx, configGet()...)
	_ = pipe.Process(ctx, config)
	_, _ = pipe.Exec(ctx) // each has its own error
	s.info = view.ParseInfo(info.Val())
	if config.Err() == nil {
		s.settings = config.Val()
	}
	unanswered := firstUnanswered(info.Err(), config.Err(), s.readClock(ctx, rdb), s.askPermissions(ctx, rdb))
	if unanswered != nil {
		*s = sheet{node: s.node, err: peer.Translate(unanswered)}
	}
}

// firstUnanswered is the first of the errors that is no reply of the node: the node or the time has come to an end. What it has
// not said must not pass for what it refuses to say.
func firstUnanswered(errs ...error) error {
	for _, err := range errs {
		if err != nil && !peer.IsReply(err) {
			return err
		}
	}
	return nil
}

func configGet() []any {
	call := []any{"config", "get"}
	for _, name := range settings {
		call = append(call, name)
	}
	return call
}

// readClock compares the node's clock with ours (TIME).
func (s *sheet) readClock(ctx context.Context, rdb *redis.Client) error {
	asked := time.Now()
	now, err := rdb.Time(ctx).Result()
	if err != nil {
		return err
	}
	s.slack = time.Since(asked) / 2
	s.ahead, s.timed = now.Sub(asked.Add(s.slack)), true
	return nil
}

// tells returns what the node says of a setting, in INFO or in CONFIG GET.
func (s *sheet) tells(inInfo, setting string) (value string, ok bool) {
	if value, ok = s.info[inInfo]; ok {
		return value, true
	}
	value, ok = s.settings[setting]
	return value, ok
}

// engine is the name and the version of the node's software, empty if it does not tell. A Valkey calls itself a Redis 7.2 too.
func (s *sheet) engine() string {
	if version, ok := s.info["valkey_version"]; ok {
		return "Valkey " + version
	}
	if version, ok := s.info["redis_version"]; ok {
		return "Redis " + version
	}
	return ""
}

// unknown is the finding of a setting that the node does not tell.
func unknown(setting, why string) Finding {
	return Finding{
		Severity: Unknown, Found: "does not tell its " + setting, Why: cmp.Or(why, "whether the promise holds is not known"),
		Do: "allow CONFIG GET to the user, or see to it that the engine sets what docs/redis.md says",
	}
}
