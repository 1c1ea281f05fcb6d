package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// A stamped version counts; without one, what the Go tool recorded; without that, "unknown".
func TestDescribeBuild(t *testing.T) {
	recorded := &debug.BuildInfo{
		GoVersion: "go1.26.1", Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}},
	}
	for _, c := range []struct {
		version, commit string
		info            *debug.BuildInfo
		want            string
	}{
		{"v0.1.0", "def", recorded, "v0.1.0 (commit def, go1.26.1)"},
		{"", "", recorded, "(devel) (commit abc, go1.26.1)"},
		{"", "", new(debug.BuildInfo), "unknown (commit unknown, " + runtime.Version() + ")"},
	} {
		if got := describeBuild(c.version, c.commit, c.info).String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// The names after -X are those in the Dockerfile: the linker ignores a name that does not exist.
func TestStampedVersion(t *testing.T) {
	if testing.Short() {
		t.Skip("it links the program")
	}
	binary := filepath.Join(t.TempDir(), "sessiond")
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	ldflags := regexp.MustCompile(`-ldflags="([^"]*)"`).FindStringSubmatch(string(dockerfile))
	if ldflags == nil {
		t.Fatal("the Dockerfile sets no -ldflags")
	}
	stamp := strings.NewReplacer("${VERSION}", "v9.8.7", "${COMMIT}", "0123abc").Replace(ldflags[1])
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags", stamp, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), binary, "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "v9.8.7 (commit 0123abc, go") {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestBuildInfoIsAMetric(t *testing.T) {
	url, _ := serve(t, parse(t, "--embedded"))
	status, _, body := call(t, "GET", url+"/metrics", "")
	b := thisBuild()
	want := `sessiond_build_info{commit="` + b.commit + `",goversion="` + b.goVersion + `",version="` + b.version + `"} 1`
	if status != http.StatusOK || !strings.Contains(body, want) {
		t.Errorf("%s is not in /metrics", want)
	}
}
