package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"forebay/internal/controlplane"
	"forebay/internal/dataplane"
	"forebay/internal/engine"
	mysqllogin "forebay/internal/engine/mysql/login"
	postgreslogin "forebay/internal/engine/postgres/login"
	"forebay/internal/secret"
)

// Reasons of a target that is not AVAILABLE (contract section 1.3).
const (
	unreachable      = "UNREACHABLE"
	connectionFailed = "CONNECTION_FAILED"
	authFailure      = "AUTH_FAILURE"
	invalidState     = "INVALID_REPLICATION_STATE"
)

// describe says how a member is: its state, and if that is not AVAILABLE why, with the cause in words. noAuth: the proxy has no
// auth entry.
func describe(t dataplane.TargetHealth, noAuth bool) (state, reason, description string) {
	err := t.Err
	if err == nil {
		err = t.Refused
	}
	switch {
	case !t.Checked:
		return "REGISTERING", "", "The target has not been asked yet"
	case err == nil:
		return "AVAILABLE", "", ""
	case noAuth && errors.Is(err, secret.ErrNotFound):
		return "UNAVAILABLE", authFailure, "Proxy does not have any registered credentials"
	}
	reason, description = cause(err, t.Member.Host, t.Member.Address())
	return "UNAVAILABLE", reason, description
}

// cause finds the reason of an error, and says it in words that name what to look at. What came last decides: a name that is not
// found before a connection that fails, and that before what the server says.
func cause(err error, host, address string) (reason, description string) {
	var unusable *dataplane.UnusableError
	var credentials *dataplane.CredentialsError
	switch {
	case errors.As(err, &unusable):
		return invalidState, "The server answers, and no session may go there: " + unusable.Reason
	case errors.As(err, &credentials), errors.Is(err, ErrSecretDenied), errors.Is(err, secret.ErrDenied), errors.Is(err, secret.ErrNotFound),
		errors.Is(err, controlplane.ErrSealed):
		return authFailure, "No secret can be had to log in by: " + err.Error()
	}
	if errors.Is(err, engine.ErrNoToken) {
		return authFailure, err.Error()
	}
	if description := tlsCause(err, host); description != "" {
		return connectionFailed, description
	}
	if description := networkCause(err, host, address); description != "" {
		return unreachable, description
	}
	if reason, description := answerCause(err); reason != "" {
		return reason, description
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return connectionFailed, fmt.Sprintf("%s takes connections, and does not answer in time: %v", address, err)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return connectionFailed, fmt.Sprintf("%s takes connections, and ends them: connection reset by peer", address)
	}
	return connectionFailed, err.Error()
}

// networkCause is why nobody is reached; empty: that is not why.
func networkCause(err error, host, address string) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("The host name %s cannot be resolved: no such host", host)
	case errors.As(err, &dns) && dns.IsTimeout:
		return fmt.Sprintf("The host name %s cannot be resolved: the name server %s does not answer in time", host, dns.Server)
	case errors.As(err, &dns):
		return fmt.Sprintf("The host name %s cannot be resolved: %s", host, dns.Err)
	case !errors.As(err, &op) || op.Op != "dial":
		return ""
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("%s refuses connections (connection refused): nothing listens there", address)
	case op.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("%s does not answer in time (timeout): nothing is there, or something on the way drops what is sent there", address)
	}
	return fmt.Sprintf("%s cannot be reached: %v", address, op.Err)
}

// tlsCause is what is wrong about the server's certificate, or about TLS at all; empty: nothing.
func tlsCause(err error, host string) string {
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	const tls = "TLS: the server's certificate "
	switch {
	case errors.As(err, &name):
		return fmt.Sprintf(tls+"is not for %s, but for %s", host, namesOf(name.Certificate))
	case errors.As(err, &authority):
		return fmt.Sprintf(tls+"is of an authority that is not trusted (issuer %s): declare that authority, or the one above it", issuerOf(authority.Cert))
	case errors.As(err, &invalid):
		return fmt.Sprintf(tls+"is not valid: %v", invalid)
	case errors.Is(err, postgreslogin.ErrTLS), errors.Is(err, mysqllogin.ErrTLS):
		return "TLS: " + err.Error()
	}
	return ""
}

// namesOf are the names that a certificate is for.
func namesOf(c *x509.Certificate) string {
	if c == nil {
		return "another name"
	}
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 && c.Subject.CommonName != "" {
		names = append(names, c.Subject.CommonName)
	}
	if len(names) == 0 {
		return "no name at all"
	}
	return strings.Join(names, ", ")
}

func issuerOf(c *x509.Certificate) string {
	if c == nil {
		return "unknown"
	}
	return c.Issuer.String()
}

// answerCause is what a server has said that would not have us; empty: it has said nothing of the kind.
func answerCause(err error) (reason, description string) {
	var answered *engine.AnswerError
	if !errors.As(err, &answered) {
		return "", ""
	}
	description = "The server answers, and refuses: " + err.Error()
	var pg *postgreslogin.ServerError
	if errors.As(err, &pg) && pg.Detail != "" {
		description += " (" + pg.Detail + ")"
	}
	for _, other := range []error{
		postgreslogin.ErrTooManyConnections, mysqllogin.ErrTooManyConnections, postgreslogin.ErrNoDatabase, mysqllogin.ErrNoDatabase,
	} {
		if errors.Is(err, other) {
			return connectionFailed, description
		}
	}
	return authFailure, description
}
