package certs

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"forebay/internal/resource"
)

// issued is a certificate by the authority, for a set of hosts. The Manager's lock guards it.
type issued struct {
	authority *Authority
	log       *slog.Logger
	hosts     []string

	config *tls.Config
	failed bool // to renew it, and the log says so
}

// due reports whether it is time to renew it. One that has less time than a leaf should have, because the authority ends,
// is as good as it gets.
func (i *issued) due(now time.Time) bool {
	notAfter := i.config.Certificates[0].Leaf.NotAfter
	return notAfter.Sub(now) < renewBefore && i.authority.cert.NotAfter.After(notAfter)
}

// renew makes the certificate, or another one in its place: on an error the former one stays.
func (i *issued) renew(now time.Time) error {
	cert, err := i.authority.issue(i.hosts, now)
	if err != nil {
		return fmt.Errorf("certs: no certificate for %s: %w", strings.Join(i.hosts, ", "), err)
	}
	i.config, i.failed = newConfig(cert), false
	i.log.Info("certificate issued", "names", namesOf(cert.Leaf), "sha256", fingerprint(cert.Leaf), "not_after", cert.Leaf.NotAfter)
	if i.authority.cert.NotAfter.Sub(now) < warnBefore {
		i.log.Warn("the certificate authority ends soon: move its two files away, start again, and give clients the new one",
			"file", i.authority.path, "not_after", i.authority.cert.NotAfter)
	}
	return nil
}

// refresh renews the certificate if it is time, and reports whether there is a new one.
func (i *issued) refresh(now time.Time) bool {
	if !i.due(now) {
		return false
	}
	if err := i.renew(now); err != nil {
		if !i.failed {
			i.failed = true
			i.log.Error("a certificate cannot be renewed; the former one stays", "err", err)
		}
		return false
	}
	return true
}

// hostsOf is what the certificate of a proxy is for: all names of all its endpoints, sorted. Endpoints that have none, as
// in a configuration file, are known by where they listen and by this machine's names.
func hostsOf(p *resource.Proxy) []string {
	var hosts []string
	for _, e := range p.Endpoints {
		if len(e.Hostnames) > 0 {
			hosts = append(hosts, e.Hostnames...)
			continue
		}
		hosts = append(hosts, machineNames()...)
		host, _, err := net.SplitHostPort(e.Listen)
		if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
			hosts = append(hosts, machineAddresses()...)
		} else if err == nil {
			hosts = append(hosts, host)
		}
	}
	if len(hosts) == 0 {
		hosts = machineNames()
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// machineAddresses are the addresses by which others know this machine.
func machineAddresses() []string {
	var all []string
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
			all = append(all, n.IP.String())
		}
	}
	return all
}
