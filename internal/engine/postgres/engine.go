package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/targettls"
)

// Engine is the PostgreSQL engine.
type Engine struct {
	log       *slog.Logger
	verifiers *login.Verifiers
	tls       sync.Map // *tls.Config -> *login.ServerTLS
	schemas   schemas
}

// New makes the engine. Verifiers are derived from the secrets of store.
func New(log *slog.Logger, store secret.Store) *Engine {
	return &Engine{log: log, verifiers: login.NewVerifiers(store)}
}

// Accept implements engine.Engine.
func (e *Engine) Accept(ctx context.Context, nc net.Conn, o engine.AcceptOptions) (*engine.Login, error) {
	var token engine.TokenCheck
	lo := login.AcceptOptions{
		RequireTLS: o.Proxy.RequireTLS,
		Lookup: func(ctx context.Context, user string) (*login.Verifier, error) {
			return e.verifier(ctx, o, user, &token)
		},
		Block: o.Block,
	}
	if o.Full {
		lo.Refuse = login.TooManyClients(o.Proxy.MaxClients)
	}
	if len(o.Proxy.Auth) > 0 {
		lo.UnknownUserAuthType = o.Proxy.Auth[0].ClientPasswordAuthType
	}
	if o.TLS != nil {
		t, err := e.serverTLS(o.TLS)
		if err != nil {
			return nil, err
		}
		lo.TLS = t
	}
	c, err := login.Accept(ctx, nc, lo)
	if err != nil {
		return nil, err
	}
	if c.Cancel != nil {
		return &engine.Login{Conn: c.Conn, Cancel: &engine.Cancel{PID: c.Cancel.PID, Secret: c.Cancel.Secret}}, nil
	}
	var startup settings
	for _, p := range c.Params {
		startup = startup.with(setting{name: lower(p.Name), value: p.Value})
	}
	fit := startup.fit()
	return &engine.Login{
		Conn:     c.Conn,
		TLS:      c.TLS,
		Token:    token.ByToken,
		Key:      engine.Key{User: c.User, Database: c.Database},
		Buffered: c.Buffered,
		NewSession: func(l engine.Local, id engine.SessionID) engine.Session {
			return &session{l: l.(*local), id: id, want: fit, startup: fit, greeting: c.Greeting, minor: c.ProtocolMinor}
		},
	}, nil
}

// verifier finds out how a user proves who it is. token is what judges that if a token may do so.
func (e *Engine) verifier(ctx context.Context, o engine.AcceptOptions, user string, token *engine.TokenCheck) (v *login.Verifier, err error) {
	sec, entry, ok, err := o.Credentials.Recent(user)
	if ok && err == nil && !entry.EndToEnd {
		v = e.verifiers.Derived(sec, authTypeOf(entry))
	}
	if !ok || err == nil && v == nil && !entry.EndToEnd {
		o.Block(func() {
			if sec, entry, err = o.Credentials.Lookup(ctx, user); err == nil && !entry.EndToEnd {
				v, err = e.verifiers.Of(sec, authTypeOf(entry))
			}
		})
	}
	*token = engine.TokenCheck{Verify: o.VerifyToken, User: user}
	if errors.Is(err, secret.ErrNotFound) {
		if len(o.Proxy.Auth) == 0 || !o.Proxy.Auth[0].IAMAuth.Tokens() {
			return nil, login.ErrUnknownUser
		}
		token.IAMAuth, token.Unknown = o.Proxy.Auth[0].IAMAuth, true
		return login.NewTokenVerifier(user, token.Check, token.IAMAuth != resource.IAMEnabled, nil), nil
	}
	if err != nil || !entry.IAMAuth.Tokens() {
		return v, err
	}
	if entry.EndToEnd {
		token.IAMAuth = entry.IAMAuth
		return login.NewTokenVerifier(user, token.Check, true, login.NewCredentials(user, "")), nil
	}
	token.IAMAuth, token.Password = entry.IAMAuth, v.Holds
	return login.NewTokenVerifier(user, token.Check, token.IAMAuth != resource.IAMEnabled, v.Credentials()), nil
}

// authTypeOf is how a password is proven under an entry: beside a token only as it is.
func authTypeOf(entry resource.AuthEntry) resource.ClientPasswordAuthType {
	if entry.IAMAuth.Tokens() {
		return resource.PostgresCleartext
	}
	return entry.ClientPasswordAuthType
}

func (e *Engine) serverTLS(cfg *tls.Config) (*login.ServerTLS, error) {
	if t, ok := e.tls.Load(cfg); ok {
		return t.(*login.ServerTLS), nil
	}
	t, err := login.NewServerTLS(cfg)
	if err != nil {
		return nil, err
	}
	e.tls.Store(cfg, t)
	return t, nil
}

// defaultDatabase is on every server, unless somebody has removed it.
const defaultDatabase = "postgres"

// Knock implements engine.Knocker.
func (e *Engine) Knock(ctx context.Context, _ *resource.Proxy, m engine.Member) error {
	o, err := dialOptions(m.Config())
	if err != nil {
		return err
	}
	o.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return m.Dial(ctx) }
	return login.Knock(ctx, o)
}

// DefaultDatabase implements engine.Engine.
func (e *Engine) DefaultDatabase() string { return defaultDatabase }

// Open implements engine.Engine.
func (e *Engine) Open(p *resource.Proxy, k engine.Key, c engine.Credentials) engine.Database {
	d := &database{
		eng: e, key: k, creds: c, stale: make(chan struct{}, 1),
		log:      e.log.With(slog.String("proxy", p.Name), slog.String("user", k.User), slog.String("database", k.Database)),
		welcomes: make(map[engine.Fit]welcome),
	}
	d.proxy.Store(p)
	d.schema.Store(e.schemas.of(p, k.Database))
	d.seen.Store(d.schema.Load().changes.Load())
	return d
}

// serverFacts is what a server connection is asked when it is new.
type serverFacts struct {
	capacity     engine.Capacity
	standby      bool
	serializable bool // so are transactions that do not say otherwise
}

// askFacts asks for them, in one round trip.
func askFacts(ctx context.Context, s *login.Server) (f serverFacts, err error) {
	rows, err := s.Query(ctx, `SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
	UNION ALL SELECT 'standby', pg_catalog.pg_is_in_recovery()::pg_catalog.text
	UNION ALL SELECT 'isolation', pg_catalog.current_setting('default_transaction_isolation')`)
	if err != nil {
		return f, err
	}
	for _, r := range rows {
		if len(r) != 2 || r[0] == nil || r[1] == nil {
			continue
		}
		switch *r[0] {
		case "standby":
			f.standby = *r[1] == "true"
			continue
		case "isolation":
			f.serializable = *r[1] == serializable
			continue
		}
		n, err := strconv.Atoi(*r[1])
		if err != nil {
			return f, fmt.Errorf("postgres: setting %s: %w", *r[0], err)
		}
		if *r[0] == "max_connections" {
			f.capacity.MaxConnections = n
		} else {
			f.capacity.Reserved += n
		}
	}
	return f, nil
}

// dialOptions are the options for reaching a member that do not depend on user and database.
func dialOptions(m resource.Member) (login.DialOptions, error) {
	roots, err := targettls.Roots(m.CAFile)
	if err != nil {
		return login.DialOptions{}, fmt.Errorf("postgres: %w", err)
	}
	return login.DialOptions{Address: m.Address(), TLSMode: m.TLSMode, RootCAs: roots}, nil
}

// lower folds ASCII, as the server does with the names of settings.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
