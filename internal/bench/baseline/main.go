// Command baseline serves what the benchmark compares the service with: handlers that a team might write in an hour. They keep
// whole answers, one to a key, without versions, encryption or any promise.
//
//	baseline --mode bare|stock|autopipeline --listen HOST:PORT --redis HOST:PORT,...
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/redis/go-redis/v9"
)

const ttl = 30 * time.Minute

// A store keeps answers. With replicated, a write waits for one replica.
type store interface {
	get(ctx context.Context, key string) ([]byte, error)
	set(ctx context.Context, key string, value []byte, replicated bool) error
}

// memory answers every read with what was written last.
type memory struct{ last atomic.Pointer[[]byte] }

func (m *memory) get(context.Context, string) ([]byte, error) { return *m.last.Load(), nil }

func (m *memory) set(_ context.Context, _ string, value []byte, _ bool) error {
	m.last.Store(&value)
	return nil
}

// cluster sends each command with go-redis, as its options are when nobody sets any.
type cluster struct {
	*redis.ClusterClient
	commands redis.Cmdable // what sends single commands
}

func (c cluster) get(ctx context.Context, key string) ([]byte, error) {
	return c.commands.Get(ctx, key).Bytes()
}

func (c cluster) set(ctx context.Context, key string, value []byte, replicated bool) error {
	if !replicated {
		return c.commands.Set(ctx, key, value, ttl).Err()
	}
	node, err := c.MasterForKey(ctx, key)
	if err != nil {
		return err
	}
	var copies *redis.Cmd // on the same connection, or it would not be of this write
	_, err = node.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, key, value, ttl)
		copies = p.Do(ctx, "wait", 1, 1000)
		return nil
	})
	if n, _ := copies.Int(); err == nil && n < 1 {
		err = errors.New("no replica has it")
	}
	return err
}

func newStore(mode string, addrs []string) (store, error) {
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	switch mode {
	case "bare":
		return &memory{}, nil
	case "stock":
		return cluster{rdb, rdb}, nil
	case "autopipeline":
		piped, err := rdb.AutoPipeline()
		return cluster{rdb, piped}, err
	}
	return nil, fmt.Errorf("unknown mode %q", mode)
}

func handler(s store) http.Handler {
	r := chi.NewRouter()
	r.Get("/v1/session", func(w http.ResponseWriter, r *http.Request) {
		value, err := s.get(r.Context(), r.Header.Get("Session-ID"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(value)
	})
	r.Put("/v1/session", func(w http.ResponseWriter, r *http.Request) {
		value, err := io.ReadAll(r.Body)
		if err == nil {
			err = s.set(r.Context(), r.Header.Get("Session-ID"), value, r.Header.Get("Prefer") == "durability=replicated")
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(value)
	})
	return r
}

func main() {
	mode := flag.String("mode", "", "bare, stock or autopipeline")
	listen := flag.String("listen", "127.0.0.1:0", "where to serve")
	nodes := flag.String("redis", "", "nodes of the cluster")
	flag.Parse()
	s, err := newStore(*mode, strings.Split(*nodes, ","))
	if err == nil {
		err = http.ListenAndServe(*listen, handler(s))
	}
	fmt.Fprintln(os.Stderr, "baseline:", err)
	os.Exit(1)
}
