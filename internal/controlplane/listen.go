package controlplane

import (
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"

	"forebay/internal/resource"
)

// ListenTag is the key of the tag that fixes where a new proxy or endpoint listens: "host:port" or ":port".
const ListenTag = "forebay:listen"

// SplitTag is the key of the tag that has readers serve those transactions of a proxy's READ_WRITE endpoints that declare that
// they only read, where its value is "true".
const SplitTag = "forebay:read-write-split"

// Listeners says which addresses endpoints may be given. An endpoint gets one when it is made, which is stored with it and
// never changes. It is the first that is free of:
//
//  1. what its tag forebay:listen says, and nothing else;
//  2. the engine's own port on each of Addresses in turn, so that clients need no port;
//  3. the lowest port of Ports on each of Addresses that is not a range.
//
// Free is what no proxy, endpoint or declared database has in the state, and what Free, if set, does not refuse.
type Listeners struct {
	Addresses []string  // IP addresses, host names and IPv4 ranges (127.0.1.0/24), in the order of preference
	Ports     PortRange // for those that find no address of their own
	// Host is what clients are told instead of the address, such as the name of the machine or of a load balancer. Several
	// endpoints under one host differ by their ports.
	Host string
	// Domain gives each endpoint a name as in RDS, <proxy>.proxy-<id>.<region>.<domain>. Whoever runs the domain makes the
	// names resolve.
	Domain string
	// Free reports whether this machine can listen there now. nil: the state alone decides. It is asked about few addresses.
	Free func(address string, port int) bool
}

// PortRange is the ports from First to Last.
type PortRange struct{ First, Last int }

// DefaultListeners is for one machine. On Linux every address that begins with 127 is there from the start.
func DefaultListeners() Listeners {
	l := Listeners{Addresses: []string{"127.0.0.1", "::1"}, Ports: PortRange{20000, 20999}}
	if runtime.GOOS == "linux" {
		l.Addresses = []string{"127.0.0.1", "127.0.1.0/24", "127.1.0.0/16", "::1"}
	}
	return l
}

// Validate says what is wrong with the settings.
func (l Listeners) Validate() error {
	switch {
	case len(l.Addresses) == 0:
		return errors.New("expected at least one address to listen on")
	case l.Ports.First < 1 || l.Ports.Last < l.Ports.First || l.Ports.Last > 65535:
		return fmt.Errorf("expected a range of ports within 1 to 65535, got %d-%d", l.Ports.First, l.Ports.Last)
	case l.Host != "" && l.Domain != "":
		return errors.New("expected a host or a domain, got both")
	case l.Host != "" && !ValidHost(l.Host):
		return fmt.Errorf("expected a host name or an IP address, got %q", l.Host)
	case l.Domain != "" && !ValidHost(l.Domain):
		return fmt.Errorf("expected a domain, got %q", l.Domain)
	}
	for _, a := range l.Addresses {
		p, err := netip.ParsePrefix(a)
		switch {
		case err == nil && !p.Addr().Is4():
			return fmt.Errorf("expected an IPv4 range, got %s", a)
		case err != nil && wildcard(a) && l.Host == "" && l.Domain == "":
			return fmt.Errorf("expected a host or a domain that clients are told, since %q is every address", a)
		case err != nil && !wildcard(a) && !ValidHost(a):
			return fmt.Errorf("expected an IP address, an IPv4 range or a host name, got %q", a)
		}
	}
	return nil
}

// ListenRequest is an endpoint that needs an address.
type ListenRequest struct {
	Family  resource.EngineFamily
	Network string // EndpointNetworkType: IPV4, IPV6 or DUAL
	Tag     string // the value of ListenTag; empty: none
	Label   string // what its name in Domain begins with: <proxy> or <endpoint>.endpoint
	ID      string // of the resource; makes the label unique where it is taken
}

// ErrNoAddress means that no address is left, or none of the kind that was asked for.
var ErrNoAddress = errors.New("no address is left to listen on")

