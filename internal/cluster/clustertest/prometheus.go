package clustertest

import (
	"context"
	"net/http"
	"os"
	"testing"
	"time"

	mobycontainer "github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
)

// StartPrometheus starts Prometheus with this repository's configuration and rules, and the exporter of the Redis nodes,
// on the cluster's network, and returns its URL when it is ready. They end with the test. PROMETHEUS_IMAGE and
// REDIS_EXPORTER_IMAGE name their images. Without them the test is skipped, or fails if clusters are required.
func (r *Real) StartPrometheus(t testing.TB) string {
	t.Helper()
	r.needDirect(t)
	server, exporter := os.Getenv("PROMETHEUS_IMAGE"), os.Getenv("REDIS_EXPORTER_IMAGE")
	if server == "" || exporter == "" {
		if os.Getenv("SESSIOND_TEST_CLUSTER") == "required" {
			t.Fatal("Prometheus is required, but PROMETHEUS_IMAGE and REDIS_EXPORTER_IMAGE do not name images")
		}
		t.Skip("PROMETHEUS_IMAGE and REDIS_EXPORTER_IMAGE do not name images")
	}
	r.companion(t, exporter, "redis-exporter", 201, "9121/tcp", testcontainers.WithEnv(map[string]string{
		"REDIS_USER": exporterUser, "REDIS_PASSWORD": password, "REDIS_EXPORTER_CONFIG_COMMAND": "-",
	}))
	ip := r.companion(t, server, "prometheus", 202, "9090/tcp",
		testcontainers.WithHostConfigModifier(func(host *mobycontainer.HostConfig) {
			host.Binds = append(host.Binds, inRepository("deploy/prometheus")+":/etc/prometheus:ro")
		}),
		testcontainers.WithCmd("--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus",
			"--enable-feature=native-histograms,exemplar-storage"),
	)
	url := "http://" + ip + ":9090"
	probe := &http.Client{Timeout: 2 * time.Second}
	r.poll(t, "Prometheus is ready", func() bool {
		answer, err := probe.Get(url + "/-/ready")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return url
}

// companion starts a container beside the cluster and returns its address.
func (r *Real) companion(t testing.TB, image, name string, host int, port string, options ...testcontainers.ContainerCustomizer) string {
	t.Helper()
	ip := r.ip(host)
	c, err := r.runImage(t.Context(), image, name, ip, port, options...)
	if c != nil {
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			if err := c.Terminate(ctx, testcontainers.StopTimeout(0)); err != nil {
				t.Logf("%s: %v", name, err)
			}
		})
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return ip.String()
}
