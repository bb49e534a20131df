package storm

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
)

// Target says where the clients go and who they are, as read from a URL.
type Target struct {
	Addr     string // host:port
	User     string
	Password string
	Database string
	Params   map[string]string // further start-up parameters, such as application_name
	TLS      *tls.Config       // nil: plain
	TLSMust  bool              // fail if the server declines TLS
}

// ParseTarget reads postgres://user[:password]@host[:port][/database][?sslmode=...&sslrootcert=...]. Parameters that
// are not about TLS go to the server at start-up. Without sslmode, TLS is used if the server has it ("prefer").
func ParseTarget(s string) (Target, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Target{}, errors.New("target: not a URL") // the parser's own error would show a password
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return Target{}, fmt.Errorf("target: scheme %q: expected postgres", u.Scheme)
	}
	if u.User.Username() == "" || u.Hostname() == "" {
		return Target{}, errors.New("target: expected postgres://user@host:port/database")
	}
	t := Target{User: u.User.Username(), Params: map[string]string{}}
	t.Password, _ = u.User.Password()
	port := u.Port()
	if port == "" {
		port = "5432"
	}
	t.Addr = net.JoinHostPort(u.Hostname(), port)
	if t.Database = u.Path; t.Database != "" {
		t.Database = t.Database[1:]
	}
	if t.Database == "" {
		t.Database = t.User
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Target{}, errors.New("target: bad parameters after the question mark")
	}
	for name := range query {
		switch name {
		case "sslmode", "sslrootcert":
		case "password", "passfile", "sslkey", "sslcert", "sslpassword", "host", "port", "user", "dbname":
			return Target{}, fmt.Errorf("target: parameter %s is not supported", name)
		default:
			t.Params[name] = query.Get(name)
		}
	}
	return t, t.SetTLS(query.Get("sslmode"), query.Get("sslrootcert"))
}

// SetTLS sets how the connection is encrypted, in the words of libpq's sslmode. rootCert is a PEM file, "" for the
// system's own certificates.
func (t *Target) SetTLS(mode, rootCert string) error {
	host, _, err := net.SplitHostPort(t.Addr)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	conf := &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	switch mode {
	case "disable":
		t.TLS, t.TLSMust = nil, false
		return nil
	case "", "allow", "prefer":
		t.TLS, t.TLSMust = conf, false
		return nil
	case "require":
		t.TLS, t.TLSMust = conf, true
		return nil
	case "verify-ca", "verify-full":
	default:
		return fmt.Errorf("target: sslmode %q: expected disable, prefer, require, verify-ca or verify-full", mode)
	}
	if rootCert != "" {
		pem, err := os.ReadFile(rootCert)
		if err != nil {
			return fmt.Errorf("target: sslrootcert: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("target: sslrootcert %s: no certificate in it", rootCert)
		}
	}
	if mode == "verify-full" {
		conf.InsecureSkipVerify = false
	} else {
		conf.VerifyConnection = verifyChain(conf.RootCAs)
	}
	t.TLS, t.TLSMust = conf, true
	return nil
}

// verifyChain checks who signed a certificate, not whose name is on it.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		rest := x509.NewCertPool()
		for _, c := range cs.PeerCertificates[1:] {
			rest.AddCert(c)
		}
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: rest})
		return err
	}
}
