package main

import (
	"fmt"

	"github.com/sessiond/sessiond/internal/conns"
)

const (
	// mostConnections is the default limit where there are descriptors enough. Each connection takes some 30 KiB.
	mostConnections = 10000
	// probeConnections are beyond the limits, so that a service whose connections are all taken still answers its probes.
	probeConnections = 16
	// ownDescriptors are those of the process itself: its listener, its log, the poller, a file that is being read.
	ownDescriptors = 32
	// nodeDescriptors are the connections to a node of the cluster: a lane of each kind is one, and questions have four.
	nodeDescriptors = 16
)

// opsLimits are those of --ops-listen: enough for what scrapes, and for every event stream.
var opsLimits = conns.Limits{All: 132, PerAddress: 66, Probes: 4}

// connections are the limits for connections from callers, if the process may open that many descriptors; 0 for an unknown
// number. Of what it does not need itself, every fourth is kept for Redis, which is enough for six nodes if there are 512.
func (s *serveCmd) connections(descriptors int) (conns.Limits, error) {
	l := conns.Limits{All: s.MaxConnections, PerAddress: s.MaxConnectionsPerAddress, Probes: probeConnections}
	own := ownDescriptors + l.Probes
	if s.OpsListen != "" {
		own += opsLimits.All + opsLimits.Probes
	}
	if l.All == 0 {
		l.All = mostConnections
		if descriptors > 0 {
			l.All = min(l.All, (descriptors-own)*3/4)
		}
	}
	if l.All <= 0 || descriptors > 0 && l.All+own+nodeDescriptors > descriptors {
		return l, fmt.Errorf("the process may open %d descriptors only, and needs some for Redis: raise the limit (ulimit -n), or lower --max-connections", descriptors)
	}
	if l.PerAddress == 0 {
		l.PerAddress = (l.All + 1) / 2
	}
	return l, nil
}
