package tdsserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Encryption is what the server says to PRELOGIN's encryption ([MS-TDS] 2.2.6.5).
type Encryption byte

// What a server may want.
const (
	EncryptOff          Encryption = 0 // the log-in alone is encrypted, unless the client asks for more
	EncryptOn           Encryption = 1 // everything is encrypted; ON is the answer to OFF
	EncryptNotSupported Encryption = 2
	EncryptRequired     Encryption = 3 // everything is encrypted; REQ is the answer to OFF
)

// The user and the database that a server has without Options.
const (
	DefaultUser     = "sa"
	DefaultPassword = "Toy-secret-1"
	DefaultDatabase = "app"
)

// Options are a server's. The zero value is a server like SQL Server 2022, with DefaultUser and DefaultDatabase.
type Options struct {
	Name       string            // of the server, in its messages; "TOY"
	Users      map[string]string // passwords by name
	Databases  []string          // beside master and tempdb; the first one is where log-ins land that name none
	Encryption Encryption
	StrictOnly bool // TDS 8 or nothing
	NoStrict   bool // TLS first is not understood, as before SQL Server 2022

	// Token says whose a token is. Where it is set, PRELOGIN's FEDAUTHREQUIRED is answered and FEDAUTH accepted, by a security
	// token in LOGIN7 as well as by one asked for with FEDAUTHINFO.
	Token func(token string) (user string, ok bool)

	MaxVersion uint32 // of the protocol, as LOGIN7 has it; 0x74000004, and 8.0 where TLS comes first
	// MaxConnections refuses log-ins beyond so many, with LimitError (17809 or 10928; the first one).
	MaxConnections int
	LimitError     int32
	UTF8           bool // the collation is a UTF-8 one
	// RouteTo, if not empty, sends every client there by ENVCHANGE 20, "host:port".
	RouteTo string

	// Where servers differ.
	InTransactionBit   bool // DONE says that a transaction is open; SQL Server never does
	KeepsIsolation     bool // a reset leaves the isolation level as it is, as before SQL Server 2014
	NoTransactionEnv   bool // transactions that a batch begins or ends send no ENVCHANGE, as in Babelfish
	AttentionInside    bool // an attention is acknowledged in the message that it interrupts, not in one of its own after that
	ResetAfterDone     bool // ENVCHANGE 18 comes after a first DONE, as in Babelfish
	SkipTransactionBad bool // RESETCONNECTIONSKIPTRAN closes the connection, as in Babelfish
	KeepsDatabase      bool // a reset leaves the database as it is, as in Babelfish
	KeepsContext       bool // a reset leaves CONTEXT_INFO and SESSION_CONTEXT as they are, as in Babelfish
	NoTextSize         bool // @@TEXTSIZE is not known, as in Babelfish
	ResetTells         ResetTells
	ProgVersion        uint32 // of the server, as LOGINACK has it; SQL Server 2022's
}

// ResetTells says where a reset tells of the database and the language that it has returned to, with ENVCHANGE 1 and 2 and the
// information that goes with them.
type ResetTells uint8

// Where a reset tells.
const (
	ResetTellsNothing ResetTells = iota
	ResetTellsBefore             // its acknowledgement, ENVCHANGE 18
	ResetTellsBehind             // that
)

// What servers say that they are, for Options.ProgVersion.
const (
	SQLServer2022 = 0x10001000 // 16.0.4096
	BabelfishProg = 0x0C0007D0 // 12.0.2000, which is SQL Server 2014
)

// Server is a running server.
type Server struct {
	Host string
	Port int
	CA   *x509.CertPool // holds its certificate
	PEM  []byte         // its certificate

	o     Options
	ln    net.Listener
	tls   *tls.Config
	wg    sync.WaitGroup
	store *store
	max   atomic.Int64 // Options.MaxConnections, as it is now

	mu        sync.Mutex
	passwords map[string]string   // guarded by mu; Options.Users, as they are now
	closed    bool                // guarded by mu
	conns     map[net.Conn]bool   // guarded by mu
	sessions  map[uint16]*session // guarded by mu; those that are logged in
	nextSPID  uint16              // guarded by mu
	all       []*session          // guarded by mu; every connection's, in their order
	refuse    *Error              // guarded by mu
	delay     time.Duration       // guarded by mu
	gate      chan struct{}       // guarded by mu; nil: open
	ended     int                 // guarded by mu; log-ins whose connection has ended
	resets    int                 // guarded by mu
	changed   chan struct{}       // guarded by mu; closed at each change of the sessions
}

