//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"forebay/internal/localserver"
	"forebay/test/failover/workload"

	"github.com/jackc/pgx/v5"
)

// Names of the engines, in the order in which they are measured.
const (
	postgresql = "postgresql"
	mariadb    = "mariadb"
	mysql9     = "mysql9"
)

var engineNames = []string{postgresql, mariadb, mysql9}

const (
	databaseName   = "bench"
	userName       = "bench"
	poolSize       = 20
	maxConnections = 400 // of each database
)

// errNoServer means that a database cannot be had on this machine.
var errNoServer = errors.New("no such server")

// set is a primary and a standby that it waits for before it acknowledges a write.
type set interface {
	product() string
	fits(peer string) bool
	primary() int // its number
	port(i int) int
	password() string
	// dial logs a client in at a port, and dialAny at the one of the two servers that takes writes.
	dial(ctx context.Context, port int) (workload.Conn, error)
	dialAny(ctx context.Context) (workload.Conn, error)
	// takesWrites asks a server whether it is the primary, over a connection to it.
	takesWrites(ctx context.Context, c workload.Conn) bool
	// forebay are the family and the authentication that Forebay's configuration names.
	forebay() (family, auth string)
	empty(ctx context.Context) error // the ledger
	kill()
	promote(ctx context.Context) error
	// rejoin makes the server that was killed the standby, and returns when the primary waits for it.
	rejoin(ctx context.Context) error
	stop()
}

func startSet(ctx context.Context, o options, engine string) (set, error) {
	switch engine {
	case postgresql:
		return startPostgresSet(ctx)
	case mariadb:
		return startMySQLSet(ctx, localserver.MySQLOptions{}, "mysql_native_password", "MYSQL_NATIVE_PASSWORD", "rpl_semi_sync_master_enabled")
	}
	if o.sidTree == "" {
		return nil, fmt.Errorf("%w: it is in the Debian sid tree, which scripts/sid-tree makes as root", errNoServer)
	}
	in := localserver.MySQLOptions{Chroot: o.sidTree, BinDir: "/opt/mysql/usr/sbin"}
	return startMySQLSet(ctx, in, "caching_sha2_password", "MYSQL_CACHING_SHA2_PASSWORD", "rpl_semi_sync_source_enabled")
}

// postgresSet waits for its standby by synchronous_standby_names. Its user has an MD5 password: to derive the keys of SCRAM
// takes a client 5 ms, and 200 of them come back at once.
type postgresSet struct {
	members []*localserver.Postgres
	main    int
	secret  string
}

