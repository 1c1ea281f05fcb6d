package fiber_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	upstream "github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/session"

	sessiond "github.com/sessiond/sessiond/clients/go"
	"github.com/sessiond/sessiond/clients/go/fiber"
	"github.com/sessiond/sessiond/clients/go/sessiondtest"
)

var _ upstream.Storage = (*fiber.Storage)(nil)

// A session of Fiber itself lives in the service, from a request to the next, until it is destroyed.
func TestSessionMiddleware(t *testing.T) {
	store := session.New(session.Config{Storage: fiber.New(sessiondtest.Client(t)), Expiration: time.Hour})
	app := upstream.New()
	app.Get("/:do", func(c *upstream.Ctx) error {
		s, err := store.Get(c)
		if err != nil {
			return err
		}
		switch c.Params("do") {
		case "put":
			s.Set("x", "1")
			return s.Save()
		case "destroy":
			return s.Destroy()
		}
		value, _ := s.Get("x").(string)
		return c.SendString(value)
	})
	var cookie *http.Cookie
	fetch := func(path string) string {
		t.Helper()
		r := httptest.NewRequest("GET", path, nil)
		if cookie != nil {
			r.AddCookie(cookie)
		}
		answer, err := app.Test(r, 5000)
		if err != nil || answer.StatusCode != 200 {
			t.Fatal(answer, err)
		}
		for _, c := range answer.Cookies() {
			cookie = c
		}
		text := make([]byte, 100)
		n, _ := answer.Body.Read(text)
		return string(text[:n])
	}
	fetch("/put")
	if got := fetch("/get"); got != "1" {
		t.Errorf("got %q", got)
	}
	old := cookie
	fetch("/destroy")
	cookie = old
	if got := fetch("/get"); got != "" {
		t.Errorf("after the end: got %q", got)
	}
}

func TestStorage(t *testing.T) {
	s := fiber.New(sessiondtest.Client(t))
	if got, err := s.Get("absent"); got != nil || err != nil {
		t.Errorf("absent: %q, %v", got, err)
	}
	value := []byte{0, 255, 'x'}
	for range 2 { // anew and again
		if err := s.Set("a", value, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Get("a"); string(got) != string(value) || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := s.Set("forever", value, 0); err != nil {
		t.Error(err)
	}
	if err := s.Delete("a"); err != nil {
		t.Error(err)
	}
	if got, err := s.Get("a"); got != nil || err != nil {
		t.Errorf("deleted: %q, %v", got, err)
	}
	if err := s.Set("a", value, time.Minute); !errors.Is(err, sessiond.ErrRevoked) {
		t.Errorf("a save after the end: %v", err)
	}
}

// That the store is out is an error, and never "no session".
func TestOutageIsAnError(t *testing.T) {
	client, err := sessiond.New(sessiond.Config{URLs: []string{"http://127.0.0.1:1"}, Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fiber.New(client).Get("key"); !errors.Is(err, sessiond.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
