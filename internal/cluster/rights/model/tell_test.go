package model

import "fmt"

var (
	registerNames  = [registers]string{"M", "X", "Y", "the new register"}
	instanceNames  = [2]string{"A", "B"}
	candidateNames = [candidates]string{"R", "R2", "X2"}
)

// tell writes a step as a line.
func (w *world) tell(st step, from, to *state) string {
	q, i := registerNames[st.node], instanceNames[st.who&1]
	switch st.what {
	case "votes for":
		return fmt.Sprintf("%s votes for %s in epoch %d", q, candidateNames[st.who], to.epoch[st.node])
	case "asks for votes by itself", "wins", "counts votes no longer":
		return fmt.Sprintf("%s %s (epoch %d)", candidateNames[st.who], st.what, to.cand[st.who].epoch)
	case "takes a slot in, and an epoch without votes":
		return fmt.Sprintf("%s %s: %d", q, st.what, to.epoch[st.node])
	case "marks":
		return fmt.Sprintf("%s marks for %s", q, i)
	case "is granted a lease":
		return fmt.Sprintf("%s grants %s a lease on %s", q, i, candidateNames[to.inst[st.who].target])
	case "refuses marks no longer", "restarts and forgets its register", "has another lowest slot", "obeys a late MARK", "obeys a late LEASE":
		return fmt.Sprintf("%s %s", q, st.what)
	case "changes its mind about M":
		return fmt.Sprintf("%s changes its mind about M: failed is %v", q, to.flags.has(st.node))
	case "becomes a replica of M", "believes that M failed", "gets the next write", "has a full copy", "is left empty by a full resync":
		return fmt.Sprintf("%s %s", candidateNames[st.node], st.what)
	case "asks M for its offset", "sees the replica reach that offset", "begins a read", "reads", "sends FORCE", "has FORCE executed":
		return fmt.Sprintf("%s %s (%s has %d of %d writes)", i, st.what, candidateNames[to.inst[st.who].target], to.off[to.inst[st.who].target], to.log)
	case "asks a former master, which knows no later epoch":
		return fmt.Sprintf("%s asks %s, which knows no epoch after %d", i, q, from.inst[st.who].epoch)
	}
	if len(st.what) > 8 && st.what[:8] == "restarts" {
		return fmt.Sprintf("%s %s", candidateNames[st.node], st.what)
	}
	return fmt.Sprintf("%s %s", i, st.what)
}
