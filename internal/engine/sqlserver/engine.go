// Package sqlserver is the engine of SQL Server: it speaks TDS 7.1 to 8.0 ([MS-TDS]).
//
// engine.go, database.go and monitor.go are what the data plane calls in plain blocking Go; the session of a client in the
// query phase, and its server connections, are state machines without I/O. docs/sqlserver.md says what users see of it.
package sqlserver

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/wire/tds"
)

// Engine is the engine of SQL Server.
type Engine struct {
	log     *slog.Logger
	targets sync.Map // identity of a target -> *target
	tls     sync.Map // *tls.Config -> *clientTLS
}

// New makes the engine.
func New(log *slog.Logger) *Engine { return &Engine{log: log} }

// target is what the engine knows of one database server.
type target struct {
	version  atomic.Uint32 // as LOGINACK has it; 0: not known yet
	maxConns atomic.Int64  // 0: not known

	changes  atomic.Uint64 // counts what has made, changed or dropped modules
	underway atomic.Int64  // such statements and their transactions
}

func (e *Engine) target(p *resource.Proxy) *target {
	id := p.Target.Identity()
	if t, ok := e.targets.Load(id); ok {
		return t.(*target)
	}
	t, _ := e.targets.LoadOrStore(id, &target{})
	return t.(*target)
}

// clientTLS is a configuration for handshakes with clients, as TDS 7 and TDS 8 want it.
type clientTLS struct{ inside, first *tls.Config }

func (e *Engine) clientTLS(cfg *tls.Config) *clientTLS {
	if t, ok := e.tls.Load(cfg); ok {
		return t.(*clientTLS)
	}
	own := &clientTLS{}
	own.inside, own.first = login.ServerTLS(cfg)
	t, _ := e.tls.LoadOrStore(cfg, own)
	return t.(*clientTLS)
}

// assumedVersion is what PRELOGIN says of a target that is not known yet: SQL Server 2019. Drivers look at it to tell servers
// of before SQL Server 2005.
const assumedVersion = 0x0F0007D0

// Accept implements engine.Engine.
func (e *Engine) Accept(ctx context.Context, nc net.Conn, o engine.AcceptOptions) (*engine.Login, error) {
	var token engine.TokenCheck
	lo := login.AcceptOptions{
		RequireTLS: o.Proxy.RequireTLS, ServerVersion: e.target(o.Proxy).version.Load(), SPID: spid(o.ID), Block: o.Block,
		TokenUser: o.TokenUser,
		Lookup: func(ctx context.Context, user string) (*login.Verifier, error) {
			return e.verifier(ctx, o, user, &token)
		},
	}
	if lo.ServerVersion == 0 {
		lo.ServerVersion = assumedVersion
	}
	if o.Full {
		lo.TooMany = max(1, o.Proxy.MaxClients)
	}
	if o.TLS != nil {
		t := e.clientTLS(o.TLS)
		lo.InsideTLS, lo.FirstTLS = t.inside, t.first
	}
	c, err := login.Accept(ctx, nc, lo)
	if err != nil {
		return nil, err
	}
	return &engine.Login{
		Conn: c.Conn, TLS: c.TLS, Token: token.ByToken, Key: keyOf(c), Buffered: c.Buffered,
		NewSession: func(l engine.Local, id engine.SessionID) engine.Session { return newSession(l.(*local), c, id) },
	}, nil
}

// spid is the session's number as packet headers have it: as much of it as fits, and never 0, which means none.
func spid(id engine.SessionID) uint16 { return max(1, uint16(id.PID)) }

// verifier finds out how a user proves who it is. token is what judges that if a token may do so.
func (e *Engine) verifier(ctx context.Context, o engine.AcceptOptions, user string, token *engine.TokenCheck) (*login.Verifier, error) {
	sec, entry, ok, err := o.Credentials.Recent(user)
	if !ok {
		o.Block(func() { sec, entry, err = o.Credentials.Lookup(ctx, user) })
	}
	*token = engine.TokenCheck{Verify: o.VerifyToken, User: user}
	switch {
	case errors.Is(err, secret.ErrNotFound):
		if len(o.Proxy.Auth) == 0 || !o.Proxy.Auth[0].IAMAuth.Tokens() {
			return nil, login.ErrUnknownUser
		}
		token.IAMAuth, token.Unknown = o.Proxy.Auth[0].IAMAuth, true
	case err != nil:
		return nil, err
	case !entry.IAMAuth.Tokens():
		return &login.Verifier{Check: func(_ context.Context, sent secret.Password, _ bool) error {
			if !login.Holds(sec, sent, time.Now()) {
				return engine.ErrWrongPassword
			}
			return nil
		}}, nil
	default:
		token.IAMAuth = entry.IAMAuth
		token.Password = func(p secret.Password) bool { return login.Holds(sec, p, time.Now()) }
	}
	return &login.Verifier{Tokens: true, Blocks: true, Check: func(ctx context.Context, sent secret.Password, fedAuth bool) error {
		if fedAuth { // whatever its form: it is no password
			token.IAMAuth = resource.IAMRequired
		}
		return token.Check(ctx, sent)
	}}, nil
}

