package view

import (
	"fmt"
	"net"
	"strconv"
)

// CheckAddr returns an error unless addr has the form host:port.
func CheckAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if _, number := strconv.ParseUint(port, 10, 16); err != nil || host == "" || number != nil {
		return fmt.Errorf("%q is not host:port", addr)
	}
	return nil
}
