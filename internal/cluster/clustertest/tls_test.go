package clustertest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/polltest"
)

// An instance of the service uses a cluster that speaks nothing but TLS and is called by name, and goes on when a VM is killed.
func TestServiceOverTLSOnRealCluster(t *testing.T) {
	real := clustertest.Start(t, clustertest.OverTLS(t))
	service := real.StartService(t, clustertest.ServiceOptions{Args: []string{"--failover-assist=500ms"}})
	created := func() bool {
		t.Helper()
		answer, err := http.Post(service.URL+"/v1/sessions", "application/json", strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusCreated
	}
	for range 10 { // on every shard
		if !created() {
			t.Fatal("a session was not created")
		}
	}
	real.KillVM(t, "vm2")
	for range 10 {
		polltest.Eventually(t, "a session is created", created)
	}
	real.StartVM(t, "vm2")
	inOrder(t, real)
}
