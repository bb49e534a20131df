package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/engine/sqlserver/routines"
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/targettls"
)

// database is what the sessions and server connections of one user and database, logged in alike, share.
type database struct {
	// Static after Open.
	eng    *Engine
	key    engine.Key
	creds  engine.Credentials
	target *target
	log    *slog.Logger
	stale  chan struct{}

	proxy    atomic.Pointer[resource.Proxy]
	last     atomic.Pointer[login.Server] // what the last log-in has found; without its Conn
	initial  atomic.Pointer[settings.Set] // what sessions begin with; nil: not known yet
	rotation engine.Rotation

	routines atomic.Pointer[routines.Catalog] // nil: not known
	seen     atomic.Uint64                    // target.changes when they were read
	loadMu   sync.Mutex                       // one read at a time
	print    string                           // what they were read with; guarded by loadMu
	told     string                           // what the log has been told of them; guarded by loadMu
	refused  atomic.Bool                      // the server does not answer
}

// welcome is what clients are told of the server: nil until a log-in has found out. It is not to be changed.
func (d *database) welcome() *login.Server { return d.last.Load() }

// begin are the settings that sessions begin with: those of a log-in, and what the init query has made of them. ok is false
// until a log-in has found out.
func (d *database) begin() (s settings.Set, ok bool) {
	if p := d.initial.Load(); p != nil {
		return *p, true
	}
	return s, false
}

// Apply implements engine.Database.
func (d *database) Apply(p *resource.Proxy) { d.proxy.Store(p) }

// NewLocal implements engine.Database.
func (d *database) NewLocal(c *engine.Counters) engine.Local {
	if c.Pins == nil {
		c.Pins = make(map[string]uint64)
	}
	return newLocal(d, c)
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

// Dial implements engine.Database.
func (d *database) Dial(ctx context.Context, m resource.Member, transport func(context.Context) (net.Conn, error)) (engine.Dialed, error) {
	s, in, err := d.login(ctx, m, transport)
	if err != nil {
		if ctx.Err() == nil && !answered(err) {
			d.look()
		}
		return engine.Dialed{}, err
	}
	f, err := d.prepare(ctx, s)
	if err != nil {
		s.Close()
		return engine.Dialed{}, wrapLogin(err)
	}
	return engine.Dialed{
		Conn: s.Conn, TLS: s.TLS, Server: newServer(d, s), Limits: engine.Capacity{MaxConnections: f.maxConns},
		ReadOnly: f.readOnly, Previous: in.previous, Lease: in.lease,
	}, nil
}

// prepare does what has to be done once on each new server connection.
func (d *database) prepare(ctx context.Context, s *login.Server) (facts, error) {
	f, err := ask(ctx, s)
	if err != nil {
		return f, err
	}
	d.learn(s, f)
	if d.routines.Load() == nil && !d.refused.Load() {
		if err := d.readRoutines(ctx, s); err != nil {
			return f, fmt.Errorf("modules: %w", err)
		}
	}
	initial := s.Settings
	if q := d.proxy.Load().Pool.InitQuery; q != "" {
		if err := s.Exec(ctx, q); err != nil {
			return f, fmt.Errorf("init_query: %w", err)
		}
		if initial, err = present(ctx, s); err != nil {
			return f, fmt.Errorf("settings after init_query: %w", err)
		}
	}
	if (s.Settings.Options|initial.Options)&settings.ImplicitTransactions != 0 {
		// Then what has been asked here has begun a transaction.
		if err := s.Exec(ctx, "IF @@TRANCOUNT > 0 COMMIT TRANSACTION"); err != nil {
			return f, fmt.Errorf("end the transaction of the questions: %w", err)
		}
	}
	told := *s
	told.Conn = nil
	d.initial.Store(&initial)
	d.last.Store(&told)
	return f, nil
}

// learn takes over what a log-in has found out.
func (d *database) learn(s *login.Server, f facts) {
	d.target.version.Store(s.ProgVersion)
	d.target.maxConns.Store(int64(f.maxConns))
	if f.hasOptions {
		s.Settings = s.Settings.WithOptions(f.options)
	}
}

// login logs in to a member with the secret's present credentials, over the transport that dial gives, or with the
// previous ones where the target refuses these: a rotation changes the secret and the database one after the other. It
// reports as whom.
func (d *database) login(ctx context.Context, m resource.Member, transport func(context.Context) (net.Conn, error)) (*login.Server, loggedIn, error) {
	sec, entry, err := d.creds.Lookup(ctx, d.key.User)
	if err != nil {
		return nil, loggedIn{}, &loginError{err: fmt.Errorf("credentials of user %q: %w", d.key.User, err), permanent: true}
	}
	if entry.EndToEnd { // the contract has none for SQL Server (6.3)
		return nil, loggedIn{}, &loginError{err: fmt.Errorf("user %q: SQL Server has no end-to-end IAM", d.key.User), permanent: true}
	}
	o, err := dialOptions(m)
	if err != nil {
		return nil, loggedIn{}, &loginError{err: err}
	}
	applyKey(d.key, &o)
	if v := d.target.version.Load(); v>>24 > 0 && v>>24 < 13 {
		o.Features.ColumnEncryption = 0 // SQL Server has it since 2016; Babelfish, which calls itself 2014, never answers
	}
	o.Application = "forebay"
	as := sec.AtServer()
	s, in, err := dialAs(ctx, as, o, transport)
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
	if in.previous && d.rotation.Say(sec.Versions()+as.Version) {
		d.log.Warn("the database has refused a secret's current password, and taken the previous one", slog.String("secret", sec.Name))
	}
	return s, in, nil
}

// loggedIn says as whom a server connection has been logged in.
type loggedIn struct {
	previous bool          // by the password before the current one
	lease    *secret.Lease // of the user; nil: it has no end
}

// dialAs logs in as a secret says, with its current password or else with the one before it.
func dialAs(ctx context.Context, as secret.Login, o login.DialOptions, transport func(context.Context) (net.Conn, error)) (*login.Server, loggedIn, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return transport(ctx) }
	s, previous, err := engine.DialEither(ctx, as.Previous != nil, login.PasswordRefused, func(previous bool) (*login.Server, error) {
		user, password := as.Username, as.Password
		if previous {
			user, password = as.Previous.Username, as.Previous.Password
		}
		o.Credentials = login.NewCredentials(user, password)
		return login.Dial(ctx, dial, o)
	})
	in := loggedIn{previous, as.Lease}
	if previous {
		in.lease = as.Previous.Lease
	}
	return s, in, err
}

