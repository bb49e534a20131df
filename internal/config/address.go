package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"forebay/internal/controlplane"
	"forebay/internal/resource"
)

// listener is an address to listen on that some field of the file has taken.
type listener struct {
	host  string
	port  int
	field string
}

// address checks an address to listen on, and that no field before has taken it. It reports whether the address is one.
func (c *checker) address(path, listen string) bool {
	if c.skip(path) {
		return false
	}
	host, port, ok := splitAddress(listen)
	if !ok {
		c.errorf(path, "expected host:port, such as 127.0.0.1:6432 or :6432, got %q", clip(listen))
		return false
	}
	for _, other := range c.listeners {
		if port != 0 && other.port == port && overlap(other.host, host) {
			c.errorf(path, "expected an address of its own, got %q, which %s listens on (line %d)", clip(listen), other.field, c.line(other.field))
			return true
		}
	}
	c.listeners = append(c.listeners, listener{host: host, port: port, field: path})
	return true
}

func splitAddress(listen string) (host string, port int, ok bool) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || host != "" && !hostName(host) {
		return "", 0, false
	}
	return strings.ToLower(host), int(n), true
}

// hostName reports whether s can be a host: as in the API, and an address with a zone, too.
func hostName(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil || controlplane.ValidHost(s)
}

// overlap reports whether two hosts cannot listen on the same port. An empty host and :: stand for every address,
// 0.0.0.0 for every one of IPv4.
func overlap(a, b string) bool {
	x, y := canonical(a), canonical(b)
	every := func(h string) bool { return h == "" || h == "::" }
	v4 := func(h string) bool {
		addr, err := netip.ParseAddr(h)
		return err != nil || addr.Is4() // a name may stand for either
	}
	return x == y || every(x) || every(y) || x == "0.0.0.0" && v4(y) || y == "0.0.0.0" && v4(x)
}

func canonical(host string) string {
	host = strings.ToLower(host)
	if host == "localhost" {
		return "127.0.0.1"
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	return host
}

// loopback reports whether an address to listen on cannot be reached from other machines.
func loopback(listen string) bool {
	host, _, _ := splitAddress(listen)
	addr, err := netip.ParseAddr(canonical(host))
	return err == nil && addr.IsLoopback()
}

// notItself reports members of targets that are an address on which this very process listens.
func (c *checker) notItself(proxies []resource.Proxy) {
	for i, p := range proxies {
		target := "proxies[" + strconv.Itoa(i) + "].target"
		for j, m := range p.Target.Members {
			field := join(target, "host")
			if list := join(target, "members"); c.has(list) {
				field = join(list+"["+strconv.Itoa(j)+"]", "host")
			}
			if m.Host == "" || c.skip(field) {
				continue
			}
			for _, l := range c.listeners {
				every := l.host == "" || l.host == "::" || l.host == "0.0.0.0"
				if l.port == m.Port && (canonical(l.host) == canonical(m.Host) ||
					every && loopback(net.JoinHostPort(m.Host, "0"))) {
					c.errorf(field, "expected a database, got %s:%d, which is %s of this file (line %d)",
						clip(m.Host), m.Port, l.field, c.line(l.field))
					break
				}
			}
		}
	}
}
