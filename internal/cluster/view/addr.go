package view

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// CheckAddr returns an error unless addr has the form host:port.
func CheckAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if _, number := strconv.ParseUint(port, 10, 16); err != nil || host == "" || number != nil {
		return fmt.Errorf("%q is not host:port", addr)
	}
	return nil
}

// Bracketed returns an address as Redis writes it in the form host:port: Redis leaves out the brackets around an IPv6 address
// ("::1:6379"). Anything else stays as it is.
func Bracketed(addr string) string {
	i := strings.LastIndexByte(addr, ':')
	if i < 0 || addr[0] == '[' || !strings.Contains(addr[:i], ":") {
		return addr
	}
	return net.JoinHostPort(addr[:i], addr[i+1:])
}
