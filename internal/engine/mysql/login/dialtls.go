package login

import (
	"crypto/tls"
	"fmt"
	"net"

	"forebay/internal/resource"
	"forebay/internal/targettls"
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
	t := tls.Client(conn, targettls.Config(o.Address, mode, o.RootCAs))
	if err := t.Handshake(); err != nil {
		return nil, fmt.Errorf("%w: %w: %w", ErrTLS, errHandshake, unexpected(err))
	}
	return t, nil
}
