package app

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// certificateInterval is how often changed certificates are looked for without being told.
const certificateInterval = 10 * time.Second

// ErrForced means that a second signal ended what the first had asked to finish.
var ErrForced = errors.New("app: stopped by a second signal before everything was finished")

// Run serves until it is told to stop. SIGHUP reloads the configuration. SIGTERM, SIGINT or the end of ctx drain, and
// then Run returns nil; a second signal closes at once, and Run returns ErrForced. An error that matches
// config.ErrInvalid means that nothing was started.
func Run(ctx context.Context, o Options) error {
	signals := o.Signals
	if signals == nil {
		own := make(chan os.Signal, 4)
		signal.Notify(own, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
		defer signal.Stop(own)
		signals = own
	}
	if o.Log == nil {
		o.Log = os.Stderr
	}
	log := newLogQueue(o.Log)
	defer log.close()
	o.Log = log
	a, err := Open(ctx, o)
	if err != nil {
		return err
	}
	defer a.Close()
	certificates := time.NewTicker(certificateInterval)
	defer certificates.Stop()
	for {
		select {
		case <-ctx.Done():
			return a.stop("the caller's context has ended", signals)
		case s := <-signals:
			if s != syscall.SIGHUP {
				return a.stop(s.String(), signals)
			}
			_ = a.Reload(ctx) // says in the log what is wrong, and the former configuration stays
		case <-certificates.C:
			a.RefreshCertificates(ctx)
		}
	}
}

// stop drains until done, out of time, or interrupted by another signal.
func (a *App) stop(why string, signals <-chan os.Signal) error {
	a.log.Info("draining: no new clients, open transactions may finish", "reason", why, "limit", a.config.Load().DrainTimeout)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.Drain(ctx) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				a.log.Warn("closing clients whose transaction has not ended", "err", err)
			}
			a.log.Info("stopped")
			return nil
		case s := <-signals:
			if s == syscall.SIGHUP {
				continue // a configuration for what is about to end
			}
			cancel()
			<-done
			a.log.Warn("stopped at once", "reason", s.String())
			return ErrForced
		}
	}
}
