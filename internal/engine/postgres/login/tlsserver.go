package login

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/xdg-go/scram"
)

// alpnProtocol is PostgreSQL's name in the TLS handshake; direct TLS requires it.
const alpnProtocol = "postgresql"

// ServerTLS is a TLS configuration for Accept, prepared once. It is immutable: to show another certificate, make
// another and pass that from then on.
type ServerTLS struct {
	config  *tls.Config
	binding scram.ChannelBinding // not supported (no -PLUS offered) for certificates without a hash of their own
}

// NewServerTLS prepares cfg, which is copied. It must hold exactly one certificate and no callback that chooses another:
// channel binding (tls-server-end-point, RFC 5929) needs to know which one the client has seen. For the same reason, and
// because PostgreSQL's clients never resume, session tickets are off as in the server.
func NewServerTLS(cfg *tls.Config) (*ServerTLS, error) {
	if len(cfg.Certificates) != 1 || cfg.GetCertificate != nil || cfg.GetConfigForClient != nil {
		return nil, errors.New("postgres login: TLS needs exactly one certificate, given in advance")
	}
	cfg = cfg.Clone()
	cfg.NextProtos = []string{alpnProtocol}
	cfg.SessionTicketsDisabled = true
	cert := &cfg.Certificates[0]
	if len(cert.Certificate) == 0 {
		return nil, errors.New("postgres login: TLS certificate is empty")
	}
	leaf := cert.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, fmt.Errorf("postgres login: TLS certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{*cert}
		cfg.Certificates[0].Leaf = leaf
	}
	return &ServerTLS{config: cfg, binding: endpointBinding(leaf)}, nil
}

// endpointBinding is the certificate's hash by RFC 5929 section 4.1: its signature's hash function, SHA-256 in place of
// MD5 and SHA-1. Signatures without one (Ed25519) have no binding, in PostgreSQL as here.
func endpointBinding(leaf *x509.Certificate) scram.ChannelBinding {
	b, err := scram.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}})
	if err != nil {
		return scram.ChannelBinding{}
	}
	return b
}
