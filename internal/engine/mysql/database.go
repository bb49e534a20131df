package mysql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/engine/mysql/routines"
	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/targettls"
	"forebay/internal/wire/mysqlwire"
)

// database is what the sessions and server connections of one user, with one set of capabilities, share.
type database struct {
	// Static after Open.
	eng    *Engine
	key    engine.Key
	creds  engine.Credentials
	target *target
	log    *slog.Logger
	caps   mysqlwire.Capability // of server connections, but for those that log-in adds
	stale  chan struct{}

	proxy    atomic.Pointer[resource.Proxy]
	limits   atomic.Pointer[limits]           // nil: no log-in yet
	routines atomic.Pointer[routines.Catalog] // written under mu
	less     atomic.Pointer[less]             // of routines, where readers may have others; nil: not needed yet
	print    atomic.Pointer[string]           // what the routines were read with; written under mu
	seen     atomic.Uint64                    // target.changes when the routines were read, or forgotten
	forgets  atomic.Uint64                    // counts the times that routines were forgotten; written under mu
	settled  engine.Moment                    // readers have what the writer had then
	loadMu   sync.Mutex                       // one read of the routines at a time
	initial  atomic.Pointer[settings]         // what init_query sets; nil: nothing, or not known yet
	rotation engine.Rotation

	mu         sync.Mutex
	schemas    map[string]bool   // guarded by mu; default databases that the user may have
	collations map[string]string // guarded by mu; what a connection's character set was seen to bring with it
}

// Bounds of what is kept beside the pools.
const (
	maxSchemas    = 4096
	maxCollations = 1024
)

// knows reports whether the user was seen to be let into a database.
func (d *database) knows(schema string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.schemas[schema]
}

func (d *database) remember(schema string, usable bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !usable:
		delete(d.schemas, schema)
		return
	case d.schemas == nil || len(d.schemas) >= maxSchemas:
		d.schemas = make(map[string]bool)
	}
	d.schemas[schema] = true
}

// collationOf is the collation that SET NAMES was seen to choose.
func (d *database) collationOf(key string) (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.collations[key]
	return c, ok
}

func (d *database) rememberCollation(key, collation string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.collations == nil || len(d.collations) >= maxCollations {
		d.collations = make(map[string]string)
	}
	d.collations[key] = collation
}

// maxPrepared is how many statements are kept prepared on each server connection.
func (d *database) maxPrepared() int {
	c := &d.proxy.Load().Pool
	if k := d.limits.Load(); k != nil {
		return k.prepared(c)
	}
	return max(1, c.MaxPreparedStatements)
}

// limits are those of a server as a log-in has found them last.
type limits struct {
	connections int // max_connections
	statements  int // max_prepared_stmt_count, of all connections together
}

// prepared is how many statements a pool keeps prepared on each of its server connections: as many as it is to, and no more than its
// connections have of max_prepared_stmt_count together, of which it may use as much as of max_connections. Those that clients have closed
// count there, too, and would leave nothing for those that they open.
func (k *limits) prepared(c *resource.ConnectionPoolConfig) int {
	n := c.MaxPreparedStatements
	if k.statements >= 0 {
		n = min(n, k.statements*c.MaxConnectionsPercent/100/c.MaxOpen(k.connections))
	}
	return max(1, n)
}

// Apply implements engine.Database.
func (d *database) Apply(p *resource.Proxy) { d.proxy.Store(p) }

// NewLocal implements engine.Database.
func (d *database) NewLocal(c *engine.Counters) engine.Local {
	if c.Pins == nil {
		c.Pins = make(map[string]uint64)
	}
	return &local{db: d, counters: c, stmts: newInterned()}
}

// local is the part of a database that belongs to one loop.
type local struct {
	db       *database
	counters *engine.Counters
	stmts    interned
	analysis sqltext.Analysis
	reading  reading
	scratch  []byte
	types    []byte // of parameters, for the time of a call
	execute  []byte // the COM_STMT_EXECUTE that is looked into, for the time of a call; nil: it is not whole
}

