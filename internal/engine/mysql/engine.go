package mysql

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/compress"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/wire/mysqlwire"
)

// Engine is the engine of MySQL and MariaDB.
type Engine struct {
	log     *slog.Logger
	targets sync.Map // address -> *target
	tls     sync.Map // *tls.Config -> *tls.Config without session tickets
	proofs  verifiers
}

// New makes the engine.
func New(log *slog.Logger) *Engine { return &Engine{log: log} }

// target is what the engine knows of one database server.
type target struct {
	facts atomic.Pointer[facts] // nil: not known yet
	heard atomic.Pointer[facts] // those that a greeting has, while nobody has logged in yet who could tell the rest
	known chan struct{}         // closed when facts or heard are there
	asks  chan struct{}         // has one value while a client has the facts found out

	generation atomic.Uint64 // counts statements that may have changed what prepared ones mean
	changes    atomic.Uint64 // counts statements that may have changed routines, triggers or views
	at         engine.Moment // when the last of these was seen to end
	underway   atomic.Int64  // such statements that run now
	once       sync.Once

	mu       sync.Mutex
	versions map[string]version // guarded by mu; of the members
}

// offeredFor is how long clients are offered nothing that a version of the server has not got, after it was last seen.
const offeredFor = 10 * time.Minute

// learn takes over what a member says. Members of a cluster may be of several versions, while it is upgraded: clients are offered what
// all of them have, so that each can serve them.
func (t *target) learn(f *facts) {
	t.mu.Lock()
	t.seenLocked(f.version, f.has)
	f.offered = t.commonLocked(f.has)
	t.facts.Store(f)
	t.mu.Unlock()
	t.once.Do(func() { close(t.known) })
}

// note says that a member of a version has let somebody in, or greeted him: clients that come are offered no more than it has.
func (t *target) note(name string, has mysqlwire.Capability) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seenLocked(name, has)
	for _, p := range []*atomic.Pointer[facts]{&t.facts, &t.heard} {
		f := p.Load()
		if f == nil {
			continue
		}
		if common := t.commonLocked(f.has); common != f.offered {
			now := *f
			now.offered = common
			p.Store(&now)
		}
	}
}

// seenLocked notes what a version offers. t.mu is held.
func (t *target) seenLocked(name string, has mysqlwire.Capability) {
	if t.versions == nil {
		t.versions = make(map[string]version)
	}
	t.versions[name] = version{has, time.Now()}
}

// commonLocked is what has and all versions offer that were seen lately. t.mu is held.
func (t *target) commonLocked(has mysqlwire.Capability) mysqlwire.Capability {
	for name, v := range t.versions {
		if time.Since(v.seen) > offeredFor {
			delete(t.versions, name)
			continue
		}
		has &= v.offered
	}
	return has
}

// version is what one version of the server offers, and when it was seen last.
type version struct {
	offered mysqlwire.Capability
	seen    time.Time
}

// hear takes over what a greeting says.
func (t *target) hear(f *facts) {
	t.mu.Lock()
	t.seenLocked(f.version, f.has)
	f.offered = t.commonLocked(f.has)
	t.heard.Store(f)
	t.mu.Unlock()
	t.once.Do(func() { close(t.known) })
}

// greeting is what there is to greet clients with; nil: nothing yet.
func (t *target) greeting() *facts {
	if f := t.facts.Load(); f != nil {
		return f
	}
	return t.heard.Load()
}

func (e *Engine) target(p *resource.Proxy) *target {
	id := p.Target.Identity()
	if t, ok := e.targets.Load(id); ok {
		return t.(*target)
	}
	t, _ := e.targets.LoadOrStore(id, &target{known: make(chan struct{}), asks: make(chan struct{}, 1)})
	return t.(*target)
}

// offered are the capabilities that clients are offered, as far as the target has them.
const offered = login.DefaultCapabilities | mysqlwire.ClientOptionalResultsetMetadata | mysqlwire.ClientQueryAttributes |
	mysqlwire.MariaDBClientProgress | mysqlwire.MariaDBClientStmtBulkOperations | mysqlwire.MariaDBClientExtendedMetadata |
	mysqlwire.MariaDBClientBulkUnitResults

// always are capabilities that have nothing to do with the target.
const always = mysqlwire.ClientCompress | mysqlwire.ClientZstdCompression | mysqlwire.ClientConnectWithDB | mysqlwire.ClientConnectAttrs | mysqlwire.ClientPluginAuthLenEncClientData |
	mysqlwire.ClientPluginAuth | mysqlwire.ClientSecureConnection | mysqlwire.ClientProtocol41

