package view

import (
	"fmt"
	"net"
	"strconv"
)

// CheckAddr refuses what cannot be the address of a node.
func CheckAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if _, number := strconv.ParseUint(port, 10, 16); err != nil || host == "" || number != nil {
		return fmt.Errorf("%q is not host:port", addr)
	}
	return nil
}
