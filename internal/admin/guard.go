package admin

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// guard refuses requests that a web page could have made: a page's own name, rebound to this machine's address, stands
// in the Host header (DNS rebinding). An address there cannot be rebound.
func guard(o Options, next http.Handler) http.Handler {
	names := []string{"localhost"}
	if own, err := os.Hostname(); err == nil {
		names = append(names, strings.ToLower(own))
	}
	if host, _, err := net.SplitHostPort(o.Listen); err == nil && host != "" {
		names = append(names, strings.ToLower(host))
	}
	for _, h := range o.Hosts {
		names = append(names, strings.ToLower(h))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !knownHost(r.Host, names) {
			http.Error(w, "this host name is not known here; list it under admin.hosts", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// knownHost reports whether a Host header is an IP address or one of names, with or without a port.
func knownHost(header string, names []string) bool {
	host := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return slices.Contains(names, host)
}