// hello makes the greeting of one client.
func hello(f *facts, o engine.AcceptOptions) *login.Hello {
	h := login.NewHello(f.version, o.ID.PID, o.TLS != nil)
	h.Capabilities = offered&f.offered | always
	if f.mariaDB {
		h.Capabilities &^= mysqlwire.ClientLongPassword
	}
	if o.TLS != nil {
		h.Capabilities |= mysqlwire.ClientSSL
	}
	h.Charset, h.Status = f.charset, f.status
	h.Plugin = mysqlwire.PluginCachingSHA2
	if len(o.Proxy.Auth) > 0 && o.Proxy.Auth[0].ClientPasswordAuthType == resource.MySQLNative {
		h.Plugin = mysqlwire.PluginNative
	}
	return h
}

// Greet implements engine.Greeter.
func (e *Engine) Greet(o engine.AcceptOptions) (first []byte, greeting any, ok bool) {
	f := e.target(o.Proxy).greeting()
	if f == nil || o.Full {
		return nil, nil, false
	}
	h := hello(f, o)
	return h.Append(nil), h, true
}

// greetWait is how long a client waits for its greeting when nothing is known of the target yet.
const greetWait = 10 * time.Second

// Accept implements engine.Engine.
func (e *Engine) Accept(ctx context.Context, nc net.Conn, o engine.AcceptOptions) (*engine.Login, error) {
	if o.Full {
		return nil, turnAway(nc, mysqlwire.Error{
			Code: 1040, SQLState: "08004",
			Message: "Number simultaneous connections exceeded (" + strconv.Itoa(o.Proxy.MaxClients) + ")",
		})
	}
	t := e.target(o.Proxy)
	h, greeted := o.Greeting.(*login.Hello)
	if !greeted {
		if t.greeting() == nil {
			o.Block(func() {
				select {
				case <-t.known:
				case <-time.After(greetWait):
				case <-ctx.Done():
				}
			})
		}
		f := t.greeting()
		if f == nil {
			return nil, turnAway(nc, errorOf(engine.ErrBorrowTimeout))
		}
		h = hello(f, o)
	} else {
		h.Sent = true
	}
	var token engine.TokenCheck
	lo := e.acceptOptions(o, &token)
	lo.Hello = h
	if t.facts.Load() == nil {
		lo.Admit = func(c *login.Client) error { return e.learn(ctx, t, o, c) }
	}
	c, err := login.Accept(ctx, nc, lo)
	if err != nil {
		return nil, err
	}
	l := e.login(t.facts.Load(), c)
	l.Token = token.ByToken
	return l, nil
}

// learn finds out the rest of what has to be known of a target, in the name of the first client that has proven who it is:
// that of a proxy whose users have no secrets. The error is for the client.
func (e *Engine) learn(ctx context.Context, t *target, o engine.AcceptOptions, c *login.Client) error {
	err := engine.ErrBorrowTimeout
	if o.Look != nil {
		o.Block(func() { // one after the other: after the first, there is nothing left to ask
			select {
			case t.asks <- struct{}{}:
				defer func() { <-t.asks }()
			case <-time.After(greetWait):
				return
			case <-ctx.Done():
				return
			}
			if t.facts.Load() == nil {
				err = o.Look(ctx, keyOf(c))
			}
		})
	}
	if t.facts.Load() != nil {
		return nil
	}
	told := errorOf(err)
	return &login.Refusal{
		Code: told.Code, SQLState: told.SQLState, Message: told.Message, Err: err,
		Reason: "the database cannot be looked at as this user: " + err.Error(),
	}
}

// turnAway tells a client that it cannot come in.
func turnAway(nc net.Conn, e mysqlwire.Error) error {
	out, at := mysqlwire.BeginPacket(nil)
	bare := e
	bare.SQLState = "" // the client has not said that it knows any
	out, _ = mysqlwire.EndPacket(bare.Append(out), at, 0)
	_, _ = nc.Write(out) // it may have gone; the refusal is the news
	return &login.Refusal{Code: e.Code, SQLState: e.SQLState, Message: e.Message, Reason: e.Message}
}

// acceptOptions are those of one log-in. token will be what judges it, if a token may do so.
func (e *Engine) acceptOptions(o engine.AcceptOptions, token *engine.TokenCheck) login.AcceptOptions {
	lo := login.AcceptOptions{
		RequireTLS: o.Proxy.RequireTLS,
		Lookup: func(ctx context.Context, user string) (*login.Verifier, error) {
			return e.verifier(ctx, o, user, token)
		},
		Block: o.Block,
	}
	if len(o.Proxy.Auth) > 0 {
		lo.UnknownUserAuthType = o.Proxy.Auth[0].ClientPasswordAuthType
	}
	if o.TLS != nil {
		lo.TLS = e.serverTLS(o.TLS)
	}
	return lo
}

// serverTLS is the configuration for handshakes with clients: without session tickets, which some clients of this protocol
// do not expect where they come.
func (e *Engine) serverTLS(cfg *tls.Config) *tls.Config {
	if t, ok := e.tls.Load(cfg); ok {
		return t.(*tls.Config)
	}
	own := cfg.Clone()
	own.SessionTicketsDisabled = true
	t, _ := e.tls.LoadOrStore(cfg, own)
	return t.(*tls.Config)
}

