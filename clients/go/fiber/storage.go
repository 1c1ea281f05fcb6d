// Package fiber keeps what gofiber's session middleware stores in sessiond.
//
//	client, err := sessiond.New(sessiond.Config{URLs: []string{"http://sessiond:8080"}})
//	store := session.New(session.Config{Storage: fiber.New(client)})
//
// Fiber gives its storage no more than a key and some bytes. So these sessions have no user: they are encrypted, live through a failover,
// and no save brings back one that was deleted, but they cannot be listed, limited or revoked by their user, and of two requests that save
// one session the last wins.
package fiber

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	sessiond "github.com/sessiond/sessiond/clients/go"
)

// A Storage implements fiber.Storage, of Fiber 2 and 3. Keys must be impossible to guess, as those of the session middleware are.
type Storage struct{ client *sessiond.Client }

// New returns a storage in a service.
func New(client *sessiond.Client) *Storage { return &Storage{client} }

// Get returns what was stored under a key; nil if there is nothing.
func (s *Storage) Get(key string) ([]byte, error) { return s.GetWithContext(context.Background(), key) }

// GetWithContext is Get for a request.
func (s *Storage) GetWithContext(ctx context.Context, key string) ([]byte, error) {
	got, err := s.client.Peek(ctx, idOf(key)) // a read slides nothing: what Set said counts
	if errors.Is(err, sessiond.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var value []byte
	if err := json.Unmarshal(got.Data, &value); err != nil {
		return nil, fmt.Errorf("sessiond/fiber: %w", err)
	}
	return value, nil
}

// Set stores a value under a key for a while, in whole milliseconds; 0 is as long as the service stores a session that says nothing. No value
// lives beyond the max TTL of sessions that say nothing (--default-max-ttl) after its key was first set. It fails with sessiond.ErrRevoked if
// the key was deleted in the last five minutes.
func (s *Storage) Set(key string, value []byte, life time.Duration) error {
	return s.SetWithContext(context.Background(), key, value, life)
}

// SetWithContext is Set for a request.
func (s *Storage) SetWithContext(ctx context.Context, key string, value []byte, life time.Duration) error {
	if key == "" || len(value) == 0 {
		return nil // as Fiber asks of a storage
	}
	if life > 0 {
		life = max(life.Truncate(time.Millisecond), time.Millisecond)
	}
	ttl := sessiond.TTL{Idle: sessiond.Duration(life)}
	_, err := s.client.Upsert(ctx, idOf(key), sessiond.Content{Data: value}, ttl, sessiond.Prefer("return=minimal"))
	return err
}

// Delete removes what is stored under a key. It returns nil if there is nothing.
func (s *Storage) Delete(key string) error { return s.DeleteWithContext(context.Background(), key) }

// DeleteWithContext is Delete for a request.
func (s *Storage) DeleteWithContext(ctx context.Context, key string) error {
	if key == "" {
		return nil
	}
	return s.client.Delete(ctx, idOf(key))
}

var errReset = errors.New("sessiond/fiber: nobody can delete all sessions at once, since nobody knows their IDs")

// Reset fails: nobody knows all keys.
func (s *Storage) Reset() error { return errReset }

// ResetWithContext fails like Reset.
func (s *Storage) ResetWithContext(context.Context) error { return errReset }

// Close does nothing.
func (s *Storage) Close() error { return nil }

// idOf is a session ID for any key. It takes nothing from what is random in the key.
func idOf(key string) string {
	sum := sha512.Sum512_256([]byte("fiber\x00" + key))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
