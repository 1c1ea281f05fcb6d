//go:build unix

package main

import (
	"math"
	"syscall"
)

// descriptors is how many descriptors this process may open (RLIMIT_NOFILE); 0 if that is not known. The Go runtime has raised
// the soft limit to the hard one.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Cur, math.MaxInt32))
}