// Protocol bits of engine.Key: what server connections can be shared between.
const (
	// shared are the capabilities that say how the server talks: server connections have those of their clients.
	shared = mysqlwire.ClientFoundRows | mysqlwire.ClientNoSchema | mysqlwire.ClientODBC | mysqlwire.ClientLocalFiles |
		mysqlwire.ClientIgnoreSpace | mysqlwire.ClientInteractive | mysqlwire.ClientMultiStatements | mysqlwire.ClientMultiResults |
		mysqlwire.ClientPSMultiResults | mysqlwire.ClientDeprecateEOF | mysqlwire.ClientOptionalResultsetMetadata |
		mysqlwire.ClientQueryAttributes | mysqlwire.MariaDBExtended&^(1<<62|1<<63)
	// homeless marks sessions that began without a default database.
	homeless uint64 = 1 << 63
	// client marks the pools of clients: without it, the target is being watched.
	client uint64 = 1 << 62
)

// keyOf is the pool of a client.
func keyOf(c *login.Client) engine.Key {
	key := engine.Key{User: c.User, Protocol: uint64(c.Capabilities&shared) | client}
	if c.Database == "" {
		key.Protocol |= homeless
	}
	return key
}

// login makes the result of a connection phase.
func (e *Engine) login(f *facts, c *login.Client) *engine.Login {
	return &engine.Login{
		Conn: c.Conn, TLS: c.TLS, Key: keyOf(c), Buffered: c.Buffered,
		NewSession: func(l engine.Local, id engine.SessionID) engine.Session {
			s := newSession(l.(*local), f, c, id)
			if kind, ok := compress.KindOf(c.Capabilities); ok {
				return compress.New(s, kind, int(c.ZstdLevel))
			}
			return s
		},
	}
}

// verifier finds out how a user proves who it is. token is what judges that if a token may do so.
func (e *Engine) verifier(ctx context.Context, o engine.AcceptOptions, user string, token *engine.TokenCheck) (v *login.Verifier, err error) {
	sec, entry, ok, err := o.Credentials.Recent(user)
	if !ok {
		o.Block(func() { sec, entry, err = o.Credentials.Lookup(ctx, user) })
	}
	*token = engine.TokenCheck{Verify: o.VerifyToken, User: user}
	if errors.Is(err, secret.ErrNotFound) {
		if len(o.Proxy.Auth) == 0 || !o.Proxy.Auth[0].IAMAuth.Tokens() {
			return nil, login.ErrUnknownUser
		}
		token.IAMAuth, token.Unknown = o.Proxy.Auth[0].IAMAuth, true
		return login.NewCheckVerifier(user, token.Check, resource.MySQLCleartext, nil), nil
	}
	if err != nil {
		return nil, err
	}
	if entry.EndToEnd {
		token.IAMAuth = entry.IAMAuth
		return login.NewCheckVerifier(user, token.Check, resource.MySQLCleartext, login.NewCredentials(user, "")), nil
	}
	v = e.proofs.of(sec, authTypeOf(entry))
	if !entry.IAMAuth.Tokens() {
		return v, nil
	}
	token.IAMAuth, token.Password = entry.IAMAuth, v.Holds
	return login.NewCheckVerifier(user, token.Check, resource.MySQLCleartext, v.Credentials()), nil
}

// authTypeOf is how a password is proven under an entry: beside a token only as it is.
func authTypeOf(entry resource.AuthEntry) resource.ClientPasswordAuthType {
	if entry.IAMAuth.Tokens() {
		return resource.MySQLCleartext
	}
	return entry.ClientPasswordAuthType
}

// stranger is whom a target is asked as while nobody is known that it would let in.
const stranger = "forebay"

// Knock implements engine.Knocker.
func (e *Engine) Knock(ctx context.Context, p *resource.Proxy, m engine.Member) error {
	o, err := dialOptions(m.Config())
	if err != nil {
		return err
	}
	o.Credentials = login.NewCredentials(stranger, "")
	s, err := login.Knock(ctx, func(ctx context.Context, _, _ string) (net.Conn, error) { return m.Dial(ctx) }, o)
	if err != nil {
		return err
	}
	e.target(p).hear(greetingOf(s))
	return nil
}

// DefaultDatabase implements engine.Engine: none.
func (e *Engine) DefaultDatabase() string { return "" }

// Open implements engine.Engine.
func (e *Engine) Open(p *resource.Proxy, k engine.Key, c engine.Credentials) engine.Database {
	d := &database{
		eng: e, key: k, creds: c, target: e.target(p), stale: make(chan struct{}, 1),
		caps: mysqlwire.Capability(k.Protocol)&shared | mysqlwire.ClientSessionTrack,
		log:  e.log.With(slog.String("proxy", p.Name), slog.String("user", k.User)),
	}
	if k.Protocol&client == 0 {
		d.caps |= mysqlwire.ClientDeprecateEOF | mysqlwire.ClientMultiResults
	}
	d.proxy.Store(p)
	return d
}
