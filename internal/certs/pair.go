package certs

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"time"

	"forebay/internal/resource"
)

// pair is a certificate and its key in two files. The Manager's lock guards it.
type pair struct {
	files resource.Certificate
	log   *slog.Logger

	config  *tls.Config // of the last pair that was usable
	checked time.Time
	seen    stamp // of the files when they were read last, usable or not
	keyPEM  []byte
	failed  string // error reported last; empty: none since the last usable pair
}

// stamp is what changes when files are written or replaced.
type stamp struct{ cert, key os.FileInfo }

// settled is how old a file's last change must be before an equal stamp proves equal content: two writes within one
// tick of a file system's clock cannot be told apart.
const settled = 2 * time.Second

func (p *pair) stat() (stamp, error) {
	cert, err := os.Stat(p.files.CertFile)
	if err != nil {
		return stamp{}, err
	}
	key, err := os.Stat(p.files.KeyFile)
	return stamp{cert, key}, err
}

func (s stamp) equal(t stamp) bool {
	same := func(a, b os.FileInfo) bool {
		return a != nil && b != nil && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && os.SameFile(a, b)
	}
	return same(s.cert, t.cert) && same(s.key, t.key)
}

// settledAt reports whether the files were old enough when they were read.
func (s stamp) settledAt(read time.Time) bool {
	return read.Sub(s.cert.ModTime()) >= settled && read.Sub(s.key.ModTime()) >= settled
}

func (p *pair) open(now time.Time) error {
	_, err := p.load(now)
	return err
}

// refresh reads the files again if they may have changed, and reports whether there is a new certificate.
func (p *pair) refresh(now time.Time) bool {
	before := p.checked
	p.checked = now
	if s, err := p.stat(); err == nil && s.equal(p.seen) && s.settledAt(before) {
		return false
	}
	changed, err := p.load(now)
	if err != nil {
		if p.failed != err.Error() {
			p.failed = err.Error()
			p.log.Error("the new certificate cannot be used; the former one stays", "err", err)
		}
		return false
	}
	p.failed = ""
	if changed {
		leaf := p.config.Certificates[0].Leaf
		p.log.Info("certificate reloaded", "cert_file", p.files.CertFile, "sha256", fingerprint(leaf), "not_after", leaf.NotAfter)
	}
	return changed
}

// load reads both files. It reports whether they hold something else than before.
func (p *pair) load(now time.Time) (changed bool, err error) {
	p.checked = now
	// Before the files are read: if they change meanwhile, the next look sees it.
	if p.seen, err = p.stat(); err != nil {
		return false, fmt.Errorf("certs: %w", err)
	}
	certPEM, err := os.ReadFile(p.files.CertFile)
	if err != nil {
		return false, fmt.Errorf("certs: %w", err)
	}
	keyPEM, err := os.ReadFile(p.files.KeyFile)
	if err != nil {
		return false, fmt.Errorf("certs: %w", err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return false, fmt.Errorf("certs: %s and %s: %w", p.files.CertFile, p.files.KeyFile, err)
	}
	if p.config != nil && bytes.Equal(p.keyPEM, keyPEM) && sameChain(p.config.Certificates[0].Certificate, cert.Certificate) {
		return false, nil
	}
	if now.After(cert.Leaf.NotAfter) {
		p.log.Warn("the certificate has expired: clients that verify it will refuse it",
			"cert_file", p.files.CertFile, "not_after", cert.Leaf.NotAfter)
	}
	p.config, p.keyPEM = newConfig(cert), keyPEM
	return true, nil
}

func sameChain(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}
