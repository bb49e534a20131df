package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/login"
	"forebay/internal/engine/postgres/routines"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/wire/pgwire"
)

// database is what the sessions and server connections of one user and database share. It is safe for concurrent use.
type database struct {
	eng   *Engine
	key   engine.Key
	creds engine.Credentials
	log   *slog.Logger
	proxy atomic.Pointer[resource.Proxy]

	routines      atomic.Pointer[sqltext.Routines] // nil: not known, so every routine may do anything
	last          atomic.Pointer[sqltext.Routines] // routines, or what it was before the catalog changed
	print         atomic.Pointer[string]           // fingerprint of the catalog that routines was read from
	stale         chan struct{}                    // one token: the catalog has changed, or the server did not answer
	changes       atomic.Uint64                    // counts the times that routines were forgotten; written under mu, with routines
	schema        atomic.Pointer[schema]           // shared with the other users of the database
	seen          atomic.Uint64                    // of its changes; written under mu
	settled       engine.Moment                    // readers have what the writer had then
	loadMu        sync.Mutex                       // one look at the catalog at a time
	generation    atomic.Uint64                    // of the schema: counts changes that may invalidate prepared statements
	base          atomic.Pointer[reported]         // what a new server connection reports
	initial       atomic.Pointer[settings]         // what init_query sets; nil without one
	temporaryPath atomic.Bool                      // the default search_path may lead to temporary objects
	sequences     atomic.Bool                      // sessions here use currval or lastval
	serializable  [2]atomic.Bool                   // transactions are, by default; of the writer, of standbys
	rotation      engine.Rotation

	mu       sync.Mutex
	welcomes map[engine.Fit]welcome // guarded by mu; by startup settings
}

// welcome is what a client is told at the end of its log-in.
type welcome struct {
	shown reported
	mode  sqltext.Mode // that these settings mean
	bytes []byte       // ParameterStatus messages
}

// maxWelcomes bounds the combinations of startup settings of which the welcome is remembered.
const maxWelcomes = 1000

// welcomeFor returns the welcome for a client with these startup settings, if one like it has been welcomed before.
func (d *database) welcomeFor(startup engine.Fit) (welcome, bool) {
	d.mu.Lock()
	w, ok := d.welcomes[startup]
	d.mu.Unlock()
	if ok {
		return w, true
	}
	// Clients that differ only in their name need no server to learn what it would say.
	ss := settingsOf(startup)
	name, ok := ss.find("application_name")
	if !ok || !printable(name) {
		return welcome{}, false
	}
	d.mu.Lock()
	w, ok = d.welcomes[ss.with(setting{name: "application_name", reset: true}).fit()]
	d.mu.Unlock()
	if !ok {
		return welcome{}, false
	}
	return makeWelcome(settingsOf(w.shown).with(setting{name: "application_name", value: name}).fit()), true
}

// printable reports whether the server takes an application name as it is.
func printable(s string) bool {
	return len(s) < 64 && !strings.ContainsFunc(s, func(r rune) bool { return r < 32 || r > 126 })
}

// newWelcome remembers what the server reports with these startup settings.
func (d *database) newWelcome(startup engine.Fit, now reported) welcome {
	w := makeWelcome(now)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.welcomes) >= maxWelcomes {
		clear(d.welcomes)
	}
	d.welcomes[startup] = w
	return w
}

func makeWelcome(now reported) welcome {
	w := welcome{shown: now, mode: modeOf(now)}
	for _, e := range settingsOf(now) {
		w.bytes = pgwire.AppendParameterStatus(w.bytes, e.name, e.value)
	}
	return w
}

// forgetWelcomes is called when the server has changed: a new connection tells.
func (d *database) forgetWelcomes() {
	d.mu.Lock()
	clear(d.welcomes)
	d.mu.Unlock()
}

func (d *database) maxPrepared() int { return d.proxy.Load().Pool.MaxPreparedStatements }

// Apply implements engine.Database.
func (d *database) Apply(p *resource.Proxy) {
	d.proxy.Store(p)
	if sc := d.eng.schemas.of(p, d.key.Database); d.schema.Swap(sc) != sc { // it is another target now
		d.forgetRoutines()
	}
}

// NewLocal implements engine.Database.
func (d *database) NewLocal(c *engine.Counters) engine.Local {
	if c.Pins == nil {
		c.Pins = make(map[string]uint64)
	}
	return &local{db: d, stmts: newInterned(), counters: c}
}

// local is the part of a database that belongs to one loop.
type local struct {
	db       *database
	stmts    interned
	counters *engine.Counters
	analysis sqltext.Analysis
	cycles   uint64 // counts those that were begun
}

