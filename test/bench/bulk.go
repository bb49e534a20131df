//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// bulkRun is one client that fetches results of 100 MB, one after the other.
type bulkRun struct{ tls bool }

// bulkRows and bulkWidth make the result: 100,000 rows of 1,000 bytes.
const (
	bulkRows  = 100_000
	bulkWidth = 1000
)

func (r bulkRun) measure(ctx context.Context, w *world, p *peer) ([]sample, error) {
	conn, err := w.pg.rawConn(ctx, p.port, r.tls)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	query, err := (&pgproto3.Query{String: fmt.Sprintf("SELECT repeat('x', %d) FROM generate_series(1, %d)", bulkWidth, bulkRows)}).Encode(nil)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 256<<10)
	if _, err := fetch(conn, query, buf); err != nil { // the first one warms up
		return nil, err
	}
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	var bytes int64
	start := time.Now()
	for time.Since(start) < w.o.duration {
		n, err := fetch(conn, query, buf)
		if err != nil {
			return nil, err
		}
		bytes += n
	}
	elapsed := time.Since(start)
	after, err := p.cpu()
	if err != nil {
		return nil, err
	}
	s := []sample{{mThrough, float64(bytes) / 1e6 / elapsed.Seconds()}}
	if p.proc != nil {
		s = append(s, sample{mCPUGB, (after - before).Seconds() / float64(bytes) * 1e9})
	}
	return s, nil
}

// rawConn logs in and gives the bare connection: a client that looks at each row costs more than some proxies.
func (p *postgres) rawConn(ctx context.Context, port int, encrypted bool) (net.Conn, error) {
	conf, err := pgconn.ParseConfig("host=127.0.0.1 sslmode=disable")
	if err != nil {
		return nil, errors.New("a PG environment variable is wrong") // not %w: it could quote a password
	}
	conf.Port, conf.Fallbacks = uint16(port), nil
	conf.User, conf.Password, conf.Database = p.scram.name, p.scram.password, databaseName
	conf.RuntimeParams = map[string]string{}
	if encrypted {
		conf.TLSConfig = clientTLS("postgresql")
	}
	c, err := pgconn.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, err
	}
	h, err := c.Hijack()
	if err != nil {
		return nil, err
	}
	return h.Conn, nil
}

// fetch sends a query and reads up to its ReadyForQuery, counting bytes. The rows hold nothing that looks like one.
func fetch(conn net.Conn, query, buf []byte) (int64, error) {
	if _, err := conn.Write(query); err != nil {
		return 0, err
	}
	ready := [6]byte{'Z', 0, 0, 0, 5, 'I'}
	var last [6]byte
	var total int64
	for last != ready {
		n, err := conn.Read(buf)
		if err != nil {
			return 0, fmt.Errorf("after %d bytes of a result: %w", total, err)
		}
		total += int64(n)
		if n >= len(last) {
			copy(last[:], buf[n-len(last):n])
		} else {
			copy(last[:], last[n:])
			copy(last[len(last)-n:], buf[:n])
		}
	}
	if total < bulkRows*bulkWidth {
		return 0, fmt.Errorf("a result of only %d bytes: %q", total, buf[:min(total, 200)])
	}
	return total, nil
}
