package storm

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
)

// SQLServer is the Protocol of SQL Server. One value serves all clients of a storm.
type SQLServer struct {
	config msdsn.Config
}

// NewSQLServer returns the protocol for a target.
func NewSQLServer(t Target) (*SQLServer, error) {
	q := url.Values{"app name": {"forebay storm"}, "encrypt": {"disable"}}
	switch {
	case t.Strict:
		q.Set("encrypt", "strict")
	case t.TLSMust:
		q.Set("encrypt", "true")
	case t.TLS != nil:
		q.Set("encrypt", "false") // the log-in is encrypted, and the rest if the server wants that
	}
	if t.Database != "" {
		q.Set("database", t.Database)
	}
	for name, value := range t.Params {
		q.Set(name, value)
	}
	u := url.URL{Scheme: "sqlserver", User: url.UserPassword(t.User, t.Password), Host: t.Addr, RawQuery: q.Encode()}
	c, err := msdsn.Parse(u.String())
	if err != nil {
		return nil, errors.New("target: not one for SQL Server") // not %w: it could quote a password
	}
	if t.TLS != nil {
		c.TLSConfig = t.TLS.Clone()
		c.TLSConfig.DynamicRecordSizingDisabled = true // a record of the handshake is in one packet of the protocol
		if t.Strict {
			c.TLSConfig.NextProtos = []string{"tds/8.0"}
		} else {
			// Inside packets there is no TLS 1.3: to offer it would only fill the hello with key shares that nobody takes.
			c.TLSConfig.MaxVersion = tls.VersionTLS12
		}
	}
	c.DialTimeout, c.DisableRetry = -1, true // the storm has a time limit of its own
	return &SQLServer{config: c}, nil
}

// noter dials for the driver.
type noter struct{}

// DialContext implements mssql.Dialer.
func (noter) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return dialNoted(ctx, network, addr)
}

// Describe implements Protocol. The code is the error's number and its state, as in "18456 (state 1)".
func (s *SQLServer) Describe(err error) (code, text string) {
	var se mssql.Error
	if errors.As(err, &se) {
		return fmt.Sprintf("%d (state %d)", se.Number, se.State), shorten(se.Message)
	}
	return "", describeNetwork(err)
}

// sqlServerSession is one logged-in client.
type sqlServerSession struct {
	noting
	conn driver.Conn
}

// Connect implements Protocol.
func (s *SQLServer) Connect(ctx context.Context) (Session, error) {
	one := new(sqlServerSession)
	c := s.config
	if c.TLSConfig != nil {
		c.TLSConfig = c.TLSConfig.Clone() // the driver writes into it
	}
	connector := mssql.NewConnectorConfig(c)
	connector.Dialer = noter{}
	conn, err := connector.Connect(context.WithValue(ctx, notingKey{}, &one.noting))
	if err != nil {
		return nil, one.reason(ctx, err)
	}
	one.conn = conn
	return one, nil
}

// Run implements Session.
func (s *sqlServerSession) Run(ctx context.Context, statement string) error {
	if statement == begin {
		statement = "BEGIN TRANSACTION" // BEGIN alone is the start of a block
	}
	stmt, err := s.conn.Prepare(statement)
	if err != nil {
		return s.reason(ctx, err)
	}
	defer stmt.Close()
	return s.reason(ctx, readAll(stmt.(driver.StmtQueryContext).QueryContext(ctx, nil)))
}

// Close implements Session.
func (s *sqlServerSession) Close() {
	_ = s.conn.Close() // the server may be gone already, which is all the same now
}

// reason finds out why a client failed.
func (s *sqlServerSession) reason(ctx context.Context, err error) error {
	var se mssql.Error
	if err == nil || errors.As(err, &se) {
		return err
	}
	return s.noting.reason(ctx, err)
}
