// Package certs holds the certificates that are shown to clients: read from files, and read again when they change, or
// made at start for those who have none.
//
// Each version of a certificate is a *tls.Config of its own with exactly one certificate, so that a connection which
// took a Config knows which certificate its client saw (channel binding needs that, RFC 5929 section 4), and so that
// tickets for session resumption end with the certificate they were given out under.
package certs

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"time"

	"forebay/internal/resource"
)

// Manager gives out one Config for each certificate. It is safe for concurrent use.
type Manager struct {
	// Static after New.
	log   *slog.Logger
	names []string
	now   func() time.Time

	mu         sync.Mutex
	pairs      map[resource.Certificate]*pair // guarded by mu
	selfSigned *tls.Config                    // guarded by mu; nil until needed
}

// New returns a Manager. names are the hosts, beside this machine's own, for which a self-signed certificate is made.
func New(log *slog.Logger, names ...string) *Manager {
	return &Manager{log: log, names: names, now: time.Now, pairs: map[resource.Certificate]*pair{}}
}

// recheck is how often at most Config looks whether files have changed.
const recheck = time.Second

// Config returns how a proxy encrypts: the same value until its certificate changes. The caller must not change it.
// Files are looked at no more than once a second. It fails only for files that were never usable: a later pair that is
// broken leaves the former in place and is logged once.
func (m *Manager) Config(p *resource.Proxy) (*tls.Config, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.Certificate == (resource.Certificate{}) {
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

// Refresh looks at all files now and reports whether any certificate has changed.
func (m *Manager) Refresh() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := false
	for _, files := range m.pairs {
		changed = files.refresh(m.now()) || changed
	}
	return changed
}

// Keep forgets the certificates that no proxy of s has.
func (m *Manager) Keep(s resource.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	used := map[resource.Certificate]bool{}
	for _, p := range s.Proxies {
		used[p.Certificate] = true
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