func startPostgresSet(ctx context.Context) (set, error) {
	members, err := localserver.StartPostgresSet(ctx, localserver.PostgresOptions{MaxConnections: maxConnections}, 1)
	if err != nil {
		return nil, err
	}
	s := &postgresSet{members: members, secret: localserver.RandomWord(20)}
	if err := s.prepare(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *postgresSet) prepare(ctx context.Context) error {
	p := s.members[0]
	if err := p.CreateUser(ctx, localserver.User{Name: userName, Password: s.secret, MD5: true}); err != nil {
		return err
	}
	if err := p.CreateDatabase(ctx, databaseName, userName); err != nil {
		return err
	}
	for _, sql := range []string{"GRANT pg_monitor TO " + userName, workload.Table, "ALTER TABLE ledger OWNER TO " + userName} {
		if err := p.ExecIn(ctx, databaseName, sql); err != nil {
			return err
		}
	}
	return s.wait(ctx, 0, true)
}

// wait has a server wait for a standby, or not.
func (s *postgresSet) wait(ctx context.Context, i int, yes bool) error {
	names := ""
	if yes {
		names = "*"
	}
	for _, sql := range []string{"ALTER SYSTEM SET synchronous_standby_names = '" + names + "'", "SELECT pg_reload_conf()"} {
		if err := s.members[i].Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func (s *postgresSet) product() string                { return s.members[0].Version().String() }
func (s *postgresSet) fits(string) bool               { return true }
func (s *postgresSet) primary() int                   { return s.main }
func (s *postgresSet) port(i int) int                 { return s.members[i].Port() }
func (s *postgresSet) password() string               { return s.secret }
func (s *postgresSet) forebay() (family, auth string) { return "POSTGRESQL", "POSTGRES_MD5" }

func (s *postgresSet) stop() {
	for _, p := range s.members {
		p.Stop()
	}
}

// The statements are sent without names: PgBouncer knows prepared ones since 1.21 only.
func (s *postgresSet) dial(ctx context.Context, port int) (workload.Conn, error) {
	return s.connect(ctx, strconv.Itoa(port), "127.0.0.1", "")
}

func (s *postgresSet) dialAny(ctx context.Context) (workload.Conn, error) {
	return s.connect(ctx, fmt.Sprintf("%d,%d", s.port(0), s.port(1)), "127.0.0.1,127.0.0.1", " target_session_attrs=read-write")
}

func (s *postgresSet) connect(ctx context.Context, ports, hosts, more string) (workload.Conn, error) {
	c, err := workload.DialPostgres(ctx, fmt.Sprintf("host=%s port=%s user=%s password=%s dbname=%s sslmode=disable%s",
		hosts, ports, userName, s.secret, databaseName, more), pgx.QueryExecModeExec)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (s *postgresSet) takesWrites(ctx context.Context, c workload.Conn) bool {
	var yes bool
	err := c.(workload.Postgres).QueryRow(ctx, "SELECT NOT pg_is_in_recovery()").Scan(&yes)
	return err == nil && yes
}

func (s *postgresSet) empty(ctx context.Context) error {
	return s.members[s.main].ExecIn(ctx, databaseName, "TRUNCATE ledger")
}

func (s *postgresSet) kill() { s.members[s.main].Kill() }

func (s *postgresSet) promote(ctx context.Context) error {
	to := 1 - s.main
	if err := s.wait(ctx, to, false); err != nil { // there is nobody to wait for
		return err
	}
	if err := s.members[to].Promote(ctx); err != nil {
		return err
	}
	s.main = to
	return nil
}

func (s *postgresSet) rejoin(ctx context.Context) error {
	old, now := s.members[1-s.main], s.members[s.main]
	if err := old.Follow(ctx, now); err != nil {
		return err
	}
	if err := s.wait(ctx, s.main, true); err != nil {
		return err
	}
	return old.CatchUp(ctx, now)
}

// mysqlSet waits for its replica by semi-synchronous replication.
type mysqlSet struct {
	*localserver.MySQLReplicas
	auth   string
	waits  string // the variable by which a primary waits
	secret string
}

func startMySQLSet(ctx context.Context, in localserver.MySQLOptions, plugin, auth, waits string) (set, error) {
	in.MaxConnections = maxConnections
	r, err := localserver.StartMySQLReplicas(ctx, localserver.MySQLReplicasOptions{Server: in, Replicas: 1, SemiSync: true})
	if errors.Is(err, localserver.ErrNotInstalled) {
		return nil, fmt.Errorf("%w: %w", errNoServer, err)
	}
	if err != nil {
		return nil, err
	}
	s := &mysqlSet{MySQLReplicas: r, auth: auth, waits: waits, secret: localserver.RandomWord(20)}
	p := r.Primary()
	err = p.CreateDatabase(ctx, databaseName)
	if err == nil {
		err = p.CreateUser(ctx, localserver.MySQLUser{Name: userName, Password: s.secret, Plugin: plugin, Database: databaseName})
	}
	if err == nil {
		// InnoDB without a key of ours: an id can be there twice.
		err = p.ExecIn(ctx, databaseName, workload.Table+" ENGINE=InnoDB")
	}
	if err == nil {
		err = r.CatchUp(ctx, r.Replicas()[0])
	}
	if err != nil {
		r.Stop()
		return nil, err
	}
	return s, nil
}

func (s *mysqlSet) product() string                { return s.Members[0].Version().String() }
func (s *mysqlSet) fits(peer string) bool          { return peer != pgbouncer }
func (s *mysqlSet) port(i int) int                 { return s.Members[i].Port() }
func (s *mysqlSet) password() string               { return s.secret }
func (s *mysqlSet) forebay() (family, auth string) { return "MYSQL", s.auth }
func (s *mysqlSet) stop()                          { s.Stop() }

func (s *mysqlSet) primary() int {
	if s.Primary() == s.Members[0] {
		return 0
	}
	return 1
}

func (s *mysqlSet) dial(ctx context.Context, port int) (workload.Conn, error) {
	// Its parameters are put into the statement: one round trip for each, as in PostgreSQL.
	c, err := workload.DialMySQL(ctx, fmt.Sprintf("%s:%s@tcp(127.0.0.1:%d)/%s?interpolateParams=true", userName, s.secret, port, databaseName))
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (s *mysqlSet) dialAny(ctx context.Context) (workload.Conn, error) {
	err := errors.New("no server takes writes")
	for i := range s.Members {
		c, dialErr := s.dial(ctx, s.port(i))
		if dialErr != nil {
			err = dialErr
			continue
		}
		if s.takesWrites(ctx, c) {
			return c, nil
		}
		c.Close()
	}
	return nil, err
}

func (s *mysqlSet) takesWrites(ctx context.Context, c workload.Conn) bool {
	var readOnly bool
	err := c.(workload.MySQL).QueryRowContext(ctx, "SELECT @@global.read_only").Scan(&readOnly)
	return err == nil && !readOnly
}

func (s *mysqlSet) empty(ctx context.Context) error {
	return s.Primary().ExecIn(ctx, databaseName, "TRUNCATE TABLE ledger")
}

func (s *mysqlSet) kill() { s.Primary().Kill() }

func (s *mysqlSet) promote(ctx context.Context) error {
	to := s.Replicas()[0]
	if err := s.Promote(ctx, to); err != nil {
		return err
	}
	return s.wait(ctx, to, "0") // there is nobody to wait for
}

func (s *mysqlSet) wait(ctx context.Context, m *localserver.MySQL, yes string) error {
	return m.Exec(ctx, "SET GLOBAL "+s.waits+" = "+yes)
}

func (s *mysqlSet) rejoin(ctx context.Context) error {
	old := s.Replicas()[0]
	if err := old.Restart(ctx); err != nil {
		return err
	}
	if err := s.Rejoin(ctx, old); err != nil {
		return err
	}
	if err := s.wait(ctx, s.Primary(), "1"); err != nil {
		return err
	}
	return s.CatchUp(ctx, old)
}

// tidy takes out of an error's class what is another one each time.
func tidy(class string) string {
	words := strings.Fields(class)
	for i, w := range words {
		if strings.Contains(w, "127.0.0.1") {
			words[i] = "ADDRESS"
		}
	}
	return strings.Join(words, " ")
}
