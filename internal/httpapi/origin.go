package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// A browser on the host of the service, or in its network, sends requests for any site that its user visits. Two things keep
// such a site out. It may not send writes: a browser says which site a request comes from (http.CrossOriginProtection). And
// it may not become the same site by making its own name resolve to our address (DNS rebinding): where there are no keys,
// only names that the operator has allowed are answered to.

// ownOrigin refuses what a browser sends for another site. hosts are the names that callers may use; nil for any.
func (a *api) ownOrigin(hosts []string) func(http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if hosts != nil && !isOwnHost(r.Host, hosts) {
				a.writeProblem(w, r, foreignHost, problem{Detail: "see --allowed-host"})
				return
			}
			if err := protection.Check(r); err != nil {
				a.writeProblem(w, r, foreignOrigin, problem{})
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// isOwnHost reports whether a Host header is an address, localhost, or one of the names. An address cannot be rebound.
func isOwnHost(host string, names []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(host, ".")
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	isHost := func(name string) bool { return strings.EqualFold(name, host) }
	return isHost("localhost") || slices.ContainsFunc(names, isHost)
}
