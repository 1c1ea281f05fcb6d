package clustertest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

const aofDir = "/data/appendonlydir/"

// killAndLose lets a node run for a while, kills it, and removes from its append-only file what it wrote in that time.
func (r *Real) killAndLose(t testing.TB, engine *testcontainers.DockerClient, c *container, while time.Duration) (ended time.Time, err error) {
	t.Helper()
	file, err := currentAOF(t.Context(), engine, c.id)
	if err != nil {
		return ended, err
	}
	before, err := engine.ContainerStatPath(t.Context(), c.id, client.ContainerStatPathOptions{Path: aofDir + file})
	if err != nil {
		return ended, err
	}
	select {
	case <-time.After(while):
	case <-t.Context().Done():
		return ended, t.Context().Err()
	}
	ended = time.Now()
	if err := r.kill(t.Context(), engine, c); err != nil {
		return ended, err
	}
	if now, err := currentAOF(t.Context(), engine, c.id); err != nil || now != file {
		return ended, errors.Join(err, errors.New("the append-only file was rewritten in between"))
	}
	return ended, cutFile(t.Context(), engine, c.id, file, before.Stat.Size)
}

// currentAOF returns the name of the incremental file that a node writes to, from the manifest of its append-only file.
func currentAOF(ctx context.Context, engine *testcontainers.DockerClient, id string) (string, error) {
	_, manifest, err := readFile(ctx, engine, id, "appendonly.aof.manifest")
	if err != nil {
		return "", err
	}
	current := ""
	for line := range strings.Lines(string(manifest)) { // file NAME seq N type i ...
		if f := strings.Fields(line); len(f) >= 6 && f[5] == "i" {
			current = f[1]
		}
	}
	if current == "" {
		return "", fmt.Errorf("no increment in the manifest: %q", manifest)
	}
	return current, nil
}

func readFile(ctx context.Context, engine *testcontainers.DockerClient, id, name string) (*tar.Header, []byte, error) {
	from, err := engine.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: aofDir + name})
	if err != nil {
		return nil, nil, err
	}
	defer from.Content.Close()
	archive := tar.NewReader(from.Content)
	h, err := archive.Next()
	if err != nil {
		return nil, nil, err
	}
	content, err := io.ReadAll(archive)
	return h, content, err
}

// cutFile truncates a file of a node that is down. The file may then end in the middle of a command, which Redis cuts off
// when it starts (aof-load-truncated).
func cutFile(ctx context.Context, engine *testcontainers.DockerClient, id, name string, size int64) error {
	h, content, err := readFile(ctx, engine, id, name)
	if err != nil {
		return err
	}
	h.Size = min(size, int64(len(content)))
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err = w.WriteHeader(h)
	if err == nil {
		_, err = w.Write(content[:h.Size])
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	_, err = engine.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: aofDir, Content: &archive})
	return err
}
