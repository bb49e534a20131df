package storm

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
)

// Target says where the clients go and who they are, as read from a URL.
type Target struct {
	Engine   Engine
	Addr     string // host:port
	User     string
	Password string
	Database string
	Params   map[string]string // start-up parameters of PostgreSQL, such as application_name; connection attributes of MySQL; go-mssqldb's parameters for SQL Server
	TLS      *tls.Config       // nil: plain
	TLSMust  bool              // fail if the server declines TLS
	Strict   bool              // TLS before the first byte of the protocol (TDS 8)
}

// Engine is the protocol that a target speaks.
type Engine int

// The engines. MySQL is MariaDB's protocol, too.
const (
	EnginePostgres Engine = iota
	EngineMySQL
	EngineSQLServer
)

// NewProtocol returns the protocol of the target's engine.
func NewProtocol(t Target) (Protocol, error) {
	switch t.Engine {
	case EngineMySQL:
		return NewMySQL(t)
	case EngineSQLServer:
		return NewSQLServer(t)
	default:
		return NewPostgres(t)
	}
}

// dialect is how an engine's people write a target.
type dialect struct {
	schemes  []string
	port     string
	tlsMode  string            // parameter for the mode of TLS
	tlsModes map[string]string // its values in libpq's words; nil: these are libpq's
	tlsWords string            // these values, for people
	tlsCA    string            // parameter for a file with certificates
	refused  []string          // parameters that would be misunderstood
	password string            // environment variable
}

var dialects = map[Engine]dialect{
	EnginePostgres: {
		schemes: []string{"postgres", "postgresql"}, port: "5432", tlsMode: "sslmode", tlsCA: "sslrootcert",
		refused:  []string{"password", "passfile", "sslkey", "sslcert", "sslpassword", "host", "port", "user", "dbname"},
		password: "PGPASSWORD",
	},
	EngineMySQL: {
		schemes: []string{"mysql", "mariadb"}, port: "3306", tlsMode: "ssl-mode", tlsCA: "ssl-ca",
		tlsModes: map[string]string{
			"": "prefer", "DISABLED": "disable", "PREFERRED": "prefer", "REQUIRED": "require",
			"VERIFY_CA": "verify-ca", "VERIFY_IDENTITY": "verify-full",
		},
		tlsWords: "DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY",
		refused: []string{
			"password", "ssl-key", "ssl-cert", "sslmode", "sslrootcert", "tls", "host", "port", "user", "database", "socket",
		},
		password: "MYSQL_PWD",
	},
	EngineSQLServer: {
		schemes: []string{"sqlserver", "mssql"}, port: "1433", tlsMode: "encrypt", tlsCA: "certificate",
		tlsModes: map[string]string{
			"": "prefer", "DISABLE": "disable", "FALSE": "prefer", "OPTIONAL": "prefer", "TRUE": "verify-full", "MANDATORY": "verify-full",
			"STRICT": "verify-full",
		},
		tlsWords: "disable, false, true or strict",
		refused: []string{
			"password", "user id", "server", "port", "database", "tls", "sslmode", "ssl-mode", "authenticator", "protocol", "serverspn",
			"fedauth", "hostnameincertificate", "tlsmin", "failoverpartner", "connection timeout", "dial timeout",
		},
		password: "SQLCMDPASSWORD",
	},
}

// trust is the parameter of SQL Server's people by which a certificate is not looked at.
const trust = "trustservercertificate"

// ParseTarget reads a URL of one of the forms
//
//	postgres://user[:password]@host[:port][/database][?sslmode=...&sslrootcert=...]
//	mysql://user[:password]@host[:port][/database][?ssl-mode=...&ssl-ca=...]
//	sqlserver://user[:password]@host[:port][/database][?encrypt=...&trustServerCertificate=true&certificate=...]
//
// Parameters that are not about TLS go to the server at start-up: as settings to PostgreSQL, as connection attributes to
// MySQL; for SQL Server they are those of the driver's own URLs. Without sslmode, ssl-mode or encrypt, TLS is used if the
// server has it. Without a database, PostgreSQL's is called like the user, and the others have none.
func ParseTarget(s string) (Target, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Target{}, errors.New("target: not a URL") // the parser's own error would show a password
	}
	t := Target{Engine: -1, User: u.User.Username(), Params: map[string]string{}}
	for e, d := range dialects {
		if slices.Contains(d.schemes, u.Scheme) {
			t.Engine = e
		}
	}
	if t.Engine < 0 {
		return Target{}, fmt.Errorf("target: scheme %q: expected postgres, mysql or sqlserver", u.Scheme)
	}
	d := dialects[t.Engine]
	if u.User.Username() == "" || u.Hostname() == "" {
		return Target{}, fmt.Errorf("target: expected %s://user@host:port/database", u.Scheme)
	}
	t.Password, _ = u.User.Password()
	port := u.Port()
	if port == "" {
		port = d.port
	}
	t.Addr = net.JoinHostPort(u.Hostname(), port)
	t.Database = strings.TrimPrefix(u.Path, "/")
	if t.Database == "" && t.Engine == EnginePostgres {
		t.Database = t.User
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Target{}, errors.New("target: bad parameters after the question mark")
	}
	trusts := false
	for name := range query {
		switch {
		case name == d.tlsMode, name == d.tlsCA:
		case t.Engine == EngineSQLServer && strings.EqualFold(name, trust):
			trusts = strings.EqualFold(query.Get(name), "true")
		case slices.Contains(d.refused, strings.ToLower(name)):
			return Target{}, fmt.Errorf("target: parameter %s is not supported", name)
		default:
			t.Params[name] = query.Get(name)
		}
	}
	mode := query.Get(d.tlsMode)
	if d.tlsModes != nil {
		known := false
		if mode, known = d.tlsModes[strings.ToUpper(mode)]; !known {
			return Target{}, fmt.Errorf("target: %s %q: expected %s", d.tlsMode, query.Get(d.tlsMode), d.tlsWords)
		}
	}
	t.Strict = t.Engine == EngineSQLServer && strings.EqualFold(query.Get(d.tlsMode), "strict")
	if trusts && mode == "verify-full" {
		mode = "require"
	}
	return t, t.SetTLS(mode, query.Get(d.tlsCA))
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
			return fmt.Errorf("target: certificates to trust: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("target: no certificate to trust in %s", rootCert)
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