// Assign finds an address for an endpoint.
func (l Listeners) Assign(s *State, r ListenRequest) (Listen, error) {
	t := takenIn(s)
	told := l.told(s, t, r)
	if r.Tag != "" {
		return l.tagged(t, told, r)
	}
	refusals := maxRefusals
	for a := range l.candidates(r.Network, true) {
		found := Listen{Address: a, Port: EnginePort(r.Family), Host: told(a)}
		if !t.free(found) {
			continue
		}
		if l.Free == nil || l.Free(a, found.Port) {
			return found, nil
		}
		if refusals--; refusals == 0 {
			break // somebody listens on the engine's port of every address
		}
	}
	for a := range l.candidates(r.Network, false) {
		for port := l.Ports.First; port <= l.Ports.Last; port++ {
			found := Listen{Address: a, Port: port, Host: told(a)}
			if t.free(found) && (l.Free == nil || l.Free(a, port)) {
				return found, nil
			}
		}
	}
	return Listen{}, fmt.Errorf("%w, of network type %s", ErrNoAddress, r.Network)
}

// maxRefusals bounds how often Free is asked about one port.
const maxRefusals = 64

// tagged finds the address that the tag says.
func (l Listeners) tagged(t *taken, told func(string) string, r ListenRequest) (Listen, error) {
	host, port, err := ParseListen(r.Tag)
	if err != nil {
		return Listen{}, err
	}
	if host == "" {
		refusals := maxRefusals
		for a := range l.candidates(r.Network, true) {
			found := Listen{Address: a, Port: port, Host: told(a)}
			if !t.free(found) {
				continue
			}
			if l.Free == nil || l.Free(a, port) {
				return found, nil
			}
			if refusals--; refusals == 0 {
				break
			}
		}
		return Listen{}, fmt.Errorf("%s %q: port %d is taken on every address", ListenTag, r.Tag, port)
	}
	found := Listen{Address: host, Port: port, Host: host}
	if wildcard(host) {
		if l.Host == "" && l.Domain == "" {
			return Listen{}, fmt.Errorf("%s %q: clients need a name for it, which the settings lack", ListenTag, r.Tag)
		}
		found.Host = told(host)
	}
	if !t.free(found) {
		return Listen{}, fmt.Errorf("%s %q: another proxy, endpoint or database is there", ListenTag, r.Tag)
	}
	// What cannot be listened at would never be in force.
	if l.Free != nil && !l.Free(host, port) {
		return Listen{}, fmt.Errorf("%s %q: this machine cannot listen there: it is not its address, or another process does", ListenTag, r.Tag)
	}
	return found, nil
}

// ParseListen takes the value of a tag apart: "host:port", or ":port" with an empty host. An IPv6 address has no brackets,
// since a tag could not hold them.
func ParseListen(tag string) (host string, port int, err error) {
	i := strings.LastIndexByte(tag, ':')
	if i < 0 {
		return "", 0, fmt.Errorf("%s: expected host:port or :port, got %q", ListenTag, tag)
	}
	host = tag[:i]
	port, err = strconv.Atoi(tag[i+1:])
	if err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("%s: expected a port from 1 to 65535, got %q", ListenTag, tag)
	}
	if host != "" && !wildcard(host) && !ValidHost(host) {
		return "", 0, fmt.Errorf("%s: expected a host name or an IP address before the port, got %q", ListenTag, tag)
	}
	return host, port, nil
}

// told returns what clients are told of an address.
func (l Listeners) told(s *State, t *taken, r ListenRequest) func(address string) string {
	switch {
	case l.Host != "":
		return func(string) string { return l.Host }
	case l.Domain != "":
		acct := s.Account()
		name := fmt.Sprintf("%s.proxy-%s.%s.%s", r.Label, acct.Suffix, acct.Region, l.Domain)
		if t.hosts[strings.ToLower(name)] { // of a proxy that was renamed
			head, tail, _ := strings.Cut(name, ".")
			name = head + "-" + r.ID[strings.LastIndexByte(r.ID, '-')+1:][:6] + "." + tail
		}
		return func(string) string { return strings.ToLower(name) }
	}
	return func(address string) string { return address }
}

