package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// The files of an Authority in its folder. Clients are given the certificate.
const (
	AuthorityFile    = "ca.pem"
	authorityKeyFile = "ca.key"
)

// How long certificates last. A leaf is renewed when a third of its time is left; nobody sees that but by its dates. An
// authority's successor has to be handed to clients, so that is for the operator: see warnBefore.
const (
	authorityValidity = 20 * 365 * 24 * time.Hour
	leafValidity      = 90 * 24 * time.Hour
	renewBefore       = leafValidity / 3
	warnBefore        = 365 * 24 * time.Hour
)

// Authority is a certificate authority of this installation's own: clients that trust its certificate can verify
// every endpoint, whatever names endpoints get later.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	path string // of the certificate
}

// OpenAuthority reads the authority in dir, or makes one. Its key is for this user alone.
func OpenAuthority(dir string) (*Authority, error) {
	a := &Authority{path: filepath.Join(dir, AuthorityFile)}
	keyPath := filepath.Join(dir, authorityKeyFile)
	keyPEM, err := readOrMake(keyPath, 0o600, newAuthorityKey)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	if a.key, err = parseAuthorityKey(keyPEM); err != nil {
		return nil, fmt.Errorf("certs: %s: %w", keyPath, err)
	}
	// The key is there first: a start that is cut short between the two goes on with it.
	certPEM, err := readOrMake(a.path, 0o644, func() ([]byte, error) { return newAuthority(a.key, time.Now()) })
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("certs: %s and %s: %w", a.path, keyPath, err)
	}
	if a.cert = pair.Leaf; !a.cert.IsCA {
		return nil, fmt.Errorf("certs: %s: expected the certificate of an authority", a.path)
	}
	return a, nil
}

// Path is the file with the authority's certificate, for clients to trust.
func (a *Authority) Path() string { return a.path }

func newAuthorityKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseAuthorityKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("expected a private key in PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("expected an ECDSA key")
	}
	return ec, nil
}

// newAuthority makes the certificate of an authority, in PEM.
func newAuthority(key *ecdsa.PrivateKey, now time.Time) ([]byte, error) {
	template, err := newTemplate(now, authorityValidity)
	if err != nil {
		return nil, err
	}
	// Somebody who trusts several of them can tell them apart.
	template.Subject = pkix.Name{Organization: []string{"Forebay"}, CommonName: "Forebay CA " + hex.EncodeToString(template.SerialNumber.Bytes()[:4])}
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	template.IsCA, template.MaxPathLenZero = true, true
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// issue makes a certificate for hosts, with a key of its own.
func (a *Authority) issue(hosts []string, now time.Time) (tls.Certificate, error) {
	validity := min(leafValidity, a.cert.NotAfter.Sub(now))
	return newLeaf(hosts, now, validity, a.cert, a.key)
}

// readOrMake reads a file. Where there is none it is made: as a whole or not at all, and if somebody else is quicker, it
// is theirs that is read.
func readOrMake(path string, mode fs.FileMode, text func() ([]byte, error)) ([]byte, error) {
	data, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return data, err
	}
	if data, err = text(); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}
