package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/peer"
	"github.com/sessiond/sessiond/internal/session"
)

// A session is created, read and rotated. Its ID is a credential: a Ref prints as its handle, and only the method ID of
// the Ref that is to be handed to the user gives the ID away.
func ExampleRedisStore() {
	redis, err := miniredis.Run() // a cluster of one node, in this process
	if err != nil {
		fmt.Println(err)
		return
	}
	defer redis.Close()
	client := cluster.New(cluster.Config{Access: peer.Access{Addrs: []string{redis.Addr()}}})
	defer client.Close()
	store := session.NewRedisStore(client, session.Options{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	defer store.Close(ctx)

	tenant, err := session.NewTenant("shop", session.Policy{
		DefaultIdle: 30 * time.Minute, DefaultMax: 24 * time.Hour, TTLLimit: 24 * time.Hour, MaxPerUser: 10,
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ref := tenant.NewRef("alice")
	created, err := store.Create(ctx, nil, ref, session.New{
		User: "alice", Content: session.Content{Data: jsontext.Value(`{"cart":["book"]}`)},
	}, "")
	fmt.Println("created:", created.User, created.Version, created.IdleTTL, err)

	read, err := store.Get(ctx, nil, ref)
	fmt.Println("read:", string(read.Data), err)

	// Without a grace the old ID is dead at once.
	_, successor, err := store.Rotate(ctx, nil, ref, session.Rotation{}, session.Write{})
	fmt.Println("rotated:", successor.ID() != ref.ID(), err)
	read, err = store.Get(ctx, nil, successor)
	fmt.Println("by the new ID:", string(read.Data), err)
	_, err = store.Get(ctx, nil, ref)
	fmt.Println("by the old ID:", errors.Is(err, session.ErrNotFound))

	// Output:
	// created: alice 1 30m0s <nil>
	// read: {"cart":["book"]} <nil>
	// rotated: true <nil>
	// by the new ID: {"cart":["book"]} <nil>
	// by the old ID: true
}
