// Package testcert makes the certificates of a test.
package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority is a CA with one server certificate.
type Authority struct {
	Cert tls.Certificate // the server's
	Pool *x509.CertPool  // with the CA
	File string          // with the CA, in PEM
}

// New makes a CA and lets it sign a certificate for these names, whose common name is localhost. They are good
// for an hour.
func New(t testing.TB, names ...string) Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caBytes, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if ca, err = x509.ParseCertificate(caBytes); err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: names, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
	}
	leafBytes, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := Authority{
		Cert: tls.Certificate{Certificate: [][]byte{leafBytes}, PrivateKey: key},
		Pool: x509.NewCertPool(),
		File: filepath.Join(t.TempDir(), "ca.pem"),
	}
	a.Pool.AddCert(ca)
	if err := os.WriteFile(a.File, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caBytes}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// Server is the configuration of a server with that certificate.
func (a Authority) Server() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{a.Cert}} }
