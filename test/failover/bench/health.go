//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"forebay/test/failover/workload"
)

// health tells HAProxy which server is the primary, as the scripts do that people put beside each database: 200 for the
// primary, 503 for others.
type health struct {
	set     set
	servers []*http.Server
	addrs   []string
}

func startHealth(s set) (*health, error) {
	h := &health{set: s}
	for i := range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			h.close()
			return nil, err
		}
		srv := &http.Server{Handler: &member{set: s, number: i}, ReadHeaderTimeout: time.Second}
		h.servers = append(h.servers, srv)
		h.addrs = append(h.addrs, l.Addr().String())
		go srv.Serve(l)
	}
	return h, nil
}

func (h *health) close() {
	for _, s := range h.servers {
		s.Close()
	}
}

// member answers for one server, over a connection that it keeps.
type member struct {
	set    set
	number int
	mu     sync.Mutex
	conn   workload.Conn // guarded by mu; nil: none
}

// ServeHTTP implements http.Handler.
func (m *member) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	if m.conn != nil && m.conn.Closed() {
		m.conn.Close()
		m.conn = nil
	}
	if m.conn == nil {
		c, err := m.set.dial(ctx, m.set.port(m.number))
		if err != nil {
			http.Error(w, "it does not answer", http.StatusServiceUnavailable)
			return
		}
		m.conn = c
	}
	if !m.set.takesWrites(ctx, m.conn) {
		http.Error(w, "it takes no writes", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "it is the primary")
}