// Dial implements engine.Database.
func (d *database) Dial(ctx context.Context, m resource.Member, transport func(context.Context) (net.Conn, error)) (engine.Dialed, error) {
	s, in, err := d.login(ctx, m, transport)
	if err != nil {
		if ctx.Err() == nil && !answered(err) {
			d.look()
		}
		return engine.Dialed{}, err
	}
	d.target.note(s.FullVersion, s.Offered)
	if lacks := d.lacks(s.Capabilities); lacks != 0 {
		s.Close()
		return engine.Dialed{}, &loginError{permanent: true, err: fmt.Errorf("mysql: server %s cannot talk to these clients, who have logged in when it was a newer one: it lacks the capabilities %#x", s.Version, uint64(lacks))}
	}
	v, now, err := d.prepareServer(ctx, s)
	if err != nil {
		s.Close()
		return engine.Dialed{}, wrapLogin(err)
	}
	if in.lease != nil {
		v.leased = in.credentials
	}
	return engine.Dialed{
		Conn: s.Conn, TLS: s.TLS, Server: v,
		Limits: now.capacity, ReadOnly: now.readOnly, Previous: in.by == previousPassword, Token: in.by == token, Lease: in.lease,
	}, nil
}

// framing are capabilities that say what packets look like: those of a client pass as they are.
const framing = mysqlwire.ClientDeprecateEOF | mysqlwire.ClientOptionalResultsetMetadata | mysqlwire.ClientQueryAttributes |
	shared&mysqlwire.MariaDBExtended

// lacks are those of them that sessions have and a server connection has not: it is to a member of an older version.
func (d *database) lacks(has mysqlwire.Capability) mysqlwire.Capability {
	return d.caps & framing &^ has
}

// present is what a log-in finds of its server that facts do not tell: members of one cluster differ in it.
type present struct {
	capacity engine.Capacity
	readOnly bool // it takes no writes
}

// prepareServer does what has to be done once on each new server connection.
func (d *database) prepareServer(ctx context.Context, s *login.Server) (v *server, now present, err error) {
	f := d.target.facts.Load()
	if f == nil || f.version != s.FullVersion {
		if f, err = readFacts(ctx, s); err != nil {
			return nil, now, err
		}
		d.target.learn(f)
	}
	first := d.routines.Load() == nil
	if first {
		if err := d.loadRoutines(ctx, s); err != nil {
			return nil, now, fmt.Errorf("routines: %w", err)
		}
	}
	if !s.Capabilities.Has(mysqlwire.ClientSessionTrack) {
		return nil, now, fmt.Errorf("server %s does not track session state: MySQL 5.7 or MariaDB 10.2 is needed", s.Version)
	}
	if _, err := s.Query(ctx, f.tracking); err != nil {
		return nil, now, fmt.Errorf("session tracking: %w", err)
	}
	v = &server{db: d, thread: s.ConnectionID, caps: s.Capabilities, mariaDB: s.MariaDB, number: f.number}
	var initial settings
	if q := d.proxy.Load().Pool.InitQuery; q != "" {
		if _, err := s.Query(ctx, q); err != nil {
			return nil, now, fmt.Errorf("init_query: %w", err)
		}
		if initial, err = d.initialSettings(ctx, s, f); err != nil {
			return nil, now, fmt.Errorf("settings after init_query: %w", err)
		}
	}
	// What the log-in has said of character sets is not what sessions get that name none: they are always set.
	// A replica of Aurora shows by innodb_read_only what it is; MariaDB can be without InnoDB.
	volume := "@@GLOBAL.innodb_read_only"
	if s.MariaDB {
		volume = "0"
	}
	row, err := one(ctx, s, "SELECT @@character_set_client, @@character_set_connection, @@character_set_results, @@collation_connection, @@sql_mode, DATABASE(), @@GLOBAL.read_only, "+volume+", @@GLOBAL.max_connections, @@GLOBAL.max_prepared_stmt_count", 10)
	if err != nil {
		return nil, now, err
	}
	switch {
	case d.proxy.Load().Pool.InitQuery == "":
		d.initial.Store(nil)
	case row[5] != "": // it has a USE: where sessions begin that name no other
		initial = initial.with(settingSchema, row[5])
		fallthrough
	default:
		d.initial.Store(&initial)
	}
	now.readOnly = isOn(row[6]) || isOn(row[7])
	if first && now.readOnly && !d.key.ReadOnly {
		d.forgetRoutines() // they may be those of before: what the sessions of writers are to know is asked of the writer
	}
	if now.capacity.MaxConnections, err = strconv.Atoi(row[8]); err != nil {
		return nil, now, fmt.Errorf("max_connections: %w", err)
	}
	statements, err := strconv.Atoi(row[9])
	if err != nil {
		return nil, now, fmt.Errorf("max_prepared_stmt_count: %w", err)
	}
	d.limits.Store(&limits{now.capacity.MaxConnections, statements})
	fit := initial
	for i, name := range []string{varClient, varConnection, varResults, varCollation} {
		fit = fit.with(name, charsetLiteral(name, row[i]))
	}
	v.fit, v.sqlMode = fit.fit(), row[4]
	if s.MariaDB || f.number >= 80000 {
		role, err := one(ctx, s, "SELECT CURRENT_ROLE()", 1)
		if err != nil {
			return nil, now, err
		}
		v.role = roleLiteral(role[0], s.MariaDB)
	}
	v.status = s.Status
	return v, now, nil
}

