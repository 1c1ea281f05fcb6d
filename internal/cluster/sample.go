package cluster

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

// A Sample is a part of what one master holds.
type Sample struct {
	Size int64    // keys that the master holds (DBSIZE)
	Keys []string // some of them, picked at random; a key may be picked twice (RANDOMKEY)
	Head [][]byte // the beginning of each one's value, or nil if it is no string (GETRANGE)
}

// Sample picks n keys of every master at random, with the first bytes of their values: an estimate of what the cluster
// holds, at a cost that does not grow with it.
func (c *Client) Sample(ctx context.Context, n, head int) ([]Sample, error) {
	t := c.watch.Topology()
	if t == nil {
		return nil, peer.Unavailable(watch.ErrNoMaster)
	}
	samples := make([]Sample, 0, len(t.Shards))
	for _, s := range t.Shards {
		sample, err := sampleOf(ctx, s.Master.Questions(), n, head)
		if err != nil {
			return nil, peer.Unavailable(err)
		}
		samples = append(samples, sample)
	}
	return samples, nil
}

func sampleOf(ctx context.Context, rdb *redis.Client, count, head int) (Sample, error) {
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
	var heads []*redis.StringCmd
	for _, pick := range picks {
		if key := pick.Val(); key != "" {
			s.Keys = append(s.Keys, key)
			heads = append(heads, pipe.GetRange(ctx, key, 0, int64(head)-1))
		}
	}
	if len(heads) == 0 {
		return s, nil
	}
	// The answers are looked at one by one: a key of another type is an error of its own, and no failure.
	if _, err := pipe.Exec(ctx); err != nil && transient(err) {
		return Sample{}, err
	}
	for _, h := range heads {
		var value []byte
		if h.Err() == nil {
			value, _ = h.Bytes()
		}
		s.Head = append(s.Head, value)
	}
	return s, nil
}
