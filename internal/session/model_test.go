package session_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/session"
	"github.com/sessiond/sessiond/internal/session/sessiontest"
)

// Random operations of many users at once, each user's against a model of that user's sessions in memory.

func TestModelEmbedded(t *testing.T) {
	e, store := embedded(t, cluster.Config{})
	checkModel(t, store, func() { e.Advance(time.Millisecond) })
}

func TestModelOnRealCluster(t *testing.T) {
	checkModel(t, newStore(t, clustertest.Shared(t).Client(t), time.Now), func() {})
}

// A command is one operation of a user, on one of that user's sessions, by number.
type command struct {
	op     string
	target int
	value  int
}

var commands = rapid.Custom(func(t *rapid.T) command {
	return command{
		op:     rapid.SampledFrom([]string{"create", "get", "replace", "patch", "touch", "delete", "rotate", "list", "revokeAllBut"}).Draw(t, "op"),
		target: rapid.IntRange(0, 4).Draw(t, "target"),
		value:  rapid.IntRange(0, 9).Draw(t, "value"),
	}
})

// maxSessions is the limit of the model's users; one more evicts the oldest.
const maxSessions = 4

func checkModel(t *testing.T, store session.Store, tick func()) {
	policy := sessiontest.Policy
	policy.MaxPerUser, policy.EvictOldest = maxSessions, true
	tenant, err := session.NewTenant("model", policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		users := rapid.SliceOfN(rapid.SliceOfN(commands, 1, 30), 2, 8).Draw(t, "users")
		errs := make([]error, len(users))
		var wg sync.WaitGroup
		for i, script := range users {
			wg.Go(func() {
				u := &userModel{store: store, tenant: tenant, user: fmt.Sprintf("user-%d-%d-%d", time.Now().UnixNano(), run, i), tick: tick}
				for n, c := range script {
					if err := u.do(c); err != nil {
						errs[i] = fmt.Errorf("user %d, step %d, %+v: %w", i, n, c, err)
						return
					}
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	})
}

// userModel is what a user's sessions must look like.
type userModel struct {
	store  session.Store
	tenant *session.Tenant
	user   string
	tick   func()
	live   []*modelSession // the oldest first
	dead   []deadRef
}

// A deadRef leads nowhere any more. Its session may live on under another ID; then the use of the dead one is reuse.
type deadRef struct {
	session.Ref
	rotated *modelSession // nil if the session was revoked
}

type modelSession struct {
	ref     session.Ref
	value   string
	version uint64
}

func (u *userModel) do(c command) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	u.tick()
	switch c.op {
	case "create":
		return u.create(ctx, c)
	case "list":
		return u.list(ctx)
	case "revokeAllBut":
		return u.revokeAllBut(ctx, c)
	}
	if c.target >= len(u.live) {
		return u.onDead(ctx, c)
	}
	m := u.live[c.target]
	content := session.Content{Data: jsontext.Value(fmt.Sprintf(`{"v":%d}`, c.value))}
	var got session.Session
	var err error
	switch c.op {
	case "get":
		got, err = u.store.Peek(ctx, nil, m.ref)
	case "replace":
		m.value, m.version = string(content.Data), m.version+1
		got, err = u.store.Replace(ctx, nil, m.ref, content, session.TTL{}, session.Write{})
	case "patch":
		m.value, m.version = string(content.Data), m.version+1
		got, err = u.store.Patch(ctx, nil, m.ref, session.Patch(content), session.Write{})
	case "touch":
		got, err = u.store.Touch(ctx, nil, m.ref, session.TTL{}, session.Guard{})
		got.Data = jsontext.Value(m.value)
	case "rotate":
		u.dead = append(u.dead, deadRef{m.ref, m})
		m.version++
		got, m.ref, err = u.store.Rotate(ctx, nil, m.ref, session.Rotation{}, session.Write{})
		if err == nil { // a successor that nobody used would be spared
			_, err = u.store.Touch(ctx, nil, m.ref, session.TTL{}, session.Guard{})
		}
	case "delete":
		u.dead = append(u.dead, deadRef{Ref: m.ref})
		u.live = slices.Delete(u.live, c.target, c.target+1)
		return u.store.Delete(ctx, nil, m.ref, session.Deletion{})
	}
	if err != nil {
		return err
	}
	if string(got.Data) != m.value || got.Version != m.version || got.User != u.user {
		return fmt.Errorf("got %s at version %d of %q, want %s at %d", got.Data, got.Version, got.User, m.value, m.version)
	}
	return nil
}

func (u *userModel) create(ctx context.Context, c command) error {
	ref := u.tenant.NewRef(u.user)
	value := fmt.Sprintf(`{"v":%d}`, c.value)
	_, err := u.store.Create(ctx, nil, ref, session.New{User: u.user, Content: session.Content{Data: jsontext.Value(value)}}, "")
	u.live = append(u.live, &modelSession{ref, value, 1})
	if len(u.live) > maxSessions {
		u.dead = append(u.dead, deadRef{Ref: u.live[0].ref})
		u.live = u.live[1:]
	}
	return err
}

// onDead checks that what is gone stays gone.
func (u *userModel) onDead(ctx context.Context, c command) error {
	if len(u.dead) == 0 {
		return nil
	}
	ref := u.dead[c.value%len(u.dead)]
	u.live = slices.DeleteFunc(u.live, func(m *modelSession) bool { return m == ref.rotated })
	_, err := u.store.Replace(ctx, nil, ref.Ref, session.Content{}, session.TTL{}, session.Write{})
	if !errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("replacing a dead session: %w", cmp.Or(err, errors.New("succeeded")))
	}
	if _, err := u.store.Peek(ctx, nil, ref.Ref); !errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("reading a dead session: %w", cmp.Or(err, errors.New("succeeded")))
	}
	return nil
}

func (u *userModel) list(ctx context.Context) error {
	page, next, err := u.store.ListUser(ctx, nil, u.tenant, u.user, "", 100)
	if err != nil || next != "" {
		return fmt.Errorf("list: next %q, %w", next, err)
	}
	if !slices.EqualFunc(page, u.live, func(s session.Session, m *modelSession) bool {
		return s.Handle == m.ref.Handle && s.Version == m.version
	}) {
		return fmt.Errorf("listed %d sessions, the model has %d", len(page), len(u.live))
	}
	return nil
}

func (u *userModel) revokeAllBut(ctx context.Context, c command) error {
	var spare session.Handle
	var left []*modelSession
	for i, m := range u.live {
		if i == c.target {
			spare, left = m.ref.Handle, []*modelSession{m}
		} else {
			u.dead = append(u.dead, deadRef{Ref: m.ref})
		}
	}
	want := len(u.live) - len(left)
	u.live = left
	n, err := u.store.RevokeUser(ctx, nil, u.tenant, u.user, spare)
	if err == nil && n != want {
		err = fmt.Errorf("revoked %d, want %d", n, want)
	}
	return err
}