// initialSettings asks a connection what its init_query has set: the variables whose values are not those of a session that
// begins now. What it does beside that is done on every server connection, and nothing that a session does undoes it.
func (d *database) initialSettings(ctx context.Context, s *login.Server, f *facts) (settings, error) {
	sql := `SELECT LOWER(s.VARIABLE_NAME), s.VARIABLE_VALUE FROM performance_schema.session_variables s
		JOIN performance_schema.global_variables g USING (VARIABLE_NAME) WHERE s.VARIABLE_VALUE <> g.VARIABLE_VALUE`
	if f.mariaDB {
		sql = `SELECT LOWER(VARIABLE_NAME), SESSION_VALUE FROM information_schema.SYSTEM_VARIABLES
			WHERE VARIABLE_SCOPE = 'SESSION' AND SESSION_VALUE <> GLOBAL_VALUE`
	}
	rows, err := s.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	var all settings
	for _, r := range rows {
		if len(r) != 2 || r[0] == nil || r[1] == nil || !carriedVariable(*r[0]) {
			continue
		}
		all = all.with(f.settingName(*r[0]), literal(*r[1]))
	}
	return all, nil
}

// proof is what has let us in to a server.
type proof uint8

const (
	password proof = iota
	previousPassword
	token
)

// loggedIn says how a log-in went.
type loggedIn struct {
	by          proof
	credentials *login.Credentials
	lease       *secret.Lease // of the user; nil: it has no end
}

// login logs in to a member with the secret's present credentials, over the transport that dial gives, or with the
// previous ones where the target refuses these: a rotation changes the secret and the database one after the other, and a
// replica gets a new user late.
func (d *database) login(ctx context.Context, m resource.Member, transport func(context.Context) (net.Conn, error)) (*login.Server, loggedIn, error) {
	sec, entry, err := d.creds.Lookup(ctx, d.key.User)
	if err != nil {
		return nil, loggedIn{}, &loginError{err: fmt.Errorf("credentials of user %q: %w", d.key.User, err), permanent: true}
	}
	dial, o, err := d.dialOptions(m, transport)
	if err != nil {
		return nil, loggedIn{}, err
	}
	if entry.EndToEnd {
		s, err := d.loginByToken(ctx, m, dial, o)
		return s, loggedIn{by: token}, err
	}
	present, older := d.eng.credentialsOf(sec, entry)
	o.Credentials = present
	s, previous, err := engine.DialEither(ctx, older != nil, login.PasswordRefused, func(previous bool) (*login.Server, error) {
		if previous {
			o.Credentials = older
		}
		return login.Dial(ctx, dial, o)
	})
	as := sec.AtServer()
	if login.PasswordRefused(err) {
		secret.Doubt(d.creds, secret.Secret{Name: sec.Name, Version: as.Version}) // for the next attempt
	}
	switch {
	case err == nil:
		d.rotation.SucceededAt(m.Address())
	case login.PasswordRefused(err) && d.rotation.RefusedAt(m.Address()):
		return nil, loggedIn{}, &loginError{err: err}
	default:
		return nil, loggedIn{}, wrapLogin(err)
	}
	in := loggedIn{by: password, credentials: present, lease: as.Lease}
	if previous {
		in = loggedIn{by: previousPassword, credentials: older, lease: as.Previous.Lease}
	}
	if previous && d.rotation.Say(sec.Versions()+as.Version) {
		d.log.Warn("the database has refused a secret's current password, and taken the previous one", slog.String("secret", sec.Name))
	}
	return s, in, nil
}

