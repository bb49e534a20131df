package awsapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
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
	// MaxConns is how many connections there may be at once; 0: 1024. Where there is one more, that one goes which has been without a
	// signed request for longest; where all have had one, the new one waits.
	MaxConns int
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
			ConnContext:       withConn,
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
	limited := newLimitedListener(l, o.MaxConns, o.Log)
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

// limitedListener accepts only so many connections at once. Whoever has proved nothing yet must not keep others out: where all
// places are taken, the oldest such connection goes.
type limitedListener struct {
	net.Listener
	log  *slog.Logger
	done chan struct{} // closed by Close
	once sync.Once

	places chan struct{} // one is in it for each connection

	mu     sync.Mutex
	silent []*limitedConn // guarded by mu; on which nobody has signed anything yet, the oldest first
	told   time.Time      // guarded by mu; when the log was told last
	cut    int            // guarded by mu; how many connections have been closed
}

func newLimitedListener(l net.Listener, most int, log *slog.Logger) *limitedListener {
	return &limitedListener{Listener: l, log: log, done: make(chan struct{}), places: make(chan struct{}, most)}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &limitedConn{Conn: accepted, listener: l, release: sync.OnceFunc(func() { <-l.places })}
	select {
	case l.places <- struct{}{}:
	default:
		l.makeRoom()
		select {
		case l.places <- struct{}{}:
		case <-l.done:
			accepted.Close()
			return nil, net.ErrClosed
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = append(l.silent, c)
	return c, nil
}

// cutTold is how often the log is told of connections that had to go.
const cutTold = time.Minute

// makeRoom ends the oldest connection that nobody has signed anything on.
func (l *limitedListener) makeRoom() {
	l.mu.Lock()
	if len(l.silent) == 0 {
		l.mu.Unlock()
		return
	}
	c := l.silent[0]
	l.cut++
	all, tell := l.cut, time.Since(l.told) >= cutTold
	if tell {
		l.told = time.Now()
	}
	l.mu.Unlock()
	if tell {
		l.log.Warn("the management API has no room for more connections: the one that has been without a signed request for longest is closed, as often as another comes",
			"source", c.RemoteAddr().String(), "most", cap(l.places), "count", all)
	}
	c.Close()
}

// heard says that a connection is no more one of the silent ones.
func (l *limitedListener) heard(c *limitedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.silent, c); i >= 0 {
		l.silent = slices.Delete(l.silent, i, i+1)
	}
}

func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	listener *limitedListener
	release  func()
	signed   atomic.Bool
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.listener.heard(c)
	c.release()
	return err
}

type connKey struct{}

// withConn lets requests know the connection that they came by.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// provenConn says that a request's connection has had a request whose signature is good.
func provenConn(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*limitedConn); ok && c.signed.CompareAndSwap(false, true) {
		c.listener.heard(c)
	}
}
