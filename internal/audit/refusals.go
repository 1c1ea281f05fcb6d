package audit

import "time"

// refusalsPerMinute is how many lines a minute may have for the refusals of one kind to one key, or to all who have none. Acts
// are never left out. Refusals need no key, so without a limit anybody could fill the disk.
const refusalsPerMinute = 60

// Refuse writes the line of a call that was refused, or counts it as left out.
func (l *Log) Refuse(e Entry, outcome string) {
	if l == nil {
		return
	}
	if !l.admit(e.Key, outcome) {
		l.lines.WithLabelValues(leftOut).Inc()
		return
	}
	e.Action = Refuse
	_ = l.write(line{Entry: e, Outcome: outcome}, false)
}

func (l *Log) admit(key, outcome string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.quota.take(time.Now(), refused{key, outcome}) {
		l.leftOut++
		return false
	}
	return true
}

type refused struct{ key, outcome string }

// A quota counts lines by what they are about, from the start of each minute. Keys are those of the key file, so there are few.
type quota struct {
	minute int64
	taken  map[refused]int
}

func (q *quota) take(now time.Time, what refused) bool {
	if minute := now.Unix() / 60; minute != q.minute || q.taken == nil {
		q.minute, q.taken = minute, map[refused]int{}
	}
	q.taken[what]++
	return q.taken[what] <= refusalsPerMinute
}
