// Package bench measures the service beside handlers that ask less of Redis, in one run, on one cluster: `make bench`. It has tests
// only. docs/performance.md says what is measured, and what came of it.
package bench