// Protocol bits of engine.Key: what server connections can be shared between. A session only meets those that were logged in
// alike, so that what servers send has the form that its client knows, and a reset goes back to the settings of its log-in.
const (
	keyVersion            = 0 // 3 bits: place in versions
	keyColumnEncryption   = 3 // 2 bits, and so on
	keyDataClassification = 5
	keyJSON               = 7
	keyVector             = 9

	keyUTF8             uint64 = 1 << 11
	keyODBC             uint64 = 1 << 12
	keyOLEDB            uint64 = 1 << 13
	keyBinaryXML        uint64 = 1 << 14
	keyUnknownCollation uint64 = 1 << 15
	// keyClient marks the pools of clients: without it, the target is being watched.
	keyClient uint64 = 1 << 62
)

// versions are the ones that server connections are asked for. TDS 8 differs from 7.4 by its TLS alone.
var versions = [...]tds.Version{tds.V71, tds.V71R, tds.V72, tds.V73A, tds.V73B, tds.V74}

// keyOf is the pool of a client.
func keyOf(c *login.Client) engine.Key {
	p := keyClient
	for i, v := range versions {
		if c.Version.AtLeast(v) {
			p = p&^7 | uint64(i)
		}
	}
	f := c.Features
	p |= uint64(f.ColumnEncryption&3)<<keyColumnEncryption | uint64(f.DataClassification&3)<<keyDataClassification |
		uint64(f.JSON&3)<<keyJSON | uint64(f.Vector&3)<<keyVector
	for _, b := range []struct {
		set bool
		bit uint64
	}{
		{f.UTF8, keyUTF8},
		{c.ODBC, keyODBC},
		{c.OLEDB, keyOLEDB},
		{c.BinaryXML, keyBinaryXML},
		{c.UnknownCollation, keyUnknownCollation},
	} {
		if b.set {
			p |= b.bit
		}
	}
	return engine.Key{User: c.User, Database: c.Database, Protocol: p}
}

// applyKey has a log-in be that of a pool.
func applyKey(k engine.Key, o *login.DialOptions) {
	o.Database, o.ReadOnlyIntent = k.Database, k.ReadOnly
	p := k.Protocol
	if p&keyClient == 0 { // a look at the target
		o.Version, o.ODBC, o.Features = tds.V74, true, tds.Features{UTF8: true}
		return
	}
	o.Version = versions[min(int(p&7), len(versions)-1)]
	o.Features = tds.Features{
		ColumnEncryption: uint8(p >> keyColumnEncryption & 3), DataClassification: uint8(p >> keyDataClassification & 3),
		JSON: uint8(p >> keyJSON & 3), Vector: uint8(p >> keyVector & 3), UTF8: p&keyUTF8 != 0,
	}
	o.ODBC, o.OLEDB, o.BinaryXML, o.UnknownCollation = p&keyODBC != 0, p&keyOLEDB != 0, p&keyBinaryXML != 0, p&keyUnknownCollation != 0
}

// Knock implements engine.Knocker.
func (e *Engine) Knock(ctx context.Context, p *resource.Proxy, m engine.Member) error {
	o, err := dialOptions(m.Config())
	if err != nil {
		return err
	}
	version, err := login.Knock(ctx, func(ctx context.Context, _, _ string) (net.Conn, error) { return m.Dial(ctx) }, o)
	if err == nil {
		e.target(p).version.CompareAndSwap(0, version)
	}
	return err
}

// DefaultDatabase implements engine.Engine.
func (e *Engine) DefaultDatabase() string { return "master" }

// Open implements engine.Engine.
func (e *Engine) Open(p *resource.Proxy, k engine.Key, c engine.Credentials) engine.Database {
	d := &database{
		eng: e, key: k, creds: c, target: e.target(p), stale: make(chan struct{}, 1),
		log: e.log.With(slog.String("proxy", p.Name), slog.String("user", k.User)),
	}
	d.proxy.Store(p)
	return d
}
