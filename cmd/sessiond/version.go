package main

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// What the build stamps into the binary, with -ldflags "-X main.stampedVersion=v0.1.0 -X main.stampedCommit=79cb803...".
// Empty in a binary that was built without it.
var stampedVersion, stampedCommit string

// A build is what a binary was built from.
type build struct {
	version   string // the stamped one, else the module's, which is "(devel)" in a work tree
	commit    string // the stamped one, else the revision that the Go tool found; "unknown" if there is none
	goVersion string
}

// thisBuild describes the running binary.
func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return describeBuild(stampedVersion, stampedCommit, info)
}

func describeBuild(version, commit string, info *debug.BuildInfo) build {
	var revision string
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return build{
		version:   cmp.Or(version, info.Main.Version, "unknown"),
		commit:    cmp.Or(commit, revision, "unknown"),
		goVersion: cmp.Or(info.GoVersion, runtime.Version()),
	}
}

// String is what --version prints.
func (b build) String() string { return b.version + " (commit " + b.commit + ", " + b.goVersion + ")" }

// metric is the gauge sessiond_build_info.
func (b build) metric() prometheus.Collector {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sessiond_build_info",
		Help: "Always 1; the labels name the version, the commit and the Go release that this instance was built from.",
	}, []string{"version", "commit", "goversion"})
	g.WithLabelValues(b.version, b.commit, b.goVersion).Set(1)
	return g
}