// loginAs logs in to a member with credentials of a server connection's log-in.
func (d *database) loginAs(ctx context.Context, m resource.Member, transport func(context.Context) (net.Conn, error), c *login.Credentials) (*login.Server, error) {
	dial, o, err := d.dialOptions(m, transport)
	if err != nil {
		return nil, err
	}
	o.Credentials = c
	return login.Dial(ctx, dial, o)
}

// dialOptions are the options for a log-in to a member, but for whose.
func (d *database) dialOptions(m resource.Member, transport func(context.Context) (net.Conn, error)) (login.Transport, login.DialOptions, error) {
	o, err := dialOptions(m)
	if err != nil {
		return nil, o, &loginError{err: err}
	}
	o.Capabilities = d.caps
	o.Attributes = []mysqlwire.Attribute{{Name: "program_name", Value: "forebay"}}
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return transport(ctx) }, o, nil
}

// credentialsOf are what logs the clients of a secret in to servers, now and, or else nil, before.
func (e *Engine) credentialsOf(sec secret.Secret, entry resource.AuthEntry) (present, older *login.Credentials) {
	l := sec.Login
	if l == nil {
		v := e.proofs.of(sec, authTypeOf(entry))
		return v.Credentials(), v.Previous()
	}
	// What clients prove says nothing of the database's own user.
	present = login.NewCredentials(l.Username, l.Password)
	if p := l.Previous; p != nil {
		older = login.NewCredentials(p.Username, p.Password)
	}
	return present, older
}

// loginByToken logs a user in that has no secret, by a token of the proxy's role: a new one each time, since it soon ends and
// costs little.
func (d *database) loginByToken(ctx context.Context, m resource.Member, dial login.Transport, o login.DialOptions) (*login.Server, error) {
	t, err := d.creds.Token(ctx, d.proxy.Load(), m, d.key.User)
	if err != nil {
		e := &loginError{err: fmt.Errorf("user %q: %w", d.key.User, err), permanent: errors.Is(err, engine.ErrNoToken)}
		if e.permanent {
			e.reply = noCredentials(d.key.User)
		}
		return nil, e
	}
	o.Credentials = login.NewTokenCredentials(d.key.User, t)
	s, err := login.Dial(ctx, dial, o)
	if err != nil {
		e := wrapLogin(err).(*loginError)
		if errors.Is(err, login.ErrAuth) && !login.PasswordRefused(err) { // it may want something else than a token
			e.reply = noCredentials(d.key.User)
		}
		return nil, e
	}
	return s, nil
}

// noCredentials is what a client hears that the proxy may not log in to the database (contract section 4.3).
func noCredentials(user string) *login.ServerError {
	return &login.ServerError{Code: 1045, SQLState: "28000", Message: "Access denied for user '" + user + "'@'%' (using password: YES)"}
}

// Stale implements engine.Database.
func (d *database) Stale() <-chan struct{} { return d.stale }

// look has Maintain called soon.
func (d *database) look() {
	select {
	case d.stale <- struct{}{}:
	default:
	}
}

// Maintain implements engine.Database: it reads what a greeting says again, and how many connections the target allows.
func (d *database) Maintain(ctx context.Context, m engine.Member) (engine.Capacity, error) {
	s, _, err := d.login(ctx, m.Config(), m.Dial)
	if err != nil {
		if !answered(err) {
			return engine.Capacity{}, err
		}
		if d.target.greeting() == nil {
			// Clients are greeted all the same, and each is asked for in its own name: nothing tells when the server will let one in.
			_ = d.eng.Knock(ctx, d.proxy.Load(), m) // with what the refusal was about, there is nothing to add
		}
		return engine.Capacity{}, &engine.AnswerError{Err: err}
	}
	defer s.Close()
	f, err := readFacts(ctx, s)
	if err != nil {
		return engine.Capacity{}, err
	}
	d.target.learn(f)
	if err := d.loadRoutines(ctx, s); err != nil {
		return engine.Capacity{MaxConnections: f.maxConns}, fmt.Errorf("routines: %w", err)
	}
	return engine.Capacity{MaxConnections: f.maxConns}, nil
}

