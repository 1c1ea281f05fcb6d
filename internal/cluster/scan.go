package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

var (
	// ErrBadCursor means that Scan never returned this cursor.
	ErrBadCursor = errors.New("no scan returned this cursor")
	// ErrCursorExpired means that, since the scan began, the masters or their slots have changed or a master was restarted.
	ErrCursorExpired = errors.New("the masters have changed since the scan began")
)

// scanRounds bounds the SCAN commands for one page, so that a scan over many keys that do not match still answers in time.
const scanRounds = 200

// scansAtOnce is how many scans ask the nodes at the same time. A scan takes one of the four connections for questions to a node,
// a census another one. The rest is for the watcher and for leases and marks.
const scansAtOnce = 2

// A scanCursor is where a scan continues: at a position in one master's SCAN. A position is valid only in the process that
// returned it, so the cursor identifies the processes of all masters.
type scanCursor struct {
	masters  uint64 // hash of the masters' IDs, run IDs and slots
	index    uint32 // of the current master, in the order of their IDs
	position uint64
}

func (c scanCursor) encode() string {
	b := binary.BigEndian.AppendUint64(nil, c.masters)
	b = binary.BigEndian.AppendUint32(b, c.index)
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, c.position))
}

func decodeScanCursor(s string) (scanCursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 20 {
		return scanCursor{}, ErrBadCursor
	}
	return scanCursor{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint64(b[12:])}, nil
}

// Scan lists the string keys on all masters that match a pattern, limit or a few more at a time (SCAN). An empty cursor
// begins a scan, and an empty next means its end. A key that exists for the whole scan is listed at least once. A page
// may be short or empty before the end. Scan fails with ErrBadCursor or ErrCursorExpired. A few scans run at a time; the others
// wait.
func (c *Client) Scan(ctx context.Context, pattern, cursor string, limit int) (keys []string, next string, err error) {
	if err := c.scans.Acquire(ctx, 1); err != nil {
		return nil, "", peer.Unavailable(fmt.Errorf("%w while other scans are in progress", err))
	}
	defer c.scans.Release(1)
	masters, hash, err := c.masters(ctx)
	if err != nil {
		return nil, "", err
	}
	at := scanCursor{masters: hash}
	if cursor != "" {
		if at, err = decodeScanCursor(cursor); err != nil {
			return nil, "", err
		}
		if at.masters != hash || int(at.index) >= len(masters) {
			return nil, "", ErrCursorExpired
		}
	}
	for round := 0; len(keys) < limit && round < scanRounds; round++ {
		page, position, err := masters[at.index].Questions().ScanType(ctx, at.position, pattern, int64(limit), "string").Result()
		if peer.IsDenied(err) {
			return nil, "", peer.Translate(err)
		}
		if err != nil {
			return nil, "", peer.Unavailable(err)
		}
		keys, at.position = append(keys, page...), position
		if position == 0 {
			if at.index++; int(at.index) == len(masters) {
				return keys, "", nil
			}
		}
	}
	return keys, at.encode(), nil
}

// masters returns the masters with slots in the order of their IDs, and a hash that identifies their processes and slots.
// It asks each of them now, because a position is not valid in a process that was started since.
func (c *Client) masters(ctx context.Context) ([]*peer.Peer, uint64, error) {
	if _, err := c.watch.Ready(ctx); err != nil {
		return nil, 0, err
	}
	shards := slices.Clone(c.watch.Topology().Shards)
	slices.SortFunc(shards, func(a, b *watch.Shard) int { return cmp.Compare(a.Info.ID, b.Info.ID) })
	if len(shards) == 0 {
		return nil, 0, fmt.Errorf("%w: no master has slots", ErrUnavailable)
	}
	masters := make([]*peer.Peer, len(shards))
	for i, s := range shards {
		masters[i] = s.Master
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Attempt)
	defer cancel()
	h := sha256.New()
	for i, said := range peer.ProbeAll(ctx, masters) {
		me, ok := said.View.Node(shards[i].Info.ID)
		switch {
		case said.Err != nil:
			return nil, 0, peer.Unavailable(said.Err)
		case !ok || !me.Master:
			return nil, 0, fmt.Errorf("%w: %s is no longer a master", ErrUnavailable, masters[i].Addr)
		}
		fmt.Fprintln(h, me.ID, said.RunID, me.Ranges)
	}
	return masters, binary.BigEndian.Uint64(h.Sum(nil)), nil
}

// A Sample is a random sample of one master's keys.
type Sample struct {
	Size int64    // keys that the master holds (DBSIZE)
	Keys []string // some of them, picked at random; a key may be picked twice (RANDOMKEY)
	Head [][]byte // the first bytes of each key's value; nil if it is not ours, or not a string (GETRANGE)
	Long []int64  // the length of each key's value in bytes; 0 if it is not ours, or not a string (STRLEN)
}

// Sample picks n keys of every master at random, with the first head bytes and the lengths of the values of ours: others may share the
// cluster, and our user need not be permitted to look at their keys. It serves estimates whose cost does not grow with the number of
// keys.
func (c *Client) Sample(ctx context.Context, n, head int, ours func(key string) bool) ([]Sample, error) {
	t := c.watch.Topology()
	if t == nil {
		return nil, peer.Unavailable(watch.ErrNoMaster)
	}
	samples := make([]Sample, 0, len(t.Shards))
	for _, s := range t.Shards {
		sample, err := sampleOf(ctx, s.Master.Questions(), n, head, ours)
		if err != nil {
			return nil, peer.Unavailable(err)
		}
		samples = append(samples, sample)
	}
	return samples, nil
}

func sampleOf(ctx context.Context, rdb *redis.Client, count, head int, ours func(key string) bool) (Sample, error) {
	pipe := rdb.Pipeline()
	size := pipe.DBSize(ctx)
	picks := make([]*redis.StringCmd, count)
	for i := range picks {
		picks[i] = pipe.RandomKey(ctx)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return Sample{}, err
	}
	s := Sample{Size: size.Val()}
	pipe = rdb.Pipeline()
	heads, lengths := map[int]*redis.StringCmd{}, map[int]*redis.IntCmd{} // by the key's place
	for _, pick := range picks {
		key := pick.Val()
		if key == "" {
			continue
		}
		if ours(key) {
			heads[len(s.Keys)], lengths[len(s.Keys)] = pipe.GetRange(ctx, key, 0, int64(head)-1), pipe.StrLen(ctx, key)
		}
		s.Keys = append(s.Keys, key)
	}
	s.Head, s.Long = make([][]byte, len(s.Keys)), make([]int64, len(s.Keys))
	if len(heads) == 0 {
		return s, nil
	}
	// Each reply is checked on its own: a key of another type is an error reply, but no failure.
	if _, err := pipe.Exec(ctx); err != nil && transient(err) {
		return Sample{}, err
	}
	for i, h := range heads {
		if h.Err() == nil {
			s.Head[i], _ = h.Bytes()
			s.Long[i] = lengths[i].Val()
		}
	}
	return s, nil
}
