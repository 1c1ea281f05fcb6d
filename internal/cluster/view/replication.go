package view

import (
	"net"
	"strconv"
	"strings"
)

// Replication is what a node reports about its own replication (INFO replication).
type Replication struct {
	Master bool
	LinkUp bool   // of a replica: it is connected to its master, and no full sync is in progress
	Offset int64  // bytes of the replication stream that the node has produced or applied
	Stream string // identifies the stream that the offset is of (master_replid)
}

// ParseConnected returns the offset that each replica has acknowledged to a master, by the replica's address, from the fields of
// INFO replication ("slave0:ip=10.0.0.4,port=6379,state=online,offset=126,lag=0").
func ParseConnected(fields map[string]string) map[string]int64 {
	connected := map[string]int64{}
	for i := 0; ; i++ {
		line, ok := fields["slave"+strconv.Itoa(i)]
		if !ok {
			return connected
		}
		of := map[string]string{}
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(part, "=")
			of[name] = value
		}
		connected[net.JoinHostPort(of["ip"], of["port"])], _ = strconv.ParseInt(of["offset"], 10, 64)
	}
}

// ParseInfo parses the reply to INFO into its fields.
func ParseInfo(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// ParseReplication interprets the fields of INFO replication.
func ParseReplication(fields map[string]string) Replication {
	r := Replication{Master: fields["role"] == "master", Stream: fields["master_replid"]}
	offset := fields["slave_repl_offset"]
	if r.Master {
		offset = fields["master_repl_offset"]
	}
	r.LinkUp = fields["master_link_status"] == "up" && fields["master_sync_in_progress"] != "1"
	r.Offset, _ = strconv.ParseInt(offset, 10, 64) // absent while a replica has no master; then 0
	return r
}