// loadRoutines reads the routines that the user may see, unless they are as they were.
func (d *database) loadRoutines(ctx context.Context, s *login.Server) error {
	d.loadMu.Lock()
	defer d.loadMu.Unlock()
	before, forgets := d.target.changes.Load(), d.forgets.Load()
	print, err := routines.Fingerprint(ctx, s)
	if err != nil {
		return err
	}
	d.mu.Lock()
	old := d.print.Load()
	same := old != nil && *old == print
	if same {
		d.seen.Store(before)
	}
	d.mu.Unlock()
	if same {
		return nil
	}
	c, err := routines.Load(ctx, s)
	if err != nil {
		return err
	}
	if !c.SeesTriggers() && d.routines.Load() == nil {
		d.log.Warn("the user lacks the privilege TRIGGER somewhere: after a write a server connection is reset before another client has it")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.forgets.Load() != forgets { // while they were read
		d.routines.Store(c.WithoutRoutines())
		d.look()
		return nil
	}
	d.routines.Store(c)
	d.seen.Store(before)
	d.print.Store(&print)
	if d.target.changes.Load() != before {
		d.look() // what was read may be older than the change
	}
	return nil
}

// knownRoutines are the routines, without those of which nothing is known since a statement may have changed them.
func (d *database) knownRoutines() *routines.Catalog {
	if d.seen.Load() != d.target.changes.Load() {
		d.forgetRoutines()
	}
	return d.routines.Load()
}

// forgetRoutines knows nothing of routines until they have been read again.
func (d *database) forgetRoutines() {
	d.mu.Lock()
	d.seen.Store(d.target.changes.Load())
	d.print.Store(nil)
	d.forgets.Add(1)
	d.routines.Store(d.routines.Load().WithoutRoutines())
	d.mu.Unlock()
	d.look()
}

// schemaChanged says that a statement has changed what prepared ones may mean, and maybe routines, triggers or views.
func (d *database) schemaChanged(program bool) {
	d.target.generation.Add(1)
	if program {
		d.target.at.Advance(time.Now())
		d.target.changes.Add(1)
		d.forgetRoutines()
	}
}

// Changed implements engine.Follower.
func (d *database) Changed() time.Time { return d.target.at.Time() }

// Settled implements engine.Follower. What a reader has said of its routines before may be out of date.
func (d *database) Settled(at time.Time) {
	if d.settled.Advance(at) && d.key.ReadOnly {
		d.forgetRoutines()
	}
}

// unsettled reports whether the session is at a reader, to which what has changed of routines, triggers and views may have yet to
// come.
func (s *session) unsettled() bool {
	d := s.l.db
	return (d.key.ReadOnly || s.guarded) && d.target.at.After(&d.settled)
}

// knownRoutines are those that are known where the session is.
func (s *session) knownRoutines() *routines.Catalog {
	d := s.l.db
	c := d.knownRoutines()
	if c == nil || !s.unsettled() {
		return c
	}
	l := d.less.Load()
	if l == nil || l.of != c {
		l = &less{of: c, has: c.WithoutRoutines()}
		d.less.Store(l)
	}
	return l.has
}

// less is a catalog without its routines.
type less struct{ of, has *routines.Catalog }

// loginError is a failed log-in to a server. Permanent ones fail the clients that wait; others are tried again until
// their borrow timeout.
type loginError struct {
	err       error
	reply     *login.ServerError // what a client is told where err holds nothing for it; nil: nothing in particular
	permanent bool
}

func (e *loginError) Error() string   { return e.err.Error() }
func (e *loginError) Permanent() bool { return e.permanent }

// Unwrap lets a client be told what the server said, or would have.
func (e *loginError) Unwrap() []error {
	if e.reply != nil {
		return []error{e.err, e.reply}
	}
	return []error{e.err}
}

// answered reports whether a failed log-in is the server's own refusal, other than that it starts or stops.
func answered(err error) bool {
	var se *login.ServerError
	return errors.As(err, &se) && !errors.Is(err, login.ErrUnreachable)
}

func wrapLogin(err error) error {
	return &loginError{err: err, permanent: errors.Is(err, login.ErrAuth) || errors.Is(err, login.ErrNoDatabase)}
}

// dialOptions are the options for reaching a member that do not depend on the user.
func dialOptions(m resource.Member) (login.DialOptions, error) {
	roots, err := targettls.Roots(m.CAFile)
	if err != nil {
		return login.DialOptions{}, fmt.Errorf("mysql: %w", err)
	}
	return login.DialOptions{Address: m.Address(), TLSMode: m.TLSMode, RootCAs: roots}, nil
}
