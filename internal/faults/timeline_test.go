package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// clusterState is what the drills need of GET /v1/cluster.
type clusterState struct {
	Formers bool `json:"former_masters"`
	Shards  []struct {
		Master  string
		MovedAt time.Time `json:"moved_at"`
	}
}

func clusterOf(url string) (s clusterState, err error) {
	err = getJSON(url+"/v1/cluster", &s)
	return s, err
}

// An event is one of GET /v1/cluster/events.
type event struct {
	Time time.Time
	Type string
	Text string
}

func eventsOf(url string) ([]event, error) {
	var body struct{ Events []event }
	err := getJSON(url+"/v1/cluster/events", &body)
	return body.Events, err
}

// getJSON decodes the answer of an instance.
func getJSON(url string, into any) error {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(into)
}

// timeline returns the events that the first instance that answers has seen since a moment, one per line.
func (d *drill) timeline(began time.Time) string {
	for _, s := range d.services {
		events, err := eventsOf(s.URL)
		if err != nil {
			continue // stopped on purpose
		}
		var b strings.Builder
		for _, ev := range events {
			if at := ev.Time.Sub(began); at >= 0 {
				fmt.Fprintf(&b, "\n  %7s  %-16s  %s", at.Round(time.Millisecond), ev.Type, ev.Text)
			}
		}
		return b.String()
	}
	return ""
}
