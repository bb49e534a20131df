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

	"github.com/xdg-go/scram"
)

// sslRequest is the whole packet.
var sslRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}

// secured is a connection after the agreement about TLS.
type secured struct {
	conn    net.Conn
	tls     *tls.Conn // nil: plaintext
	binding scram.ChannelBinding
}

// negotiateTLS asks the server for TLS as the mode says (libpq's sslmode).
func negotiateTLS(conn net.Conn, o DialOptions, mode resource.TLSMode) (*secured, error) {
	switch mode {
	case resource.TLSDisable:
		return &secured{conn: conn}, nil
	case "", resource.TLSPrefer, resource.TLSRequire, resource.TLSVerifyCA, resource.TLSVerifyFull:
	default:
		return nil, fmt.Errorf("%w: unknown mode %q", ErrTLS, mode)
	}
	if _, err := conn.Write(sslRequest); err != nil {
		return nil, ioError(err)
	}
	// Room for one byte more than the answer: a second byte in the clear was not sent by a server that keeps to the
	// protocol (CVE-2021-23222). Later ones stay in the socket and break the handshake.
	var answer [2]byte
	n, err := conn.Read(answer[:])
	if n == 0 {
		return nil, ioError(err)
	}
	switch {
	case answer[0] == 'S' && n > 1:
		return nil, fmt.Errorf("%w: unencrypted data behind the answer to SSLRequest", ErrProtocol)
	case answer[0] == 'S':
		return handshake(conn, o, mode)
	case answer[0] == 'N' && n > 1:
		return nil, fmt.Errorf("%w: data behind the answer to SSLRequest", ErrProtocol)
	case answer[0] == 'N':
		if prefers(mode) {
			return &secured{conn: conn}, nil
		}
		return nil, fmt.Errorf("%w: server does not offer TLS, mode %s wants it", ErrTLS, mode)
	case answer[0] == 'E':
		// A server too old to know SSLRequest, or one that could not start a process. The text that follows is not
		// read: nobody has vouched for it (CVE-2024-10977).
		return nil, fmt.Errorf("%w: server answered SSLRequest with an error", ErrTLS)
	}
	return nil, fmt.Errorf("%w: answer %q to SSLRequest", ErrProtocol, answer[0])
}

func handshake(conn net.Conn, o DialOptions, mode resource.TLSMode) (*secured, error) {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		host = o.Address
	}
	cfg := &tls.Config{
		NextProtos: []string{alpnProtocol},
		// The standard check knows one mode only; ours is in VerifyConnection, which runs in its place.
		InsecureSkipVerify: true,
		VerifyConnection:   func(cs tls.ConnectionState) error { return verifyServer(cs, o.RootCAs, mode, host) },
	}
	if net.ParseIP(host) == nil {
		cfg.ServerName = host
	}
	t := tls.Client(conn, cfg)
	if err := t.Handshake(); err != nil {
		return nil, fmt.Errorf("%w: handshake: %w", ErrTLS, unexpected(err))
	}
	s := &secured{conn: t, tls: t}
	if certs := t.ConnectionState().PeerCertificates; len(certs) > 0 {
		s.binding = endpointBinding(certs[0])
	}
	return s, nil
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

// verifyName compares the host with the certificate's names. As libpq, and unlike Go, it looks at the common name of a
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