// Start starts a server on the loopback interface, which ends with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// New starts a server on the loopback interface. The caller closes it.
func New(o Options) (*Server, error) {
	if o.Name == "" {
		o.Name = "TOY"
	}
	if o.Users == nil {
		o.Users = map[string]string{DefaultUser: DefaultPassword}
	}
	if o.Databases == nil {
		o.Databases = []string{DefaultDatabase}
	}
	if o.MaxVersion == 0 {
		o.MaxVersion = v74
	}
	if o.ProgVersion == 0 {
		o.ProgVersion = SQLServer2022
	}
	if o.LimitError == 0 {
		o.LimitError = 17809
	}
	cert, err := selfMade()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().(*net.TCPAddr)
	s := &Server{
		passwords: maps.Clone(o.Users),
		Host:      "127.0.0.1", Port: addr.Port, CA: x509.NewCertPool(),
		PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		o:   o, ln: ln, store: newStore(o),
		// TLS 1.3 has tickets after its handshake, which have no place in PRELOGIN packets.
		tls:   &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12},
		conns: map[net.Conn]bool{}, sessions: map[uint16]*session{}, nextSPID: 51, changed: make(chan struct{}),
	}
	s.max.Store(int64(o.MaxConnections))
	s.CA.AppendCertsFromPEM(s.PEM)
	s.wg.Go(s.accept)
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Close ends all connections, and waits for what serves them.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	_ = s.ln.Close()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Server) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = c.Close()
			return
		}
		s.conns[c] = true
		ses := newSession(s, c)
		s.all = append(s.all, ses)
		s.mu.Unlock()
		s.wg.Go(func() {
			ses.serve()
			_ = c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

// Session is what a test may know of a logged-in session.
type Session struct {
	SPID        int
	User        string
	Database    string
	Application string
	Host        string
	Version     uint32
	PacketSize  int
	Encrypted   bool
	Requests    int // since the log-in
	Resets      int
	Transaction bool
}

// SetPassword changes a user's password, for log-ins to come.
func (s *Server) SetPassword(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passwords[user] = password
}

func (s *Server) password(user string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.passwords[user]
	return p, ok
}

// Limit changes Options.MaxConnections; 0 is no limit.
func (s *Server) Limit(n int) { s.max.Store(int64(n)) }

// Count is the number of rows of a table, -1 where there is none.
func (s *Server) Count(database, table string) int {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	d := s.store.dbs[strings.ToLower(database)]
	if d == nil || d.tables[strings.ToLower(table)] == nil {
		return -1
	}
	return len(d.tables[strings.ToLower(table)].rows)
}

// Sessions lists the logged-in sessions by their SPID.
func (s *Server) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Session
	for _, ses := range s.sessions {
		out = append(out, ses.info())
	}
	slices.SortFunc(out, func(a, b Session) int { return a.SPID - b.SPID })
	return out
}

// Wait returns when the sessions fulfil a condition, which is asked at each log-in and each end of a session; it fails the test
// when that takes absurdly long.
func (s *Server) Wait(t testing.TB, what string, ok func([]Session) bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if ok(s.Sessions()) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited for %s in vain; there are %+v", what, s.Sessions())
		}
	}
}

// change tells who waits. mu is held.
func (s *Server) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Kill closes the connection of a session, and says whether there was one.
func (s *Server) Kill(spid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ses := s.sessions[uint16(spid)]
	if ses != nil {
		_ = ses.conn.Close()
	}
	return ses != nil
}

// KillAll closes every connection.
func (s *Server) KillAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// Refuse has log-ins refused with an error, with nil not any more.
func (s *Server) Refuse(e *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = e
}

// Delay has each request wait so long before it is looked at; an attention ends that.
func (s *Server) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Hold has requests wait, before they are looked at, until the function that it returns is called; an attention ends that.
func (s *Server) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	var once sync.Once
	return func() {
		once.Do(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.gate == gate {
				s.gate = nil
			}
			close(gate)
		})
	}
}

// Resets counts the resets of all sessions, by RESETCONNECTION and by sp_reset_connection.
func (s *Server) Resets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resets
}

// Conversations are all connections' packets, in the order in which the connections were made. TLS is taken off; passwords are in them.
func (s *Server) Conversations() [][]Packet {
	s.mu.Lock()
	all := slices.Clone(s.all)
	s.mu.Unlock()
	out := make([][]Packet, len(all))
	for i, ses := range all {
		out[i] = ses.w.recorded()
	}
	return out
}

// DSN is a connection string for go-mssqldb and others that take an ADO string.
func (s *Server) DSN(more ...string) string {
	user := DefaultUser
	return strings.Join(append([]string{
		fmt.Sprintf("server=%s;port=%d;user id=%s;password=%s;database=%s", s.Host, s.Port, user, s.o.Users[user], s.o.Databases[0]),
	}, more...), ";")
}

// selfMade makes a certificate for localhost.
func selfMade() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// TLS is a configuration with the server's certificate, for what stands before it.
func (s *Server) TLS() *tls.Config {
	return &tls.Config{Certificates: s.tls.Certificates, MinVersion: tls.VersionTLS12}
}
