package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessiond/sessiond/internal/certtest"
)

// piped is a dial function that sends the other end of each connection to a channel.
func piped() (dialFunc, <-chan net.Conn) {
	ends := make(chan net.Conn, 100)
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		ends <- theirs
		return ours, nil
	}, ends
}

func TestSilenceBeginsWithAQuestionAndEndsWithAnyByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, ends := piped()
		b := newBreaker(dial, time.Second, newPulse())
		if b.pulse.silence() != 0 {
			t.Fatal("it owes an answer that nobody asked for")
		}
		conn, err := b.connect(t.Context(), "tcp", "n")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		node := <-ends
		time.Sleep(70 * time.Millisecond)
		if got := b.pulse.silence(); got != 0 {
			t.Errorf("an idle connection owes an answer: %s", got)
		}
		go func() {
			_, _ = node.Read(make([]byte, 9))
			_, _ = node.Read(make([]byte, 9))
			time.Sleep(30 * time.Millisecond)
			_, _ = node.Write([]byte("+"))
		}()
		for range 2 { // the second question does not begin it anew
			if _, err := conn.Write([]byte("question\n")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if got := b.pulse.silence(); got != 40*time.Millisecond {
			t.Errorf("silent for %s, not since the first question", got)
		}
		if _, err := conn.Read(make([]byte, 9)); err != nil || b.pulse.silence() != 0 {
			t.Errorf("a byte did not end the silence: %v, %s", err, b.pulse.silence())
		}
		time.Sleep(time.Hour)
		if got := b.pulse.silence(); got != 0 {
			t.Errorf("silent for %s, though nothing was asked", got)
		}
	})
}

// The kernel of a paused process still accepts connections.
func TestAConnectionThatIsAcceptedEndsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, _ := piped()
		b := newBreaker(dial, time.Second, newPulse())
		b.pulse.ask()
		time.Sleep(30 * time.Millisecond)
		for range 3 {
			conn, err := b.connect(t.Context(), "tcp", "n")
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			time.Sleep(10 * time.Millisecond)
		}
		if got := b.pulse.silence(); got != 60*time.Millisecond {
			t.Errorf("silent for %s", got)
		}
	})
}

// go-redis does not see the error of a dial. It meets the error at the first use, as a command that was never sent.
func TestStillbornConnection(t *testing.T) {
	refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	b := newBreaker(func(context.Context, string, string) (net.Conn, error) { return nil, refused }, time.Second, newPulse())
	conn, err := b.connectFor(t.Context(), "tcp", "n")
	if err != nil {
		t.Fatal(err)
	}
	_, errWrite := conn.Write([]byte("x"))
	_, errRead := conn.Read(make([]byte, 1))
	for _, err := range []error{errWrite, errRead} {
		if !errors.Is(err, syscall.ECONNREFUSED) || !unsent(err) || !Transient(err) {
			t.Errorf("got %v, unsent %t", err, unsent(err))
		}
	}
	if err := errors.Join(conn.SetDeadline(time.Now()), conn.SetReadDeadline(time.Now()), conn.SetWriteDeadline(time.Now()), conn.Close()); err != nil {
		t.Error(err)
	}
	if conn.LocalAddr() == nil || conn.RemoteAddr() == nil {
		t.Error("go-redis reads the addresses")
	}
}

func TestAFailedDialDoesNotEndTheSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
		b := newBreaker(func(context.Context, string, string) (net.Conn, error) { return nil, refused }, time.Second, newPulse())
		_, err := b.connect(t.Context(), "tcp", "n")
		if !errors.Is(err, syscall.ECONNREFUSED) || !unsent(err) {
			t.Errorf("got %v, unsent %t", err, unsent(err))
		}
		time.Sleep(time.Second)
		if b.pulse.silence() != time.Second || !b.pulse.isBroken() {
			t.Errorf("silent for %s, broken %t", b.pulse.silence(), b.pulse.isBroken())
		}
		b.pulse.hear()
		if b.pulse.silence() != 0 || b.pulse.isBroken() {
			t.Error("a word did not mend it")
		}
	})
}

// Over TLS, closing a connection says farewell, and waits for seconds until the other side takes it. A breaker that opens does not.
func TestOpenBreakerSaysNoFarewell(t *testing.T) {
	ca := certtest.New(t)
	pair := ca.Issue(t, "n").Load(t)
	synctest.Test(t, func(t *testing.T) {
		config := &tls.Config{RootCAs: ca.Pool(), Time: func() time.Time { return pair.Leaf.NotBefore }, MaxVersion: tls.VersionTLS12}
		b := newBreaker(func(ctx context.Context, _, _ string) (net.Conn, error) {
			client, server := net.Pipe() // after the handshake nobody reads at the other end
			go tls.Server(server, &tls.Config{Certificates: []tls.Certificate{pair}}).HandshakeContext(ctx)
			return secure(ctx, client, config, "", "n")
		}, time.Second, newPulse())
		if _, err := b.connect(t.Context(), "tcp", "n"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		b.set(true)
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %s", took)
		}
	})
}

