// Package admin serves what an operator looks at: metrics, health, the state of the pools. It only reads, it needs no
// login, and so it listens on loopback unless the operator wants otherwise.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"forebay/internal/loopback"

	"github.com/prometheus/client_golang/prometheus"
)

// Options say what a Server shows. The functions are called for each request, from several goroutines.
type Options struct {
	Log         *slog.Logger
	Listen      string   // host:port; port 0 a free one
	AllowRemote bool     // Listen may be an address that other machines reach
	Hosts       []string // names, beside localhost and this machine's, by which requests may address the server

	Gatherer  prometheus.Gatherer
	Readiness func() []Readiness // one for each proxy
	Pools     func() any         // becomes JSON
	Pins      func() any         // becomes JSON
	Config    func() any         // becomes JSON; without secrets
	Debug     func() bool        // whether profiles are served
}

// Readiness says whether a proxy's target answers.
type Readiness struct {
	Proxy  string `json:"proxy"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"` // why not
}

// ErrNotLoopback means that an address is reachable from other machines without AllowRemote.
var ErrNotLoopback = loopback.ErrNotLoopback

// Server is a listening admin server. Make one with Open; Close ends it.
type Server struct {
	http     *http.Server
	listener net.Listener
	running  sync.WaitGroup
}

// Limits of one request. A scrape is a few hundred kilobytes; a profile may take a minute.
const (
	readTimeout    = 10 * time.Second
	writeTimeout   = 2 * time.Minute
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// Open listens and serves.
func Open(ctx context.Context, o Options) (*Server, error) {
	l, err := loopback.Listen(ctx, o.Listen, o.AllowRemote)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	s := &Server{
		listener: l,
		http: &http.Server{
			Handler:           handler(o),
			ReadHeaderTimeout: readTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		},
	}
	s.running.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the admin server has ended", "err", err)
		}
	})
	return s, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends the server and every request under way.
func (s *Server) Close() error {
	err := s.http.Close()
	s.running.Wait()
	return err
}
