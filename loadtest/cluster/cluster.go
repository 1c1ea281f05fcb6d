// Package cluster asks instances of the service about the Redis Cluster behind them: its shards, and the timeline of its
// events.
package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	askLimit = 3 * time.Second // of one question
	maxBody  = 4 << 20
)

// A Client asks instances.
type Client struct {
	Instances []string // base URLs
	Token     string   // API key with the scope ops; empty for none
	HTTP      *http.Client
}

// A Shard is a set of slots with one master. Its name is its lowest slot.
type Shard struct {
	Name   string
	Master string // at the time of the question
	VM     string
	Ranges [][2]int
}

// Shards asks one instance after another until one answers, and returns the shards ordered by their lowest slot.
func (c Client) Shards(ctx context.Context) ([]Shard, error) {
	first := errors.New("no instance to ask")
	for i, instance := range c.Instances {
		shards, err := c.shardsOf(ctx, instance)
		if err == nil {
			return shards, nil
		}
		if i == 0 {
			first = err
		}
	}
	return nil, first
}

func (c Client) shardsOf(ctx context.Context, instance string) ([]Shard, error) {
	var body struct {
		Known bool
		Nodes []struct{ Node, VM, Role, Slots, Shard string }
	}
	if _, err := c.ask(ctx, instance, "/v1/cluster", &body); err != nil {
		return nil, err
	}
	var shards []Shard
	for _, n := range body.Nodes {
		if n.Role != "master" || n.Slots == "" {
			continue
		}
		ranges, err := parseRanges(n.Slots)
		if err != nil {
			return nil, fmt.Errorf("%s/v1/cluster: %w", instance, err)
		}
		shards = append(shards, Shard{Name: cmp.Or(n.Shard, strconv.Itoa(ranges[0][0])), Master: n.Node, VM: n.VM, Ranges: ranges})
	}
	if !body.Known || len(shards) == 0 {
		return nil, fmt.Errorf("%s/v1/cluster: it knows no master yet", instance)
	}
	slices.SortFunc(shards, func(a, b Shard) int { return cmp.Compare(a.Ranges[0][0], b.Ranges[0][0]) })
	return shards, nil
}

// parseRanges reads slots as ranges: "0-5460 5470".
func parseRanges(text string) ([][2]int, error) {
	var ranges [][2]int
	for field := range strings.FieldsSeq(text) {
		firstText, lastText, isRange := strings.Cut(field, "-")
		if !isRange {
			lastText = firstText
		}
		first, err1 := strconv.Atoi(firstText)
		last, err2 := strconv.Atoi(lastText)
		if err1 != nil || err2 != nil || first < 0 || last < first || last > 16383 {
			return nil, fmt.Errorf("%q is not a range of slots", field)
		}
		ranges = append(ranges, [2]int{first, last})
	}
	return ranges, nil
}

// ask returns the time of the answer by the instance's own clock, to the second. Zero if the answer has no Date.
func (c Client) ask(ctx context.Context, instance, path string, into any) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(instance, "/")+path, nil)
	if err != nil {
		return time.Time{}, err
	}
	req.Header.Set("Accept", "application/json")
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return time.Time{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return time.Time{}, fmt.Errorf("%s%s: %s", instance, path, res.Status)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(into); err != nil {
		return time.Time{}, fmt.Errorf("%s%s: %w", instance, path, err)
	}
	date, _ := http.ParseTime(res.Header.Get("Date"))
	return date, nil
}