// candidates goes through the addresses of a network type.
func (l Listeners) candidates(network string, ranges bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, entry := range l.Addresses {
			prefix, err := netip.ParsePrefix(entry)
			if err != nil {
				if fits(entry, network) && !yield(entry) {
					return
				}
				continue
			}
			if !ranges || !fits(prefix.Addr().String(), network) {
				continue
			}
			for a := range hostsOf(prefix.Masked()) {
				if !yield(a.String()) {
					return
				}
			}
		}
	}
}

// fits reports whether clients of a network type can use an address. A name, and every address, may be of both.
func fits(address, network string) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil || wildcard(address) {
		return true
	}
	switch network {
	case "IPV6":
		return !ip.Is4()
	case "DUAL":
		return false
	}
	return ip.Is4()
}

// hostsOf is the addresses of a range without its first and last, which are not for hosts.
func hostsOf(p netip.Prefix) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		if p.Bits() >= 31 {
			for a := p.Addr(); p.Contains(a); a = a.Next() {
				if !yield(a) {
					return
				}
			}
			return
		}
		for a := p.Addr().Next(); p.Contains(a.Next()); a = a.Next() {
			if !yield(a) {
				return
			}
		}
	}
}

// taken is the addresses that are in use.
type taken struct {
	at    map[socket]bool
	told  map[socket]bool // by what clients are told
	every map[int]bool    // ports that are taken on every address
	some  map[int]bool    // ports that are taken on some address
	hosts map[string]bool // that clients are told
}

type socket struct {
	host string
	port int
}

func takenIn(s *State) *taken {
	t := &taken{at: map[socket]bool{}, told: map[socket]bool{}, every: map[int]bool{}, some: map[int]bool{}, hosts: map[string]bool{}}
	for _, p := range s.Proxies.All() {
		t.add(p.Listen)
	}
	for _, e := range s.Endpoints.All() {
		t.add(e.Listen)
	}
	for _, d := range s.Databases.All() { // a proxy may well be on the machine of its database
		t.at[socket{canonical(d.Host), d.Port}] = true
	}
	return t
}

func (t *taken) add(l Listen) {
	t.some[l.Port] = true
	if wildcard(l.Address) {
		t.every[l.Port] = true
	}
	t.at[socket{canonical(l.Address), l.Port}] = true
	t.told[socket{canonical(l.Host), l.Port}] = true
	t.hosts[strings.ToLower(l.Host)] = true
}

func (t *taken) free(l Listen) bool {
	return !t.every[l.Port] && !(wildcard(l.Address) && t.some[l.Port]) &&
		!t.at[socket{canonical(l.Address), l.Port}] && !t.told[socket{canonical(l.Host), l.Port}]
}

func wildcard(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

func canonical(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String()
	}
	if host = strings.ToLower(strings.TrimSuffix(host, ".")); host == "localhost" {
		return "127.0.0.1"
	}
	return host
}

// ValidHost reports whether s can be a host: an IP address or a DNS name. Underscores occur in container networks.
func ValidHost(s string) bool {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Zone() == ""
	}
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
				return false
			}
		}
	}
	return true
}

// Socket is the address to listen on, "host:port".
func (l Listen) Socket() string { return net.JoinHostPort(l.Address, strconv.Itoa(l.Port)) }

// Endpoint is what the API tells clients: the host, as RDS does; where the port is not the one that clients of the family
// take by themselves, "host:port", since RDS has no member for a port.
func (l Listen) Endpoint(f resource.EngineFamily) string {
	if l.Port == EnginePort(f) {
		return l.Host
	}
	return net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
}
