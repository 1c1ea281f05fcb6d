package progress

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTerminal(t *testing.T) {
	var out bytes.Buffer
	l := New(&out, true)
	now := time.Now()
	l.Status(now, "1")
	l.Status(now, strings.Repeat("é", 100))
	l.Say("killed")
	l.Status(now, "3")
	l.End()
	l.End()
	want := "\r\x1b[K1\r\x1b[K" + strings.Repeat("é", 79) + "\r\x1b[Kkilled\n\r\x1b[K3\r\x1b[K"
	if out.String() != want {
		t.Errorf("got %q\nwant %q", out.String(), want)
	}
}

func TestElsewhere(t *testing.T) {
	var out bytes.Buffer
	l := New(&out, false)
	now := time.Now()
	for i := range 12 {
		l.Status(now.Add(time.Duration(i)*time.Second), "status")
	}
	l.Say("killed")
	l.End()
	if want := "status\nstatus\nstatus\nkilled\n"; out.String() != want {
		t.Errorf("got %q, want %q: a status every 5 s, and no control codes", out.String(), want)
	}
}

func TestIsTerminal(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if IsTerminal(f) || IsTerminal(new(bytes.Buffer)) {
		t.Error("a file and a buffer are no terminals")
	}
}
