package login

import (
	"crypto/tls"
	"fmt"
	"net"

	"forebay/internal/resource"
	"forebay/internal/targettls"

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
	cfg := targettls.Config(o.Address, mode, o.RootCAs)
	cfg.NextProtos = []string{alpnProtocol}
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
