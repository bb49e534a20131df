package demo

import (
	"context"
	"fmt"
	"time"
)

// watch looks at a database again and again, over a connection opened before the crowd comes, and keeps the largest
// number of client connections it saw. Its own is not counted.
type watch struct {
	cancel context.CancelFunc
	done   chan struct{}
	most   int   // valid after done
	err    error // valid after done
}

const watchEvery = 20 * time.Millisecond

func startWatch(ctx context.Context, b *backend) (*watch, error) {
	c, err := b.openCensus(ctx)
	if err != nil {
		return nil, fmt.Errorf("watch the database: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		defer c.close()
		for ctx.Err() == nil && w.look(c) {
			select {
			case <-ctx.Done():
			case <-time.After(watchEvery):
			}
		}
	}()
	return w, nil
}

// look counts once and reports whether that worked.
func (w *watch) look(c census) bool {
	n, err := c.count()
	if err != nil {
		w.err = fmt.Errorf("watch the database: %w", err)
		return false
	}
	w.most = max(w.most, n)
	return true
}

// end stops watching and returns the largest number seen.
func (w *watch) end() (int, error) {
	w.cancel()
	<-w.done
	return w.most, w.err
}
