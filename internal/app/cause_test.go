package app

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"forebay/internal/controlplane"
	"forebay/internal/dataplane"
	"forebay/internal/engine"
	mysqllogin "forebay/internal/engine/mysql/login"
	postgreslogin "forebay/internal/engine/postgres/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// TestDescribe: each kind of trouble has the contract's reason, and says what to look at.
func TestDescribe(t *testing.T) {
	t.Parallel()
	member := resource.Member{Host: "db.internal", Port: 5432}
	dial := func(err error) error {
		return fmt.Errorf("postgres login to db.internal:5432: server unreachable: %w", &net.OpError{Op: "dial", Net: "tcp", Err: err})
	}
	refused := func(err error) error { return &engine.AnswerError{Err: fmt.Errorf("login: %w", err)} }
	certificate := &x509.Certificate{DNSNames: []string{"db1.example", "db2.example"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}, Issuer: pkix.Name{CommonName: "Shop CA"}}
	for _, tt := range []struct {
		name   string
		err    error // in Err
		no     error // in Refused
		reason string
		says   []string
	}{
		{"name", dial(&net.DNSError{Err: "no such host", Name: "db.internal", IsNotFound: true}), nil, "UNREACHABLE", []string{"db.internal cannot be resolved: no such host"}},
		{"name server", dial(&net.DNSError{Err: "i/o timeout", Name: "db.internal", Server: "10.0.0.53:53", IsTimeout: true}), nil, "UNREACHABLE", []string{"db.internal cannot be resolved", "10.0.0.53:53 does not answer"}},
		{"name server's error", dial(&net.DNSError{Err: "server misbehaving", Name: "db.internal"}), nil, "UNREACHABLE", []string{"db.internal cannot be resolved: server misbehaving"}},
		{"refused", dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), nil, "UNREACHABLE", []string{"db.internal:5432 refuses connections (connection refused)"}},
		{"timeout", dial(context.DeadlineExceeded), nil, "UNREACHABLE", []string{"db.internal:5432 does not answer in time (timeout)"}},
		{"connection timed out", dial(os.NewSyscallError("connect", syscall.ETIMEDOUT)), nil, "UNREACHABLE", []string{"db.internal:5432 does not answer in time (timeout)"}},
		{"no route", dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), nil, "UNREACHABLE", []string{"db.internal:5432 cannot be reached", "no route to host"}},
		{"silence after connecting", fmt.Errorf("login: no answer in time: %w", context.DeadlineExceeded), nil, "CONNECTION_FAILED", []string{"db.internal:5432 takes connections, and does not answer in time"}},
		{"reset", fmt.Errorf("login: %w", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}), nil, "CONNECTION_FAILED", []string{"db.internal:5432", "connection reset by peer"}},
		{"closed", fmt.Errorf("postgres login: server closed the connection: %w", io.ErrUnexpectedEOF), nil, "CONNECTION_FAILED", []string{"server closed the connection"}},
		{
			"another name", fmt.Errorf("%w: handshake: %w", postgreslogin.ErrTLS, x509.HostnameError{Certificate: certificate, Host: "db.internal"}), nil,
			"CONNECTION_FAILED",
			[]string{"TLS: the server's certificate is not for db.internal, but for db1.example, db2.example, 10.0.0.1"},
		},
		{"a name in the subject", x509.HostnameError{Certificate: &x509.Certificate{Subject: pkix.Name{CommonName: "cn.example"}}, Host: "x"}, nil, "CONNECTION_FAILED", []string{"but for cn.example"}},
		{"no name", x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}, nil, "CONNECTION_FAILED", []string{"but for no name at all"}},
		{"unknown authority", fmt.Errorf("handshake: %w", x509.UnknownAuthorityError{Cert: certificate}), nil, "CONNECTION_FAILED", []string{"TLS: ", "authority that is not trusted (issuer CN=Shop CA)"}},
		{"expired", x509.CertificateInvalidError{Cert: certificate, Reason: x509.Expired, Detail: "in 2020"}, nil, "CONNECTION_FAILED", []string{"TLS: ", "not valid", "expired", "in 2020"}},
		{"no TLS there", fmt.Errorf("%w: server does not offer TLS, mode require wants it", mysqllogin.ErrTLS), nil, "CONNECTION_FAILED", []string{"TLS: ", "does not offer TLS"}},
		{"password", nil, refused(&postgreslogin.ServerError{Severity: "FATAL", Code: "28P01", Message: `password authentication failed for user "app"`}), "AUTH_FAILURE", []string{`user "app"`}},
		{"password, MySQL", nil, refused(&mysqllogin.ServerError{Code: 1045, SQLState: "28000", Message: "Access denied for user 'app'@'h'"}), "AUTH_FAILURE", []string{"'app'"}},
		{
			"privilege", nil, refused(&postgreslogin.ServerError{Severity: "FATAL", Code: "42501", Message: `permission denied for database "shop"`, Detail: "User does not have CONNECT privilege."}),
			"AUTH_FAILURE",
			[]string{`permission denied for database "shop"`, "CONNECT privilege"},
		},
		{"privilege, as a monitor's error", &engine.AnswerError{Err: errors.New("the user monitor needs the privilege REPLICATION CLIENT")}, nil, "AUTH_FAILURE", []string{"needs the privilege REPLICATION CLIENT"}},
		{"full", nil, refused(&postgreslogin.ServerError{Code: "53300", Message: "sorry, too many clients already"}), "CONNECTION_FAILED", []string{"too many clients"}},
		{"full, MySQL", nil, refused(&mysqllogin.ServerError{Code: 1040, Message: "Too many connections"}), "CONNECTION_FAILED", []string{"Too many connections"}},
		{"no database", nil, refused(&postgreslogin.ServerError{Code: "3D000", Message: `database "shop" does not exist`}), "CONNECTION_FAILED", []string{`database "shop" does not exist`}},
		{"starts", fmt.Errorf("login: %w", &postgreslogin.ServerError{Severity: "FATAL", Code: "57P03", Message: "the database system is starting up"}), nil, "CONNECTION_FAILED", []string{"starting up"}},
		{"role may not", &dataplane.CredentialsError{Err: fmt.Errorf("%w: arn:x", ErrSecretDenied)}, nil, "AUTH_FAILURE", []string{"No secret can be had", "arn:x"}},
		{"store may not", fmt.Errorf("open: %w", secret.ErrDenied), nil, "AUTH_FAILURE", []string{"access denied"}},
		{"no secret", fmt.Errorf("%w: arn:x", secret.ErrNotFound), nil, "AUTH_FAILURE", []string{"not found: arn:x"}},
		{"sealed", fmt.Errorf("secret arn:x: %w", controlplane.ErrSealed), nil, "AUTH_FAILURE", []string{"arn:x"}},
		{"the store does not answer", &dataplane.CredentialsError{Err: fmt.Errorf("vault: %w", dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)))}, nil, "AUTH_FAILURE", []string{"No secret can be had", "vault"}},
		{"unusable", &dataplane.UnusableError{Reason: "wsrep_local_state is 2 (Donor)"}, nil, "INVALID_REPLICATION_STATE", []string{"wsrep_local_state is 2 (Donor)"}},
		{"anything else", errors.New("greeting of 2 bytes"), nil, "CONNECTION_FAILED", []string{"greeting of 2 bytes"}},
	} {
		state, reason, description := describe(dataplane.TargetHealth{Member: member, Checked: true, Err: tt.err, Refused: tt.no}, false)
		if state != "UNAVAILABLE" || reason != tt.reason || strings.Contains(description, "internal error") {
			t.Errorf("%s: %s %s %q, want UNAVAILABLE %s", tt.name, state, reason, description, tt.reason)
		}
		for _, part := range tt.says {
			if !strings.Contains(description, part) {
				t.Errorf("%s: %q lacks %q", tt.name, description, part)
			}
		}
	}
	for _, tt := range []struct {
		name                       string
		h                          dataplane.TargetHealth
		state, reason, description string
	}{
		{"not asked", dataplane.TargetHealth{Err: errors.New("x")}, "REGISTERING", "", "The target has not been asked yet"},
		{"well", dataplane.TargetHealth{Checked: true}, "AVAILABLE", "", ""},
		{"no auth entry", dataplane.TargetHealth{Checked: true, Err: &dataplane.CredentialsError{Err: secret.ErrNotFound}}, "UNAVAILABLE", "AUTH_FAILURE", "Proxy does not have any registered credentials"},
	} {
		if state, reason, description := describe(tt.h, true); state != tt.state || reason != tt.reason || description != tt.description {
			t.Errorf("%s: %s, %s, %q", tt.name, state, reason, description)
		}
	}
}
