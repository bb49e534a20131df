//go:build linux

package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// sqlserverScenarios lists SQL Server's, in the order of the report. Their names begin with the engine's.
func sqlserverScenarios() []scenario {
	var all []scenario
	add := func(name, title string, fits func(*peer) bool, run func(context.Context, *world, *peer) ([]sample, error)) {
		all = append(all, scenario{name: "sqlserver-" + name, title: title, fits: fits, run: run})
	}
	for _, rpc := range []bool{false, true} {
		name, title := "batch", "point select, SQL batch"
		if rpc {
			name, title = "rpc", "point select, sp_executesql"
		}
		for _, clients := range []int{1, 16, 100, 1000} {
			fits := anyPeer
			if clients > 16 { // the server's limit is not ours to set
				fits = poolers
			}
			add(fmt.Sprintf("%s-%d", name, clients), fmt.Sprintf("%s, clients: %d", title, clients), fits, pointRun{clients: clients, rpc: rpc}.measure)
		}
	}
	add("tls-batch-16", "point select, SQL batch over TLS, clients: 16", anyPeer, pointRun{clients: 16, tls: true}.measure)
	for _, tls := range []bool{false, true} {
		suffix := ""
		if tls {
			suffix = "-tls"
		}
		add("churn"+suffix, withTLS("log-ins, 16 at once", tls), anyPeer, churnRun{tls}.measure)
		add("trickle"+suffix, withTLS(fmt.Sprintf("%d clients a second, one after another, one SELECT each", trickleRate), tls), proxies, trickleRun{tls}.measure)
		add("storm"+suffix, withTLS("2,000 clients at once, one SELECT each", tls), poolers, stormRun{tls}.measure)
		add("idle"+suffix, withTLS("idle clients", tls), poolers, idleRun{tls}.measure)
		all[len(all)-1].once = true
	}
	return all
}

// pointRun is clients that read one row after another by its key.
type pointRun struct {
	clients int
	rpc     bool // with a parameter, by sp_executesql
	tls     bool
}

func (r pointRun) measure(ctx context.Context, w *world, p *peer) ([]sample, error) {
	c, err := w.ms.connector(p.portFor(r.tls), r.tls)
	if err != nil {
		return nil, err
	}
	conns := make([]driver.Conn, r.clients)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close()
			}
		}
	}()
	for i := range conns {
		conn, err := c.Connect(ctx)
		if err != nil { // then conn is no nil interface
			return nil, err
		}
		conns[i] = conn
		if err := r.read(ctx, conns[i]); err != nil {
			return nil, err
		}
	}
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	var done atomic.Int64
	errs := make(chan error, len(conns))
	start := time.Now()
	var wg sync.WaitGroup
	for _, conn := range conns {
		wg.Go(func() {
			for time.Since(start) < w.o.duration && ctx.Err() == nil {
				if err := r.read(ctx, conn); err != nil {
					errs <- err
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	after, err := p.cpu()
	select {
	case err = <-errs:
	default:
	}
	if err != nil {
		return nil, err
	}
	n := float64(done.Load())
	s := []sample{{mTPS, n / elapsed.Seconds()}}
	if p.proc != nil {
		s = append(s, sample{mTxCPU, (after - before).Seconds() / n * 1000})
	}
	return s, nil
}

// read reads one row.
func (r pointRun) read(ctx context.Context, conn driver.Conn) error {
	id := int64(rand.IntN(tableRows) + 1)
	text, args := fmt.Sprintf("SELECT filler FROM %s WHERE id = %d", benchTable, id), []driver.NamedValue(nil)
	if r.rpc {
		text, args = "SELECT filler FROM "+benchTable+" WHERE id = @p1", []driver.NamedValue{{Ordinal: 1, Value: id}}
	}
	stmt, err := conn.Prepare(text)
	if err != nil {
		return err
	}
	defer stmt.Close()
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	row := make([]driver.Value, 1)
	n := 0
	for err = rows.Next(row); err == nil; err = rows.Next(row) {
		n++
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if n != 1 {
		return fmt.Errorf("%d rows with the key %d", n, id)
	}
	return nil
}
