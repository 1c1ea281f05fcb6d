// Package model is the proof of the rules of leases and marks: an exhaustive search over all that may happen.
package model
