// Package abuse attacks the service as its callers can: with requests that are too many, too large or too slow. The service runs
// on loopback, as a process with few descriptors, on a real cluster if there is one and otherwise on an embedded Redis. Each
// attack is bounded in number and time, and judged by what the others notice.
//
// `make abuse` runs all attacks and prints a table, `make fairness` measures what one tenant at many times its share costs another.
package abuse