// Maintain implements engine.Database: it reads how many connections the target allows, and what procedures and triggers do
// if that has changed.
func (d *database) Maintain(ctx context.Context, m engine.Member) (engine.Capacity, error) {
	s, _, err := d.login(ctx, m.Config(), m.Dial)
	if err != nil {
		if answered(err) {
			return engine.Capacity{}, &engine.AnswerError{Err: err}
		}
		return engine.Capacity{}, err
	}
	defer s.Close()
	f, err := ask(ctx, s)
	if err != nil {
		return engine.Capacity{}, err
	}
	d.learn(s, f)
	if err := d.readRoutines(ctx, s); err != nil {
		return engine.Capacity{MaxConnections: f.maxConns}, fmt.Errorf("modules: %w", err)
	}
	return engine.Capacity{MaxConnections: f.maxConns}, nil
}

// facts are what a server connection is asked once.
type facts struct {
	maxConns   int  // 0: not known
	readOnly   bool // the database takes no writes here, since this is a replica
	hasOptions bool
	options    uint32 // @@OPTIONS
}

// factsQuery asks for all of them. A database that is set to be read-only is no replica for that: its is_read_only is set.
const factsQuery = "SELECT CONVERT(nvarchar(20), @@MAX_CONNECTIONS), CONVERT(nvarchar(20), @@OPTIONS), " +
	"CONVERT(nvarchar(20), DATABASEPROPERTYEX(DB_NAME(), 'Updateability')), " +
	"CONVERT(nvarchar(20), (SELECT is_read_only FROM sys.databases WHERE name = DB_NAME()))"

