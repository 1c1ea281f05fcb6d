package abuse

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// loadVariable holds a load for a process of its own: its callers must not compete with the neighbour's for a scheduler.
const loadVariable = "SESSIOND_ABUSE_LOAD"

// A load is what many callers send, each the next request as soon as the last one is answered.
type load struct {
	Tenant, Method, URL, Body string
	Callers                   int
	Time                      time.Duration
}

// An outcome is what became of a load: the answers by status, 0 for none.
type outcome map[int]int

// beLoad is the process of a load.
func beLoad() {
	var l load
	if err := json.Unmarshal([]byte(os.Getenv(loadVariable)), &l); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.Time)
	defer cancel()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}} // not the neighbour's
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.Callers, DialContext: dialer.DialContext}}
	var mu sync.Mutex
	o := outcome{}
	var callers sync.WaitGroup
	var first sync.Once
	for range l.Callers {
		callers.Go(func() {
			for ctx.Err() == nil {
				status, _ := send(ctx, client, l.Tenant, l.Method, l.URL, l.Body)
				mu.Lock()
				o[status]++
				mu.Unlock()
				first.Do(func() { fmt.Println(begun) })
			}
		})
	}
	callers.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		panic(err)
	}
}

// begun is what the process of a load prints once it has the first answer. Then it prints its outcome.
const begun = "begun"

// start starts a load, and returns once it is there. The function that it returns waits for its end.
func (l load) start(t *testing.T) (wait func() outcome) {
	t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), loadVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); err != nil || line != begun+"\n" {
		t.Fatalf("the load does not begin: %q, %v", line, err)
	}
	return func() outcome {
		t.Helper()
		o := outcome{}
		if err := errors.Join(json.NewDecoder(said).Decode(&o), cmd.Wait()); err != nil {
			t.Errorf("the load: %v", err)
		}
		return o
	}
}

func (o outcome) String() string {
	text := ""
	for _, status := range []int{200, 201, 429, 503, 0} {
		if n := o[status]; n > 0 && status == 0 {
			text += fmt.Sprintf(" %d without an answer", n)
		} else if n > 0 {
			text += fmt.Sprintf(" %d x %d", n, status)
		}
	}
	return text
}
