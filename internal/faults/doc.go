// Package faults holds the fault suite: the service as its users run it, instances in containers on a real cluster of
// three masters and three replicas, under load, while a VM dies, hangs or is cut off, nodes restart and slots move. Each
// drill prints its figures, and fails if a read or a write failed, or if a session was lost, stale or resurrected.
//
// `make test-faults` runs all drills, `make test-faults FAULTS=ci` those of CI, and `FAULTS=power-cut,returns` some.
// `make failover-figures` prints the table of figures, with the stock client as the control.
package faults