// ask asks a server connection. What a server does not know, as one that is only like SQL Server may, stays unknown.
func ask(ctx context.Context, s *login.Server) (f facts, err error) {
	row, err := one(ctx, s, factsQuery, 4)
	var refused *login.ServerError
	for _, less := range []struct {
		sql string
		n   int
	}{
		{"SELECT CONVERT(nvarchar(20), @@MAX_CONNECTIONS), CONVERT(nvarchar(20), @@OPTIONS)", 2},
		{"SELECT CONVERT(nvarchar(20), @@MAX_CONNECTIONS)", 1},
	} {
		if !errors.As(err, &refused) {
			break
		}
		row, err = one(ctx, s, less.sql, less.n)
	}
	if errors.As(err, &refused) {
		return f, nil
	}
	row = append(row, make([]string, 4)...)
	if err != nil {
		return f, err
	}
	if n, err := strconv.Atoi(row[0]); err == nil && n > 0 {
		f.maxConns = n
	}
	if n, err := strconv.ParseUint(row[1], 10, 32); err == nil {
		f.hasOptions, f.options = true, uint32(n)
	}
	f.readOnly = row[2] == "READ_ONLY" && row[3] == "0"
	return f, nil
}

// presentQuery asks for less than settings.Ask: a server that is only like SQL Server may lack a column of the view, or tell a
// CONTEXT_INFO that cannot be read.
const presentQuery = "SELECT DB_NAME(), @@LANGUAGE, CONVERT(nvarchar(20), @@OPTIONS), CONVERT(nvarchar(20), @@DATEFIRST), " +
	"CONVERT(nvarchar(20), @@LOCK_TIMEOUT)"

// textSizeQuery is apart, since such a server may not know the variable.
const textSizeQuery = "SELECT CONVERT(nvarchar(20), @@TEXTSIZE)"

// present are the settings of a session as they are now, as far as the server tells: the rest is as after log-in.
func present(ctx context.Context, s *login.Server) (settings.Set, error) {
	out := s.Settings
	rows, err := s.Query(ctx, settings.Ask)
	if err == nil && len(rows) == 1 {
		if all, ok := out.Answer(rows[0]); ok {
			return all, nil
		}
	}
	var unknown *login.ServerError
	if err != nil && !errors.As(err, &unknown) {
		return out, err
	}
	row, err := one(ctx, s, presentQuery, 5)
	if err != nil {
		return out, err
	}
	number := func(text string) int64 {
		n, bad := strconv.ParseInt(text, 10, 64)
		if bad != nil && err == nil {
			err = fmt.Errorf("unexpected answer %q", text)
		}
		return n
	}
	out.Database = row[0]
	if !out.SetLanguage(row[1]) {
		out.Language = row[1]
	}
	out = out.WithOptions(uint32(number(row[2])))
	out.DateFirst, out.LockTimeout = uint8(number(row[3])), int32(number(row[4]))
	if err != nil {
		return out, err
	}
	if row, err = one(ctx, s, textSizeQuery, 1); errors.As(err, &unknown) {
		return out, nil
	}
	if err == nil {
		out.SetTextSize(int32(number(row[0])))
	}
	return out, err
}

// one runs a query that has one row of n values; NULL is empty.
func one(ctx context.Context, s *login.Server, sql string, n int) ([]string, error) {
	rows, err := s.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 || len(rows[0]) != n {
		return nil, fmt.Errorf("%w: unexpected answer to %q", login.ErrProtocol, sql)
	}
	out := make([]string, n)
	for i, v := range rows[0] {
		if v != nil {
			out[i] = *v
		}
	}
	return out, nil
}

// loginError is a failed log-in to a server. Permanent ones fail the clients that wait; others are tried again until
// their borrow timeout.
type loginError struct {
	err       error
	permanent bool
}

func (e *loginError) Error() string   { return e.err.Error() }
func (e *loginError) Unwrap() error   { return e.err }
func (e *loginError) Permanent() bool { return e.permanent }

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
		return login.DialOptions{}, fmt.Errorf("sqlserver: %w", err)
	}
	return login.DialOptions{Address: m.Address(), TLSMode: m.TLSMode, RootCAs: roots}, nil
}