// intern returns the statement with that text and those types, the same for all sessions of the loop.
func (l *local) intern(text, types []byte, mode sqltext.Mode, catalog *sqltext.Routines) *stmt {
	h := l.stmts.hash(text, types)
	if s := l.stmts.find(h, text, types); s != nil && mode == sqltext.Standard {
		return s
	}
	s := &stmt{text: slices.Clone(text), types: slices.Clone(types), hash: h}
	l.analyze(s, mode, catalog)
	// How a prepared EXECUTE is described depends on whose it is.
	if len(text) <= maxInternedText && mode == sqltext.Standard && !s.prepared {
		l.stmts.add(s)
	}
	return s
}

// analyze finds out what a statement may leave behind, given the routines of the database as they are now.
func (l *local) analyze(s *stmt, mode sqltext.Mode, catalog *sqltext.Routines) {
	a := &l.analysis
	s.catalog = catalog
	sqltext.Analyze(s.text, mode, s.catalog, a)
	s.effects = a.Effects
	s.prepared = a.PreparedLen() > 0
	s.reset = resetOf(a)
	s.set, _ = plainSet(a, s.text)
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
	v := &server{db: d, user: in.user, pid: s.PID, secret: s.SecretKey, tx: pgwire.Idle, probeName: newProbeName()}
	for _, p := range s.Params {
		if p.Name == "client_encoding" {
			v.encoding = p.Value
		}
	}
	initial, err := d.prepareServer(ctx, s)
	if err != nil {
		s.Close()
		return engine.Dialed{}, err
	}
	v.fit = initial.fit()
	var rep settings
	for _, p := range s.Params {
		rep = rep.with(setting{name: p.Name, value: p.Value})
	}
	v.reported = rep.fit()
	facts, err := askFacts(ctx, s)
	if err == nil {
		err = d.readDefaults(ctx, s)
	}
	if err != nil {
		s.Close()
		return engine.Dialed{}, wrapLogin(err)
	}
	d.sayDefault(facts)
	v.standby = facts.standby
	if facts.standby == d.key.ReadOnly || d.base.Load() == nil { // else it only serves what may also go to a reader
		now := v.reported // a copy: the connection's own changes, on its loop
		if old := d.base.Swap(&now); old != nil && *old != now {
			d.forgetWelcomes()
		}
	}
	return engine.Dialed{Conn: s.Conn, TLS: s.TLS, Server: v, Limits: facts.capacity, ReadOnly: facts.standby, Previous: in.by == previousPassword, Token: in.by == token, Lease: in.lease}, nil
}

// sayDefault takes over the isolation of transactions that do not say it.
func (d *database) sayDefault(f serverFacts) {
	i := 0
	if f.standby {
		i = 1
	}
	d.serializable[i].Store(f.serializable)
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
	by    proof
	user  string        // at the server
	lease *secret.Lease // of that user; nil: it has no end
}

// login logs in to a member with the secret's present credentials, over the transport that dial gives, or with the
// previous ones where the target refuses these: a rotation changes the secret and the database one after the other, and a
// replica gets a new user late.
func (d *database) login(ctx context.Context, m resource.Member, transport func(context.Context) (net.Conn, error)) (*login.Server, loggedIn, error) {
	sec, entry, err := d.creds.Lookup(ctx, d.key.User)
	if err != nil {
		return nil, loggedIn{}, &loginError{err: fmt.Errorf("credentials of user %q: %w", d.key.User, err), permanent: true}
	}
	o, err := dialOptions(m)
	if err != nil {
		return nil, loggedIn{}, &loginError{err: err}
	}
	o.Database = d.key.Database
	o.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return transport(ctx) }
	if entry.EndToEnd {
		s, err := d.loginByToken(ctx, m, o)
		return s, loggedIn{by: token, user: d.key.User}, err
	}
	present, older, err := d.eng.credentialsOf(sec, entry)
	if err != nil {
		return nil, loggedIn{}, &loginError{err: err, permanent: true}
	}
	o.Credentials = present
	s, previous, err := engine.DialEither(ctx, older != nil, login.PasswordRefused, func(previous bool) (*login.Server, error) {
		if previous {
			o.Credentials = older
		}
		return login.Dial(ctx, o)
	})
	as := sec.AtServer()
	if login.PasswordRefused(err) {
		secret.Doubt(d.creds, secret.Secret{Name: sec.Name, Version: as.Version}) // for the next attempt
	}
	switch {
	case err == nil:
		d.rotation.SucceededAt(m.Address())
	case login.PasswordRefused(err) && d.rotation.RefusedAt(m.Address()):
		e := wrapLogin(err).(*loginError)
		e.permanent = false
		return nil, loggedIn{}, e
	default:
		return nil, loggedIn{}, wrapLogin(err)
	}
	in := loggedIn{by: password, user: as.Username, lease: as.Lease}
	if previous {
		in = loggedIn{by: previousPassword, user: as.Previous.Username, lease: as.Previous.Lease}
	}
	if previous && d.rotation.Say(sec.Versions()+as.Version) {
		d.log.Warn("the database has refused a secret's current password, and taken the previous one", slog.String("secret", sec.Name))
	}
	return s, in, nil
}

