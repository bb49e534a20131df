//go:build linux

package main

import (
	"context"
	"sync"
	"time"

	"forebay/internal/storm"
	"forebay/test/program"
)

// idleRun is clients that have logged in, have run one statement and do nothing more.
type idleRun struct{ tls bool }

// settle is how long a proxy has to give memory back.
const settle = 6 * time.Second

func (r idleRun) measure(ctx context.Context, w *world, p *peer) ([]sample, error) {
	if err := p.restart(); err != nil {
		return nil, err
	}
	proto, err := w.protocol(p, r.tls)
	if err != nil {
		return nil, err
	}
	c := &crowd{proto: proto}
	defer c.close()
	if err := c.grow(ctx, 1); err != nil { // opens the first server connection
		return nil, err
	}
	c.close()
	empty, err := c.resident(ctx, p)
	if err != nil {
		return nil, err
	}
	samples := []sample{{mEmpty, empty}}
	few := min(1000, w.o.idleClients)
	if err := c.grow(ctx, few); err != nil {
		return nil, err
	}
	rss, err := c.resident(ctx, p)
	if err != nil {
		return nil, err
	}
	samples = append(samples, sample{mFew, (rss - empty) / float64(few)})
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, 10*time.Second); err != nil {
		return nil, err
	}
	after, err := p.cpu()
	if err != nil {
		return nil, err
	}
	samples = append(samples, sample{mIdleCPU, float64((after - before).Microseconds()) / 1000})
	if w.o.idleClients > few {
		if err := c.grow(ctx, w.o.idleClients); err != nil {
			return nil, err
		}
		if rss, err = c.resident(ctx, p); err != nil {
			return nil, err
		}
		samples = append(samples, sample{mMany, (rss - empty) / float64(w.o.idleClients)})
	}
	return samples, nil
}

// crowd is the clients that are connected.
type crowd struct {
	proto storm.Protocol

	mu       sync.Mutex
	sessions []storm.Session
}

// grow connects until there are n, 16 at a time.
func (c *crowd) grow(ctx context.Context, n int) error {
	missing := n - len(c.sessions)
	turns := make(chan struct{}, missing)
	for range missing {
		turns <- struct{}{}
	}
	close(turns)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range turns {
				if ctx.Err() != nil {
					return
				}
				if err := c.add(ctx); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (c *crowd) add(ctx context.Context) error {
	s, err := c.proto.Connect(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.sessions = append(c.sessions, s)
	c.mu.Unlock()
	return s.Run(ctx, "SELECT 1")
}

func (c *crowd) close() {
	for _, s := range c.sessions {
		s.Close()
	}
	c.sessions = nil
}

// resident waits until the proxy has settled and reads its memory, in KiB.
func (c *crowd) resident(ctx context.Context, p *peer) (float64, error) {
	if err := pause(ctx, settle); err != nil {
		return 0, err
	}
	return program.ResidentKiB(p.proc.PID())
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
