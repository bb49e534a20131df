// Package targettls says how server connections are encrypted: the modes are libpq's sslmode, for every engine.
package targettls

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"forebay/internal/resource"
)

// Roots are the authorities of a target's CA file, in PEM; nil where it names none.
func Roots(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("CA file of the target: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", caFile)
	}
	return roots, nil
}

// Config is for a handshake with the server at address, "host:port" or a host alone. roots are the authorities to trust; nil:
// the system's, where the mode verifies.
func Config(address string, mode resource.TLSMode, roots *x509.CertPool) *tls.Config {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	cfg := &tls.Config{
		// The standard check knows one mode only; ours is in VerifyConnection, which runs in its place.
		InsecureSkipVerify: true,
		VerifyConnection:   func(cs tls.ConnectionState) error { return verifyServer(cs, roots, mode, host) },
	}
	if net.ParseIP(host) == nil {
		cfg.ServerName = host
	}
	return cfg
}

// verifyServer checks the chain in the verify modes, and in any mode that is given roots; the name in verify-full.
func verifyServer(cs tls.ConnectionState, roots *x509.CertPool, mode resource.TLSMode, host string) error {
	full := mode == resource.TLSVerifyFull
	if !full && mode != resource.TLSVerifyCA && roots == nil {
		return nil
	}
	if len(cs.PeerCertificates) == 0 {
		return errors.New("server shows no certificate")
	}
	leaf := cs.PeerCertificates[0]
	intermediates := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates}); err != nil {
		return err
	}
	if !full {
		return nil
	}
	return verifyName(leaf, host)
}

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// verifyName compares the host with the certificate's names. As the databases' own clients (libpq), and unlike Go, it looks at the common name of a
// certificate that has no other names: many private database certificates are made so.
func verifyName(leaf *x509.Certificate, host string) error {
	hasNames := slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidSubjectAltName) })
	if !hasNames && leaf.Subject.CommonName != "" {
		named := *leaf
		named.DNSNames = []string{leaf.Subject.CommonName}
		if ip := net.ParseIP(leaf.Subject.CommonName); ip != nil {
			named.IPAddresses = []net.IP{ip}
		}
		leaf = &named
	}
	return leaf.VerifyHostname(host)
}
