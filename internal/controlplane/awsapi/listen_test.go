package awsapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"forebay/internal/loopback"
)

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })

func listen(t *testing.T, o ListenOptions) *Listener {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	if o.Handler == nil {
		o.Handler = hello
	}
	l, err := Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// certificate returns a server's side, and what a client believes.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(hello)
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates}, s.Client().Transport.(*http.Transport).TLSClientConfig
}

func get(t *testing.T, transport *http.Transport, url string) string {
	t.Helper()
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestListenProtocols(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	plain := listen(t, ListenOptions{})
	if got := get(t, &http.Transport{}, "http://"+plain.Addr()); got != "HTTP/1.1" {
		t.Errorf("plain: got %s", got)
	}
	secure := listen(t, ListenOptions{TLS: server})
	if got := get(t, &http.Transport{TLSClientConfig: client.Clone(), ForceAttemptHTTP2: true}, "https://"+secure.Addr()); got != "HTTP/2.0" {
		t.Errorf("TLS: got %s", got)
	}
	if got := get(t, &http.Transport{TLSClientConfig: client.Clone()}, "https://"+secure.Addr()); got != "HTTP/1.1" {
		t.Errorf("TLS without HTTP/2: got %s", got)
	}
	old := client.Clone()
	old.MaxVersion = tls.VersionTLS11
	if c, err := tls.Dial("tcp", secure.Addr(), old); err == nil {
		c.Close()
		t.Error("TLS 1.1 was accepted")
	}
}

func TestListenGuard(t *testing.T) {
	t.Parallel()
	server, _ := certificate(t)
	o := ListenOptions{Log: slog.New(slog.DiscardHandler), Handler: hello, Address: "0.0.0.0:0"}
	if _, err := Listen(t.Context(), o); !errors.Is(err, loopback.ErrNotLoopback) {
		t.Errorf("plain HTTP for others: got %v", err)
	}
	listen(t, ListenOptions{Address: "0.0.0.0:0", AllowPlain: true})
	l := listen(t, ListenOptions{Address: "0.0.0.0:0", TLS: server})
	o.Address = l.Addr()
	o.AllowPlain = true
	if _, err := Listen(t.Context(), o); err == nil {
		t.Error("no error for an address that is in use")
	}
}

// TestMaxConns checks that a connection over the limit is served once another has ended, and that Close waits for none.
func TestMaxConns(t *testing.T) {
	t.Parallel()
	l := listen(t, ListenOptions{MaxConns: 1})
	first, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := io.WriteString(first, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Read(make([]byte, 1)); err != nil {
		t.Fatal(err) // it has been accepted, and holds the one slot
	}
	second := make(chan string)
	go func() { second <- get(t, &http.Transport{}, "http://"+l.Addr()) }()
	first.Close()
	if got := <-second; got != "HTTP/1.1" {
		t.Errorf("got %s", got)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// pipes is a listener without a network, whose connections obey the time of synctest.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestSlowClients checks how long a client may take.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	const post = "POST / HTTP/1.1\r\nHost: x\r\n"
	tests := []struct {
		name, sent string
		want       string // what the client gets
		after      time.Duration
	}{
		{"nothing", "", "", headerTimeout},
		{"half a header", post, "", headerTimeout},
		{"half a body", post + "Content-Length: 10\r\n\r\nName", "408 Request Timeout", readTimeout},
		{"a promise of too much", post + "Content-Length: 1048577\r\n\r\n", "413 Request Entity Too Large", 0},
		{"a long header", post + "X: " + strings.Repeat("x", maxHeaderBytes+8192), "431 Request Header Fields Too Large", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, err := New(Options{Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
				l := serve(p, ListenOptions{Log: slog.New(slog.DiscardHandler), Handler: s})
				client, server := net.Pipe()
				defer func() {
					client.Close()
					l.Close()
					time.Sleep(time.Second) // of the bubble's time: net/http lingers over a refused connection
				}()
				p.conns <- server
				start := time.Now()
				go func() { _, _ = io.WriteString(client, tt.sent) }()
				answer := make([]byte, 4096)
				n, err := client.Read(answer)
				if !strings.Contains(string(answer[:n]), tt.want) || tt.want == "" && err == nil {
					t.Errorf("got %q, %v; want %q", answer[:n], err, tt.want)
				}
				if d := time.Since(start); d != tt.after {
					t.Errorf("after %v, want %v", d, tt.after)
				}
			})
		})
	}
}

// trusting believes who says that he is signed.
type trusting struct{}

func (trusting) Authenticate(r *http.Request, _ []byte, _ time.Time) (Caller, Scope, error) {
	if r.Header.Get("Authorization") != "signed" {
		return nil, Scope{}, Common("SignatureDoesNotMatch", "no")
	}
	return nil, Scope{Service: "rds", Region: "eu-west-1"}, nil
}

// TestSilentConnectionsMakeRoom takes all places with clients that sign nothing, whether they send nothing, a part of a request, or
// a whole one that is refused: the next client is served at once, and those go that have been there for longest.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	const refused = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
	for name, sent := range map[string]string{"nothing": "", "half a header": "POST / HTTP/1.1\r\nHost: x\r\n", "half a body": "POST / HTTP/1.1\r\nHost: x\r\nAuthorization: signed\r\nContent-Length: 10\r\n\r\nName", "unsigned": refused} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var said strings.Builder
				log := slog.New(slog.NewTextHandler(&said, nil))
				s, err := New(Options{Log: slog.New(slog.DiscardHandler), Region: "eu-west-1", Auth: trusting{}}, &Service{
					Name: "rds", Version: "1", Operations: map[string]Operation{"Quiet": Silent(func(context.Context, *Call, *struct{}) error { return nil })},
				})
				if err != nil {
					t.Fatal(err)
				}
				p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
				l := serve(p, ListenOptions{Log: log, Handler: s, MaxConns: 3})
				defer l.Close()
				connect := func(sent string) net.Conn {
					client, server := net.Pipe()
					t.Cleanup(func() { client.Close() })
					p.conns <- server
					if sent != "" {
						go func() { _, _ = io.WriteString(client, sent) }()
					}
					return client
				}
				answer := func(c net.Conn) string {
					buf := make([]byte, 4096)
					n, err := c.Read(buf)
					if err != nil {
						return err.Error()
					}
					return string(buf[:n])
				}
				start := time.Now()
				const signed = "GET /?Action=Quiet&Version=1 HTTP/1.1\r\nHost: x\r\nAuthorization: signed\r\n\r\n"
				honest := connect(signed)
				if got := answer(honest); !strings.HasPrefix(got, "HTTP/1.1 200") {
					t.Fatalf("got %s", got)
				}
				silent := []net.Conn{connect(sent), connect(sent)}
				if sent == refused {
					for _, c := range silent {
						if got := answer(c); !strings.HasPrefix(got, "HTTP/1.1 403") {
							t.Fatalf("got %s", got)
						}
					}
				}
				synctest.Wait()
				if got := answer(connect(signed)); !strings.HasPrefix(got, "HTTP/1.1 200") {
					t.Errorf("while all places are taken: got %s", got)
				}
				if got := answer(silent[0]); got != io.EOF.Error() {
					t.Errorf("the oldest silent one: %s", got)
				}
				again := func() { _, _ = io.WriteString(honest, signed) }
				go again()
				if got := answer(honest); !strings.HasPrefix(got, "HTTP/1.1 200") {
					t.Errorf("the oldest one, which has signed something: %s", got)
				}
				if got := answer(connect(signed)); !strings.HasPrefix(got, "HTTP/1.1 200") {
					t.Errorf("once more: got %s", got)
				}
				if got := answer(silent[1]); got != io.EOF.Error() {
					t.Errorf("the next silent one: %s", got)
				}
				if d := time.Since(start); d != 0 {
					t.Errorf("it took %v: somebody waited for a time limit", d)
				}
				// Now all have signed something: the next one waits, and nobody goes for it.
				last := connect(signed)
				synctest.Wait()
				honest.Close()
				if got := answer(last); !strings.HasPrefix(got, "HTTP/1.1 200") {
					t.Errorf("after one has gone: got %s", got)
				}
				if n := strings.Count(said.String(), "no room for more connections"); n != 1 {
					t.Errorf("the log was told %d times, want once a minute:\n%s", n, said.String())
				}
			})
		})
	}
}

// TestRequestKnowsItsConnection: by every protocol, the connection is found that a signature speaks for.
func TestRequestKnowsItsConnection(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*limitedConn)
		provenConn(r.Context())
		_, _ = fmt.Fprint(w, r.Proto, " ", ok && c.signed.Load() && c.RemoteAddr().String() == r.RemoteAddr)
	})
	plain, secure := listen(t, ListenOptions{Handler: h}), listen(t, ListenOptions{Handler: h, TLS: server})
	for _, tt := range []struct {
		transport *http.Transport
		url, want string
	}{
		{&http.Transport{}, "http://" + plain.Addr(), "HTTP/1.1 true"},
		{&http.Transport{TLSClientConfig: client.Clone()}, "https://" + secure.Addr(), "HTTP/1.1 true"},
		{&http.Transport{TLSClientConfig: client.Clone(), ForceAttemptHTTP2: true}, "https://" + secure.Addr(), "HTTP/2.0 true"},
	} {
		if got := get(t, tt.transport, tt.url); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
