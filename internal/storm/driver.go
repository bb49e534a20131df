package storm

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"sync/atomic"
)

// readAll reads what a statement has returned to its end.
func readAll(rows driver.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for {
		row := make([]driver.Value, len(rows.Columns()))
		for err == nil {
			err = rows.Next(row)
		}
		more, ok := rows.(driver.RowsNextResultSet)
		switch {
		case !errors.Is(err, io.EOF):
			return err
		case !ok || !more.HasNextResultSet():
			return nil
		}
		if err = more.NextResultSet(); errors.Is(err, io.EOF) {
			return nil // what came after the rows had none
		}
	}
}

// noting is the part of a session that knows its connection.
type noting struct {
	net *notedConn
}

// notingKey is the context key under which Connect tells dialNoted for whom it dials.
type notingKey struct{}

// reason finds out why a client failed with an error that is not the database's: a driver says little more of a broken
// connection than that it is one.
func (s *noting) reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if s.net != nil {
		if noted := s.net.failed.Load(); noted != nil {
			return *noted
		}
	}
	return err
}

// notedConn is a connection that remembers its first failure.
type notedConn struct {
	net.Conn
	failed atomic.Pointer[error] // a driver may close from a goroutine of its own
}

func dialNoted(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &notedConn{Conn: conn}
	if s, ok := ctx.Value(notingKey{}).(*noting); ok {
		s.net = c
	}
	return c, nil
}

func (c *notedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.note(err)
}

func (c *notedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.note(err)
}

func (c *notedConn) note(err error) error {
	if err != nil {
		c.failed.CompareAndSwap(nil, &err)
	}
	return err
}
