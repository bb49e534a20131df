package config

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/resource"
)

// What reader_fallback may say.
const (
	fallbackWait   = controlplane.FallbackWait
	fallbackWriter = controlplane.FallbackWriter
)

// leastConnectTimeout and leastInterval keep a slip of the pen from flooding a server.
const (
	leastConnectTimeout = 100 * time.Millisecond
	leastInterval       = 100 * time.Millisecond
)

// target checks where sessions go: one server, or the members of a cluster.
func (c *checker) target(at string, s *targetSection, family resource.EngineFamily) resource.Target {
	if f, ok := families[family]; ok && !c.has(join(at, "port")) {
		s.Port = f.port
	}
	c.count(join(at, "port"), s.Port, 1, 65535)
	c.targetTLS(at, s.TLS, family)
	c.span(join(at, "connect_timeout"), s.ConnectTimeout, leastConnectTimeout, false)
	out := resource.Target{Cluster: s.Cluster, Members: c.members(at, s, family), Discover: s.Discover, Patroni: c.patroni(join(at, "patroni"), s.Patroni, family)}
	out.PatroniCAFile = c.patroniCA(join(at, "patroni_ca_file"), s)
	if c.has(join(at, "cluster")) {
		c.identifier(join(at, "cluster"), s.Cluster)
	}
	c.monitor(at, s, &out)
	return out
}

// members are the servers of a target: those of its list, or the one that it is itself.
func (c *checker) members(at string, s *targetSection, family resource.EngineFamily) []resource.Member {
	list := join(at, "members")
	if !c.has(list) {
		own := memberSection{Host: s.Host, Port: s.Port, TLS: s.TLS, ConnectTimeout: s.ConnectTimeout}
		c.memberHost(join(at, "host"), s.Host, "the database's host name or address, or members for a cluster")
		return []resource.Member{c.member(own)}
	}
	if c.has(join(at, "host")) {
		c.errorf(join(at, "host"), "expected either host, for a single server, or members, for a cluster, got both (members on line %d)", c.line(list))
	}
	if len(s.Members) == 0 && !c.skip(list) {
		c.errorf(list, "expected at least one member, got none")
	}
	names, addresses := map[string]string{}, map[string]string{}
	var out []resource.Member
	for i, m := range s.Members {
		path := fmt.Sprintf("%s[%d]", list, i)
		c.inherit(path, &m, s)
		if m.Name != "" {
			c.identifier(join(path, "name"), m.Name)
			c.unique(names, join(path, "name"), strings.ToLower(m.Name), "member")
		}
		c.memberHost(join(path, "host"), m.Host, "the server's host name or address")
		c.count(join(path, "port"), m.Port, 1, 65535)
		c.targetTLS(path, m.TLS, family)
		c.span(join(path, "connect_timeout"), m.ConnectTimeout, leastConnectTimeout, false)
		if m.Host != "" && !c.skip(path) {
			address := net.JoinHostPort(canonical(m.Host), strconv.Itoa(m.Port))
			if first, ok := addresses[address]; ok {
				c.errorf(join(path, "host"), "expected a server that is no member yet, got %s as in %s (line %d)", clip(address), first, c.line(first))
			} else {
				addresses[address] = path
			}
		}
		out = append(out, c.member(m))
	}
	return out
}

// inherit gives a member what it leaves out and its target has. An authority is of use to a mode that verifies alone.
func (c *checker) inherit(path string, m *memberSection, s *targetSection) {
	if !c.has(join(path, "port")) {
		m.Port = s.Port
	}
	if !c.has(join(path, "tls.mode")) {
		m.TLS.Mode = s.TLS.Mode
	}
	if !c.has(join(path, "tls.ca_file")) && verifies(m.TLS.Mode) {
		m.TLS.CAFile = s.TLS.CAFile
	}
	if !c.has(join(path, "connect_timeout")) {
		m.ConnectTimeout = s.ConnectTimeout
	}
}

func (c *checker) member(s memberSection) resource.Member {
	return resource.Member{
		Name: s.Name, Host: s.Host, Port: s.Port, TLSMode: resource.TLSMode(s.TLS.Mode), CAFile: c.path(s.TLS.CAFile), ConnectTimeout: s.ConnectTimeout.of,
	}
}

func (c *checker) memberHost(path, host, what string) {
	if c.required(path, host, what) && !hostName(host) {
		c.errorf(path, "expected a host name or an IP address, without port, got %q", clip(host))
	}
}

