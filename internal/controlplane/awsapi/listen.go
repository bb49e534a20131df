package awsapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"forebay/internal/loopback"
)

// Limits of one connection. A request is small and comes at once; what takes time is its operation, by Options.Timeout.
const (
	headerTimeout  = 10 * time.Second
	readTimeout    = 20 * time.Second // header and body
	writeTimeout   = 90 * time.Second // from the end of the header, the operation included
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10 // a presigned GET has its parameters and a session token there
	maxStreams     = 64       // requests at once on one connection of HTTP/2
)

// ListenOptions say where a handler is served.
type ListenOptions struct {
	Log        *slog.Logger
	Handler    http.Handler
	Address    string      // host:port; port 0 a free one
	TLS        *tls.Config // with certificates; nil: plain HTTP
	AllowPlain bool        // plain HTTP on an address that other machines reach
	MaxConns   int         // connections at once; more wait to be accepted; 0: 1024
}

// Listener serves a handler. Make one with Listen; Close or Shutdown ends it.
type Listener struct {
	http     *http.Server
	listener net.Listener
	running  sync.WaitGroup
}

// Listen listens and serves: HTTP/1.1, and over TLS HTTP/2 as well. Plain HTTP is for loopback addresses, unless
// AllowPlain: else the error is loopback.ErrNotLoopback.
func Listen(ctx context.Context, o ListenOptions) (*Listener, error) {
	l, err := loopback.Listen(ctx, o.Address, o.TLS != nil || o.AllowPlain)
	if err != nil {
		return nil, fmt.Errorf("management API: %w", err)
	}
	return serve(l, o), nil
}

func serve(l net.Listener, o ListenOptions) *Listener {
	if o.MaxConns == 0 {
		o.MaxConns = 1024
	}
	s := &Listener{
		listener: l,
		http: &http.Server{
			Handler:           o.Handler,
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
			ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		},
	}
	run := s.http.Serve
	if o.TLS != nil {
		s.http.TLSConfig = o.TLS.Clone()
		if s.http.TLSConfig.MinVersion == 0 {
			s.http.TLSConfig.MinVersion = tls.VersionTLS12
		}
		run = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
	}
	limited := &limitedListener{Listener: l, slots: make(chan struct{}, o.MaxConns), done: make(chan struct{})}
	s.running.Go(func() {
		if err := run(limited); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the management API has ended", "err", err)
		}
	})
	return s
}

// Addr is the address that is listened on.
func (s *Listener) Addr() string { return s.listener.Addr().String() }

// Close ends the listener and every request under way.
func (s *Listener) Close() error {
	err := s.http.Close()
	s.running.Wait()
	return err
}

// limitedListener accepts only so many connections at once.
type limitedListener struct {
	net.Listener
	slots chan struct{} // one is in it for each connection
	close sync.Once
	done  chan struct{} // closed by Close
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l *limitedListener) Close() error {
	l.close.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}