// credentialsOf are what logs the clients of a secret in to servers, now and, or else nil, before.
func (e *Engine) credentialsOf(sec secret.Secret, entry resource.AuthEntry) (present, older *login.Credentials, err error) {
	if sec.Login == nil {
		v, err := e.verifiers.Of(sec, authTypeOf(entry))
		if err != nil {
			return nil, nil, err
		}
		return v.Credentials(), v.Previous(), nil
	}
	// What clients prove says nothing of the database's own user. The keys derived from its password are kept all the same.
	of := func(l secret.Login) (*login.Credentials, error) {
		v, err := e.verifiers.Of(secret.Secret{Name: sec.Name, Version: l.Version, Username: l.Username, Password: l.Password}, resource.PostgresCleartext)
		if err != nil {
			return nil, err
		}
		return v.Credentials(), nil
	}
	if present, err = of(*sec.Login); err == nil && sec.Login.Previous != nil {
		older, err = of(*sec.Login.Previous)
	}
	return present, older, err
}

// loginByToken logs a user in that has no secret, by a token of the proxy's role: a new one each time, since it soon ends and
// costs little.
func (d *database) loginByToken(ctx context.Context, m resource.Member, o login.DialOptions) (*login.Server, error) {
	t, err := d.creds.Token(ctx, d.proxy.Load(), m, d.key.User)
	if err != nil {
		e := &loginError{err: fmt.Errorf("user %q: %w", d.key.User, err), permanent: errors.Is(err, engine.ErrNoToken)}
		if e.permanent {
			e.reply = noCredentials(d.key.User)
		}
		return nil, e
	}
	o.Credentials = login.NewTokenCredentials(d.key.User, t)
	s, err := login.Dial(ctx, o)
	if err != nil {
		e := wrapLogin(err).(*loginError)
		if errors.Is(err, login.ErrAuth) && e.reply == nil { // it would take something else than a token
			e.reply, e.permanent = noCredentials(d.key.User), true
		}
		return nil, e
	}
	return s, nil
}

// noCredentials is what a client hears that the proxy may not log in to the database (contract section 4.4).
func noCredentials(user string) *pgwire.Error {
	return &pgwire.Error{
		Severity: "FATAL", Code: "28000",
		Message: "This RDS proxy has no credentials for the role " + user + ". Check the credentials for this role and try again.",
	}
}

// prepareServer does what has to be done once on each new server connection. It returns the settings that the init_query
// has made: every session begins with them.
func (d *database) prepareServer(ctx context.Context, s *login.Server) (settings, error) {
	// A reader may have those of before: what the sessions of writers are to know is asked of the writer.
	ask := d.routines.Load() == nil
	if ask && !d.key.ReadOnly {
		rows, err := s.Query(ctx, `SELECT pg_catalog.pg_is_in_recovery()`)
		if err != nil {
			return nil, wrapLogin(err)
		}
		ask = len(rows) == 1 && len(rows[0]) == 1 && rows[0][0] != nil && *rows[0][0] == "f"
		if !ask {
			d.look()
		}
	}
	if ask {
		if err := d.loadRoutines(ctx, s); err != nil {
			d.log.Warn("the database's routines could not be read: every statement that calls one is followed by a look at the session",
				slog.String("database", d.key.Database), slog.String("user", d.key.User), slog.Any("error", err))
		}
	}
	q := d.proxy.Load().Pool.InitQuery
	if q == "" {
		d.initial.Store(nil)
		return nil, nil
	}
	if _, err := s.Query(ctx, q); err != nil {
		return nil, wrapLogin(fmt.Errorf("init_query: %w", err))
	}
	initial, err := d.sessionSettings(ctx, s, q)
	if err != nil {
		return nil, wrapLogin(fmt.Errorf("settings after init_query: %w", err))
	}
	d.initial.Store(&initial)
	return initial, nil
}

