package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// Where the tenant's limit was lowered, a session beyond it has ended, for whoever would make one at its ID too. Its key lives on.
func TestSessionBeyondALoweredLimit(t *testing.T) {
	const id = "an-id-of-the-callers-own-making"
	one, two := session.Content{Data: jsontext.Value(`1`)}, session.Content{Data: jsontext.Value(`2`)}
	short := sessiontest.Policy
	short.DefaultIdle, short.DefaultMax, short.TTLLimit = time.Hour, time.Hour, time.Hour
	changes := map[string][2]*session.Secrets{
		"": {}, ", made under an older secret": {secrets(t, "a"), secrets(t, "b", "a")}, ", made under the newest secret": {secrets(t, "b", "a"), secrets(t, "b", "a")},
	}
	ways := map[string]func(store *session.RedisStore, ref session.Ref) (session.Session, error){
		"an upsert": func(store *session.RedisStore, ref session.Ref) (session.Session, error) {
			return store.Upsert(t.Context(), nil, ref, two, session.TTL{}, session.Write{})
		},
		"an upsert with a max TTL": func(store *session.RedisStore, ref session.Ref) (session.Session, error) {
			return store.Upsert(t.Context(), nil, ref, two, session.TTL{Max: time.Hour}, session.Write{})
		},
		"a create": func(store *session.RedisStore, ref session.Ref) (session.Session, error) {
			return store.Create(t.Context(), nil, ref, session.New{Content: two}, "")
		},
	}
	for name, op := range ways {
		for which, secrets := range changes {
			t.Run(name+which, func(t *testing.T) {
				lowered, err := session.NewTenant("acme", short, secrets[1])
				if err != nil {
					t.Fatal(err)
				}
				e, store := embedded(t, cluster.Config{})
				old := parse(t, under(t, secrets[0]), id)
				if _, err := store.Create(t.Context(), nil, old, session.New{Content: one, TTL: session.TTL{Idle: 24 * time.Hour, Max: 24 * time.Hour}}, ""); err != nil {
					t.Fatal(err)
				}
				ref := parse(t, lowered, id)
				if _, err := store.Create(t.Context(), nil, ref, session.New{Content: two}, ""); !errors.Is(err, session.ErrExists) {
					t.Errorf("within the limit: %v", err)
				}
				e.Advance(2 * time.Hour)
				if _, err := store.Get(t.Context(), nil, ref); !errors.Is(err, session.ErrNotFound) {
					t.Errorf("a read: %v", err)
				}
				for range 2 {
					keyed := session.Write{Key: "k"}
					if got, err := store.Replace(t.Context(), nil, ref, two, session.TTL{}, keyed); !errors.Is(err, session.ErrNotFound) {
						t.Errorf("a replace, sent twice: %+v, %v", got, err)
					}
				}
				made, err := op(store, ref)
				if err != nil || made.Version != 1 || string(made.Data) != "2" {
					t.Errorf("got %+v, %v", made, err)
				}
				if got, err := store.Get(t.Context(), nil, ref); err != nil || got.Version != 1 || string(got.Data) != "2" {
					t.Errorf("then a read finds %+v, %v", got, err)
				}
			})
		}
	}
}
