//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"forebay/internal/storm"
)

// clientTLS does not verify, as libpq with sslmode=require. No session is resumed: each log-in is a whole one.
func clientTLS(protocols ...string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}
}

// protocol is the database's client, going to a peer.
func (w *world) protocol(p *peer, encrypted bool) (storm.Protocol, error) {
	return w.db.protocol(p.portFor(encrypted), encrypted)
}

// churnRun is clients that log in and leave, 16 at a time.
type churnRun struct{ tls bool }

func (r churnRun) measure(ctx context.Context, w *world, p *peer) ([]sample, error) {
	proto, err := w.protocol(p, r.tls)
	if err != nil {
		return nil, err
	}
	first, err := proto.Connect(ctx) // keys are derived, a server connection may be opened
	if err != nil {
		return nil, err
	}
	first.Close()
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	var done atomic.Int64
	errs := make(chan error, 16)
	start := time.Now()
	var wg sync.WaitGroup
	for range cap(errs) {
		wg.Go(func() {
			for time.Since(start) < w.o.duration && ctx.Err() == nil {
				s, err := proto.Connect(ctx)
				if err != nil {
					errs <- err
					return
				}
				s.Close()
				done.Add(1)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	select {
	case err := <-errs:
		return nil, err
	default:
	}
	after, err := p.cpu()
	if err != nil {
		return nil, err
	}
	n := float64(done.Load())
	s := []sample{{mConnects, n / elapsed.Seconds()}}
	if p.proc != nil {
		s = append(s, sample{mConnCPU, float64((after - before).Microseconds()) / 1000 / n})
	}
	return s, nil
}

// trickleRun is one client after another at a modest rate, as functions come that are called now and then: each logs in,
// runs one statement and leaves, and the proxy sleeps in between.
type trickleRun struct{ tls bool }

// trickleRate is in clients per second.
const trickleRate = 100

func (r trickleRun) measure(ctx context.Context, w *world, p *peer) ([]sample, error) {
	proto, err := w.protocol(p, r.tls)
	if err != nil {
		return nil, err
	}
	visit := func() error {
		s, err := proto.Connect(ctx)
		if err != nil {
			return err
		}
		defer s.Close()
		return s.Run(ctx, "SELECT 1")
	}
	if err := visit(); err != nil { // keys are derived, a server connection is opened
		return nil, err
	}
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(time.Second / trickleRate)
	defer tick.Stop()
	n := 0
	for start := time.Now(); time.Since(start) < w.o.duration; n++ {
		<-tick.C
		if err := visit(); err != nil {
			return nil, err
		}
	}
	after, err := p.cpu()
	if err != nil || p.proc == nil {
		return nil, err
	}
	return []sample{{mConnCPU, float64((after - before).Microseconds()) / 1000 / float64(n)}}, nil
}

// stormRun is many clients at the same moment.
type stormRun struct{ tls bool }

func (r stormRun) measure(ctx context.Context, w *world, p *peer) ([]sample, error) {
	proto, err := w.protocol(p, r.tls)
	if err != nil {
		return nil, err
	}
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	res, err := storm.Run(ctx, proto, storm.Options{Clients: 2000, Statement: "SELECT 1", Timeout: 2 * time.Minute}, nil)
	if err != nil {
		return nil, err
	}
	after, err := p.cpu()
	if err != nil {
		return nil, err
	}
	for _, e := range res.Errors {
		fmt.Printf("  %s: %d x %s\n", p.name, e.Count, e)
	}
	return []sample{{mStorm, res.Elapsed.Seconds()}, {mStormCPU, (after - before).Seconds()}, {mFailed, float64(res.Failed)}}, ctx.Err()
}