func TestOpenBreaker(t *testing.T) {
	dial, _ := piped()
	var dialled atomic.Int32
	b := newBreaker(func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled.Add(1)
		return dial(ctx, network, addr)
	}, time.Second, newPulse())
	var conns []net.Conn
	for range 3 {
		conn, err := b.connect(t.Context(), "tcp", "n")
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	conns[0].Close()
	if len(b.conns) != 2 {
		t.Errorf("%d connections in the books, one of three is closed", len(b.conns))
	}
	reading := make(chan error)
	go func() {
		_, err := conns[1].Read(make([]byte, 1))
		reading <- err
	}()
	b.set(true)
	select {
	case err := <-reading:
		if err == nil {
			t.Error("a read brought something through the open breaker")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("a read goes on through the open breaker")
	}
	if _, err := conns[2].Write([]byte("x")); err == nil {
		t.Error("a connection was left open")
	}
	if len(b.conns) != 0 {
		t.Errorf("%d connections are left in the books", len(b.conns))
	}
	before := dialled.Load()
	_, err := b.connect(t.Context(), "tcp", "n")
	if !errors.Is(err, errBreakerOpen) || !unsent(err) || !Transient(err) || dialled.Load() != before {
		t.Errorf("got %v, unsent %t, dialled %d", err, unsent(err), dialled.Load()-before)
	}
	b.set(false)
	if conn, err := b.connect(t.Context(), "tcp", "n"); err != nil {
		t.Errorf("a closed breaker: %v", err)
	} else {
		conn.Close()
	}
}

// When the breaker closes connections, that says nothing about the node.
func TestOpeningTheBreakerBreaksNothing(t *testing.T) {
	dial, _ := piped()
	b := newBreaker(dial, time.Second, newPulse())
	conn, err := b.connect(t.Context(), "tcp", "n")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	conn, err = net.DialTimeout("tcp", listen(t).Addr().String(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err = b.admit(conn); err != nil {
		t.Fatal(err)
	}
	b.set(true)
	_, errRead := conn.Read(make([]byte, 1))
	_, errWrite := conn.Write([]byte("x"))
	if errRead == nil || errWrite == nil || b.pulse.isBroken() {
		t.Errorf("got %v, %v, broken %t", errRead, errWrite, b.pulse.isBroken())
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestBreakerOpensDuringADial(t *testing.T) {
	ours, theirs := net.Pipe()
	var b *breaker
	b = newBreaker(func(context.Context, string, string) (net.Conn, error) {
		b.set(true)
		return ours, nil
	}, time.Second, newPulse())
	if _, err := b.connect(t.Context(), "tcp", "n"); !errors.Is(err, errBreakerOpen) || !unsent(err) {
		t.Errorf("got %v", err)
	}
	if _, err := theirs.Read(make([]byte, 1)); err == nil {
		t.Error("the connection was left open")
	}
}

func TestDialsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int32
		hole := func(ctx context.Context, _, _ string) (net.Conn, error) {
			most.Store(max(most.Load(), under.Add(1)))
			defer under.Add(-1)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		b := newBreaker(hole, time.Second, newPulse())
		errs := make(chan error, 50)
		began := time.Now()
		for range 50 {
			go func() {
				_, err := b.connect(t.Context(), "tcp", "n")
				errs <- err
			}()
		}
		for range 50 {
			if err := <-errs; !errors.Is(err, context.DeadlineExceeded) || !unsent(err) {
				t.Errorf("got %v", err)
			}
		}
		if most.Load() > dialsPerNode || most.Load() == 0 {
			t.Errorf("%d dials at a time", most.Load())
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the wait for a token is not bounded: %s", took)
		}
		if len(b.dials) != 0 {
			t.Errorf("%d tokens were not given back", len(b.dials))
		}
	})
}

func TestReadDeadlineIsOneOfSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, ends := piped()
		b := newBreaker(dial, time.Second, newPulse())
		conn, err := b.connect(t.Context(), "tcp", "n")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		node := <-ends
		defer node.Close()
		go func() {
			for range 5 {
				time.Sleep(900 * time.Millisecond)
				_, _ = node.Write([]byte("x"))
			}
		}()
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		for i := range 5 {
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
		last := time.Now()
		_, err = conn.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(last) != time.Second {
			t.Errorf("got %v after %s", err, time.Since(last))
		}
		if b.pulse.isBroken() {
			t.Error("a timeout is no broken connection")
		}
		_ = conn.SetReadDeadline(time.Time{})
		go func() {
			time.Sleep(time.Hour)
			_, _ = node.Write([]byte("x"))
			time.Sleep(time.Hour)
			_, _ = node.Write([]byte("x"))
		}()
		for range 2 {
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Fatalf("a read without a limit was given one: %v", err)
			}
		}
	})
}

func TestABrokenConnectionIsNoticed(t *testing.T) {
	dial, ends := piped()
	b := newBreaker(dial, time.Second, newPulse())
	conn, err := b.connect(t.Context(), "tcp", "n")
	if err != nil {
		t.Fatal(err)
	}
	(<-ends).Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil || !b.pulse.isBroken() {
		t.Errorf("got %v, broken %t", err, b.pulse.isBroken())
	}
}

// A question that is sent while a connection is being made is owed an answer, whatever becomes of the connection.
func TestDialCancelsNoQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulse()
		made := p.dial()
		time.Sleep(10 * time.Millisecond)
		p.ask()
		time.Sleep(20 * time.Millisecond)
		if got := p.silence(); got != 30*time.Millisecond {
			t.Errorf("while the connection is being made: silent for %s", got)
		}
		if made(); p.silence() != 20*time.Millisecond {
			t.Errorf("once it is made: silent for %s", p.silence())
		}
	})
}
