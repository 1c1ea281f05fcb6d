package cluster_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sessiond/sessiond/internal/cluster"
	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// A slowScan is a connection that sends a SCAN once the test lets it.
type slowScan struct {
	net.Conn
	scans chan<- struct{} // gets a token from each
	send  <-chan struct{}
}

func (c slowScan) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("\r\nscan\r\n")) {
		c.scans <- struct{}{}
		<-c.send
	}
	return c.Conn.Write(b)
}

// However many scans wait for an answer, other questions to the nodes are asked. The scans get their turn.
func TestScansLeaveRoomForQuestions(t *testing.T) {
	scans, send := make(chan struct{}, 100), make(chan struct{})
	client := clustertest.StartEmbedded(t).Client(t, cluster.Config{Access: peer.Access{
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return slowScan{conn, scans, send}, err
		},
	}})
	if _, err := client.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() {
			if _, _, err := client.Scan(ctx, "*", "", 10); err != nil {
				t.Error(err)
			}
		})
	}
	<-scans
	<-scans
	for range 5 {
		if _, err := client.Sample(ctx, 1, 1, func(string) bool { return true }); err != nil {
			t.Errorf("a question beside scans: %v", err)
		}
	}
	select {
	case <-scans:
		t.Error("more than two scans ask at the same time")
	default:
	}
	close(send)
	running.Wait()
}
