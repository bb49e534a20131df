package login

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"slices"

	"forebay/internal/resource"
	"forebay/internal/wire/mysqlwire"
)

// wantsTLS decides by the mode (libpq's sslmode) and by what the server offers.
func wantsTLS(mode resource.TLSMode, offered mysqlwire.Capability) (bool, error) {
	has := offered.Has(mysqlwire.ClientSSL)
	switch mode {
	case resource.TLSDisable:
		return false, nil
	case "", resource.TLSPrefer:
		return has, nil
	case resource.TLSRequire, resource.TLSVerifyCA, resource.TLSVerifyFull:
		if !has {
			return false, fmt.Errorf("%w: server does not offer TLS, mode %s wants it", ErrTLS, mode)
		}
		return true, nil
	}
	return false, fmt.Errorf("%w: unknown mode %q", ErrTLS, mode)
}

func clientHandshake(conn net.Conn, o DialOptions, mode resource.TLSMode) (*tls.Conn, error) {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		host = o.Address
	}
	cfg := &tls.Config{
		// The standard check knows one mode only; ours is in VerifyConnection, which runs in its place.
		InsecureSkipVerify: true,
		VerifyConnection:   func(cs tls.ConnectionState) error { return verifyServer(cs, o.RootCAs, mode, host) },
	}
	if net.ParseIP(host) == nil {
		cfg.ServerName = host
	}
	t := tls.Client(conn, cfg)
	if err := t.Handshake(); err != nil {
		return nil, fmt.Errorf("%w: %w: %w", ErrTLS, errHandshake, unexpected(err))
	}
	return t, nil
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

// verifyName compares the host with the certificate's names. As the servers' own clients, and unlike Go, it looks at the
// common name of a certificate that has no other names: many private database certificates are made so.
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