// sessionSettings asks a connection what the given text has set.
func (d *database) sessionSettings(ctx context.Context, s *login.Server, text string) (settings, error) {
	sql := `SELECT name, setting FROM pg_catalog.pg_settings WHERE source = 'session' AND name NOT LIKE 'transaction\_%'`
	var a sqltext.Analysis
	sqltext.Analyze([]byte(text), sqltext.Standard, d.routines.Load(), &a)
	for i := range a.SettingsLen() {
		var b strings.Builder
		writeLiteral(&b, string(a.Setting(i)))
		sql += ` UNION ALL SELECT ` + b.String() + `, pg_catalog.current_setting(` + b.String() + `, true)`
	}
	rows, err := s.Query(ctx, sql+` UNION ALL SELECT 'role', pg_catalog.current_setting('role')`)
	if err != nil {
		return nil, err
	}
	var all settings
	for _, r := range rows {
		if len(r) != 2 || r[0] == nil || r[1] == nil || *r[0] == settingRole && *r[1] == "none" {
			continue
		}
		all = all.with(setting{name: lower(*r[0]), value: *r[1]})
	}
	return all, nil
}

// readDefaults learns what the server's own defaults for this user and database mean for us.
func (d *database) readDefaults(ctx context.Context, s *login.Server) error {
	rows, err := s.Query(ctx, `SELECT 1 FROM pg_catalog.pg_settings WHERE name = 'search_path' AND setting LIKE '%pg_temp%'`)
	if err != nil {
		return err
	}
	d.temporaryPath.Store(len(rows) > 0)
	return nil
}

// loadRoutines reads the database's catalog of routines, unless it is as it was.
func (d *database) loadRoutines(ctx context.Context, q routines.Querier) error {
	d.loadMu.Lock()
	defer d.loadMu.Unlock()
	before := d.changes.Load()
	print, err := routines.Fingerprint(ctx, q)
	if err != nil {
		return err
	}
	r := d.last.Load()
	if old := d.print.Load(); old == nil || *old != print || r == nil {
		if r, err = routines.Load(ctx, q); err != nil {
			d.routines.Store(nil)
			return err
		}
	} else if d.routines.Load() == r {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changes.Load() != before {
		return nil // what was read may be older than the change; stale has a token, so it is read again
	}
	d.routines.Store(r)
	d.last.Store(r)
	d.print.Store(&print)
	return nil
}

// customSettings are those that the routines may set. While the catalog is read again they are those of before: a look at
// a session must not miss what an old routine has set.
func (d *database) customSettings() []string { return d.last.Load().Settings() }

// look has Maintain called soon.
func (d *database) look() {
	select {
	case d.stale <- struct{}{}:
	default:
	}
}

// Stale implements engine.Database.
func (d *database) Stale() <-chan struct{} { return d.stale }

// Maintain implements engine.Database: it reads the catalog of routines again when that has changed.
func (d *database) Maintain(ctx context.Context, m engine.Member) (engine.Capacity, error) {
	s, _, err := d.login(ctx, m.Config(), m.Dial)
	if err != nil {
		if answered(err) {
			return engine.Capacity{}, &engine.AnswerError{Err: err}
		}
		return engine.Capacity{}, err
	}
	defer s.Close()
	facts, err := askFacts(ctx, s)
	c := facts.capacity
	if err != nil {
		return c, err
	}
	d.sayDefault(facts)
	if err := d.loadRoutines(ctx, s); err != nil {
		return c, fmt.Errorf("routines of database %q: %w", d.key.Database, err)
	}
	return c, nil
}

// loginError is a failed log-in to a server. Permanent ones fail the clients that wait; others are tried again until
// their borrow timeout.
type loginError struct {
	err       error
	reply     *pgwire.Error
	permanent bool
}

func (e *loginError) Error() string   { return e.err.Error() }
func (e *loginError) Permanent() bool { return e.permanent }

// Unwrap lets a client be told what the server said.
func (e *loginError) Unwrap() []error {
	if e.reply != nil {
		return []error{e.err, e.reply}
	}
	return []error{e.err}
}

// answered reports whether a failed log-in is the server's own refusal, other than that it starts, stops or recovers (57P03).
func answered(err error) bool {
	var le *loginError
	return errors.As(err, &le) && le.reply != nil && !errors.Is(err, login.ErrUnreachable)
}

func wrapLogin(err error) error {
	var se *login.ServerError
	if !errors.As(err, &se) {
		return &loginError{err: err}
	}
	return &loginError{
		err:       err,
		reply:     &pgwire.Error{Severity: "FATAL", Code: se.Code, Message: se.Message, Detail: se.Detail, Hint: se.Hint},
		permanent: permanentCode(se.Code),
	}
}

// permanentCode reports whether waiting will not help: wrong credentials (28), no such database (3D), no privilege (42).
func permanentCode(code string) bool {
	return strings.HasPrefix(code, "28") || strings.HasPrefix(code, "3D") || strings.HasPrefix(code, "42") || strings.HasPrefix(code, "22")
}
