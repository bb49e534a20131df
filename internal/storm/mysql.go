package storm

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// tooManyConnections is ER_CON_COUNT_ERROR.
const tooManyConnections = 1040

// MySQL is the Protocol of MySQL and MariaDB. One value serves all clients of a storm.
type MySQL struct {
	connector driver.Connector
}

// NewMySQL returns the protocol for a target.
func NewMySQL(t Target) (*MySQL, error) {
	c := mysql.NewConfig()
	c.Net, c.Addr = "tcp", t.Addr
	c.User, c.Passwd, c.DBName = t.User, t.Password, t.Database
	c.TLS, c.AllowFallbackToPlaintext = t.TLS, !t.TLSMust
	c.AllowCleartextPasswords = t.TLS != nil && t.TLSMust // the server's wish alone must not make it readable on the way
	c.MaxAllowedPacket = maxMessage
	c.Logger = &mysql.NopLogger{} // what it would say comes back as an error too
	c.DialFunc = dialNoted
	attributes := []string{"program_name:forebay storm"}
	for _, name := range slices.Sorted(maps.Keys(t.Params)) {
		if strings.ContainsAny(name+t.Params[name], ",:") {
			return nil, fmt.Errorf("target: connection attribute %s: no comma and no colon, please", name)
		}
		attributes = append(attributes, name+":"+t.Params[name])
	}
	c.ConnectionAttributes = strings.Join(attributes, ",")
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, errors.New("target: not one for MySQL") // not %w: it could quote a password
	}
	return &MySQL{connector: connector}, nil
}

// Describe implements Protocol. The code is the error's number and its SQLSTATE, as in "1040 (08004)".
func (m *MySQL) Describe(err error) (code, text string) {
	var se *mysql.MySQLError
	switch {
	case errors.As(err, &se):
		state := string(se.SQLState[:])
		if se.SQLState == [5]byte{} {
			// A server that turns somebody away before its greeting does not always say it, not even the same server.
			if state = "HY000"; se.Number == tooManyConnections {
				state = "08004"
			}
		}
		return fmt.Sprintf("%d (%s)", se.Number, state), shorten(se.Message)
	case errors.Is(err, mysql.ErrNoTLS):
		return "", "server does not offer TLS"
	case errors.Is(err, mysql.ErrCleartextPassword):
		return "", "server wants the password unencrypted, without TLS"
	case errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, mysql.ErrMalformPkt), errors.Is(err, mysql.ErrPktSync),
		errors.Is(err, mysql.ErrPktSyncMul):
		return "", "server does not speak the MySQL protocol"
	}
	return "", describeNetwork(err)
}

// mysqlSession is one logged-in client.
type mysqlSession struct {
	noting
	conn driver.Conn
}

// Connect implements Protocol.
func (m *MySQL) Connect(ctx context.Context) (Session, error) {
	s := new(mysqlSession)
	conn, err := m.connector.Connect(context.WithValue(ctx, notingKey{}, &s.noting))
	if err != nil {
		return nil, s.reason(ctx, err)
	}
	s.conn = conn
	return s, nil
}

// Run implements Session.
func (s *mysqlSession) Run(ctx context.Context, statement string) error {
	return s.reason(ctx, readAll(s.conn.(driver.QueryerContext).QueryContext(ctx, statement, nil)))
}

// Close implements Session.
func (s *mysqlSession) Close() {
	_ = s.conn.Close() // the server may be gone already, which is all the same now
}

// reason finds out why a client failed.
func (s *mysqlSession) reason(ctx context.Context, err error) error {
	var se *mysql.MySQLError
	if err == nil || errors.As(err, &se) {
		return err
	}
	return s.noting.reason(ctx, err)
}