func verifies(mode string) bool {
	return mode == string(resource.TLSVerifyCA) || mode == string(resource.TLSVerifyFull) || mode == string(resource.TLSStrict)
}

// targetTLS checks the section tls of a target or of a member.
func (c *checker) targetTLS(at string, s targetTLSSection, family resource.EngineFamily) {
	mode, ca := join(at, "tls.mode"), join(at, "tls.ca_file")
	words := []string{
		string(resource.TLSDisable), string(resource.TLSPrefer), string(resource.TLSRequire), string(resource.TLSVerifyCA), string(resource.TLSVerifyFull),
	}
	if family == resource.SQLServer {
		words = append(words, string(resource.TLSStrict))
	}
	c.oneOf(mode, s.Mode, words...)
	if s.CAFile == "" || !c.has(ca) {
		return
	}
	if data, ok := c.readable(ca, s.CAFile); ok && !x509.NewCertPool().AppendCertsFromPEM(data) {
		c.errorf(ca, "expected at least one certificate in PEM, got none in %q", clip(c.path(s.CAFile)))
	} else if !verifies(s.Mode) && !c.skip(mode) {
		c.errorf(ca, "expected mode verify-ca or verify-full beside it, got %s, which verifies nothing", s.Mode)
	}
}

// patroni checks the addresses of Patroni's REST API.
func (c *checker) patroni(at string, list []string, family resource.EngineFamily) []string {
	if _, known := families[family]; len(list) > 0 && known && family != resource.PostgreSQL {
		c.errorf(at, "expected none with engine_family %s: Patroni is for PostgreSQL", family)
		return nil
	}
	seen := map[string]string{}
	var out []string
	for i, text := range list {
		path := fmt.Sprintf("%s[%d]", at, i)
		if c.skip(path) {
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			c.errorf(path, "expected a URL such as http://db1.internal:8008, without user, query and fragment") // not quoted: there may be a password in it
			continue
		}
		base := strings.TrimRight(text, "/")
		if first, ok := seen[base]; ok {
			c.errorf(path, "expected each URL once, got %q as in %s (line %d)", clip(base), first, c.line(first))
			continue
		}
		seen[base] = path
		out = append(out, base)
	}
	return out
}

// patroniCA checks the authority of Patroni's certificates.
func (c *checker) patroniCA(at string, s *targetSection) string {
	if s.PatroniCAFile == "" || !c.has(at) {
		return ""
	}
	https := slices.ContainsFunc(s.Patroni, func(url string) bool { return strings.HasPrefix(strings.ToLower(url), "https://") })
	if data, ok := c.readable(at, s.PatroniCAFile); ok && !x509.NewCertPool().AppendCertsFromPEM(data) {
		c.errorf(at, "expected at least one certificate in PEM, got none in %q", clip(c.path(s.PatroniCAFile)))
	} else if !https {
		c.errorf(at, "expected a URL with https in patroni beside it, got none")
	}
	return c.path(s.PatroniCAFile)
}

// monitor checks what is about the choice between members, and so has no meaning for a single server.
func (c *checker) monitor(at string, s *targetSection, out *resource.Target) {
	if !out.IsCluster() {
		for _, key := range []string{"monitor", "max_replica_lag", "reader_fallback"} {
			if field := join(at, key); c.has(field) && !c.skip(field) {
				c.errorf(field, "expected cluster, further members, discover or patroni beside it: a single server has no role to ask for")
			}
		}
		return
	}
	name := join(at, "monitor.secret")
	if _, ok := c.users[s.Monitor.Secret]; s.Monitor.Secret != "" && !ok && !c.skip(name) {
		c.errorf(name, "expected the name of an entry of secrets, got %q", clip(s.Monitor.Secret))
	}
	if strings.ContainsRune(s.Monitor.Database, 0) {
		c.errorf(join(at, "monitor.database"), "expected a name without NUL characters")
	}
	out.Monitor = resource.Monitor{
		Secret: s.Monitor.Secret, Database: s.Monitor.Database, Interval: c.span(join(at, "monitor.interval"), s.Monitor.Interval, leastInterval, false).of,
	}
	out.MaxReplicaLag = c.span(join(at, "max_replica_lag"), s.MaxReplicaLag, time.Millisecond, true).orZero()
	c.oneOf(join(at, "reader_fallback"), s.ReaderFallback, fallbackWait, fallbackWriter)
	out.WriterReads = s.ReaderFallback == fallbackWriter
}
