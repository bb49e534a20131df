// Package certs holds the certificates that are shown to clients: read from files, and read again when they change; for those
// who have none, issued by an authority of our own, and renewed in time; or, where there is no place to keep one,
// self-signed at start.
//
// Each version of a certificate is a *tls.Config of its own with exactly one certificate, so that a connection which
// took a Config knows which certificate its client saw (channel binding needs that, RFC 5929 section 4), and so that
// tickets for session resumption end with the certificate they were given out under.
package certs

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"forebay/internal/resource"
)

// Manager gives out one Config for each certificate. It is safe for concurrent use.
type Manager struct {
	// Static after New.
	log       *slog.Logger
	names     []string
	authority *Authority // nil: certificates are self-signed
	now       func() time.Time

	mu         sync.Mutex
	pairs      map[resource.Certificate]*pair // guarded by mu
	issued     map[string]*issued             // guarded by mu; by their hosts, so that proxies under one name share one
	selfSigned *tls.Config                    // guarded by mu; nil until needed
}

// New returns a Manager. names are the hosts, beside this machine's own, for which a self-signed certificate is made.
func New(log *slog.Logger, names ...string) *Manager { return NewWithAuthority(log, nil, names...) }

// NewWithAuthority returns a Manager by whose authority certificates are issued, each for the names of its proxy's endpoints.
func NewWithAuthority(log *slog.Logger, a *Authority, names ...string) *Manager {
	return &Manager{
		log: log, names: names, authority: a, now: time.Now,
		pairs: map[resource.Certificate]*pair{}, issued: map[string]*issued{},
	}
}

// recheck is how often at most Config looks whether files have changed.
const recheck = time.Second

// Config returns how a proxy encrypts: the same value until its certificate changes. The caller must not change it.
// Files are looked at no more than once a second. It fails only for files that were never usable: a later pair that is
// broken leaves the former in place and is logged once.
func (m *Manager) Config(p *resource.Proxy) (*tls.Config, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case p.Certificate != (resource.Certificate{}):
	case m.authority != nil:
		return m.issuedLocked(p)
	default:
		return m.selfSignedLocked()
	}
	files := m.pairs[p.Certificate]
	if files == nil {
		files = &pair{files: p.Certificate, log: m.log}
		if err := files.open(m.now()); err != nil {
			return nil, err
		}
		m.pairs[p.Certificate] = files
	} else if m.now().Sub(files.checked) >= recheck {
		files.refresh(m.now())
	}
	return files.config, nil
}

// Refresh looks at all files now, renews what is about to end, and reports whether any certificate has changed.
func (m *Manager) Refresh() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := false
	for _, files := range m.pairs {
		changed = files.refresh(m.now()) || changed
	}
	for _, i := range m.issued {
		changed = i.refresh(m.now()) || changed
	}
	return changed
}

// Keep forgets the certificates that no proxy of s has.
func (m *Manager) Keep(s resource.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	used, hosts := map[resource.Certificate]bool{}, map[string]bool{}
	for i := range s.Proxies {
		p := &s.Proxies[i]
		used[p.Certificate] = true
		hosts[issuedKey(hostsOf(p))] = true
	}
	for key := range m.issued {
		if !hosts[key] {
			delete(m.issued, key)
		}
	}
	for c := range m.pairs {
		if !used[c] {
			delete(m.pairs, c)
		}
	}
}

// newConfig is the Config of one version of a certificate. Session tickets are on, as in every Config.
func newConfig(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
}

func issuedKey(hosts []string) string { return strings.Join(hosts, " ") }

func (m *Manager) issuedLocked(p *resource.Proxy) (*tls.Config, error) {
	hosts := hostsOf(p)
	key := issuedKey(hosts)
	if i := m.issued[key]; i != nil {
		i.refresh(m.now())
		return i.config, nil
	}
	i := &issued{authority: m.authority, log: m.log, hosts: hosts}
	if err := i.renew(m.now()); err != nil {
		return nil, err
	}
	m.issued[key] = i
	return i.config, nil
}

func (m *Manager) selfSignedLocked() (*tls.Config, error) {
	if m.selfSigned != nil {
		return m.selfSigned, nil
	}
	cert, err := generate(m.names, m.now())
	if err != nil {
		return nil, errors.Join(errors.New("certs: no self-signed certificate"), err)
	}
	m.selfSigned = newConfig(cert)
	m.log.Warn("no certificate configured: a self-signed one was made, for as long as this process runs",
		"sha256", fingerprint(cert.Leaf), "names", namesOf(cert.Leaf), "not_after", cert.Leaf.NotAfter)
	return m.selfSigned, nil
}
