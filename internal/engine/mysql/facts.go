package mysql

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"forebay/internal/engine/mysql/login"
	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/wire/mysqlwire"
)

// facts are what is known of a target: all that a greeting says of it, and what the defaults of its sessions are. Immutable.
type facts struct {
	version  string // as in the greeting
	number   uint32 // as in an executable comment: 80036
	mariaDB  bool
	has      mysqlwire.Capability // as in the greeting
	offered  mysqlwire.Capability // of that, what all members of the target have: see target.learn
	charset  uint8
	status   mysqlwire.Status // of a new session: autocommit or not
	plugin   string
	tracking string // the SET that has a session tell of its changes

	collations map[uint16]collation
	mapped     map[string]string // collations that character sets come with in place of their own
	charsets   settings          // what a session begins with that names no collation, or one that is not known
	maxConns   int
}

type collation struct{ charset, name string }

// maxCollation is one more than the largest id of a collation that is kept.
const maxCollation = 1 << 12

// greetingOf is what a server's greeting says.
func greetingOf(s *login.Server) *facts {
	return &facts{
		version: s.FullVersion, mariaDB: s.MariaDB, has: s.Offered, offered: s.Offered, charset: s.Charset, plugin: s.Plugin,
		status: s.Status & (mysqlwire.StatusAutocommit | mysqlwire.StatusNoBackslashEscapes),
		number: versionNumber(s.Version),
	}
}

// readFacts asks a server connection fresh from log-in.
func readFacts(ctx context.Context, s *login.Server) (*facts, error) {
	f := greetingOf(s)
	if !s.Offered.Has(mysqlwire.ClientSessionTrack) {
		return nil, fmt.Errorf("server %s does not track session state: MySQL 5.7 or MariaDB 10.2 is needed", s.Version)
	}
	rows, err := s.Query(ctx, "SELECT ID, CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLLATIONS WHERE ID IS NOT NULL")
	if err != nil {
		return nil, err
	}
	f.collations = make(map[uint16]collation, len(rows))
	for _, r := range rows {
		if len(r) != 3 || r[0] == nil || r[1] == nil || r[2] == nil {
			continue
		}
		if id, err := strconv.ParseUint(*r[0], 10, 16); err == nil && id < maxCollation {
			f.collations[uint16(id)] = collation{charset: *r[1], name: *r[2]}
		}
	}
	if f.mariaDB && f.number >= 110201 { // "character_set_collations", MariaDB
		row, err := one(ctx, s, "SELECT @@GLOBAL.character_set_collations", 1)
		if err != nil {
			return nil, err
		}
		f.mapped = make(map[string]string)
		for pair := range strings.SplitSeq(row[0], ",") {
			if charset, name, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
				f.mapped[charset] = name
			}
		}
	}
	row, err := one(ctx, s, "SELECT @@GLOBAL.character_set_client, @@GLOBAL.character_set_connection, @@GLOBAL.character_set_results, @@GLOBAL.collation_connection, @@max_connections", 5)
	if err != nil {
		return nil, err
	}
	for i, name := range []string{varClient, varConnection, varResults, varCollation} {
		f.charsets = f.charsets.with(name, charsetLiteral(name, row[i]))
	}
	if f.maxConns, err = strconv.Atoi(row[4]); err != nil {
		return nil, fmt.Errorf("max_connections: %w", err)
	}
	variables := "*"
	if !f.mariaDB {
		// MySQL 8 and newer count statements in a variable: with "*" every OK packet would tell of it.
		if rows, err = s.Query(ctx, "SELECT LOWER(VARIABLE_NAME) FROM performance_schema.session_variables"); err != nil {
			return nil, err
		}
		var names []string
		for _, r := range rows {
			if len(r) == 1 && r[0] != nil && tracked(*r[0]) {
				names = append(names, *r[0])
			}
		}
		slices.Sort(names)
		variables = strings.Join(names, ",")
	}
	f.tracking = "SET SESSION session_track_schema = 1, session_track_state_change = 1, session_track_system_variables = '" + variables + "'"
	if f.mariaDB {
		// MariaDB 11 keeps the two in one place, and tells of both by the name that it has set first since: this one. All
		// values are read before any is set, so that nothing changes.
		f.tracking += ", character_set_connection = @@character_set_connection, collation_connection = @@collation_connection"
	}
	return f, nil
}

// tracked reports whether the server is to tell of changes of a variable.
func tracked(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return false
		}
	}
	switch sqltext.ClassOf([]byte(name)) {
	case sqltext.ReadOnlyVariable, sqltext.IdentityVariable:
		return false
	}
	return name != "rand_seed1" && name != "rand_seed2"
}

// charsetLiteral writes the value of a character set variable for a SET. character_set_results may be NULL, which is shown
// as nothing.
func charsetLiteral(name, value string) string {
	if value == "" && name == varResults {
		return "NULL"
	}
	return literal(value)
}

// one runs a query that has one row of n values; NULL is empty.
func one(ctx context.Context, s *login.Server, sql string, n int) ([]string, error) {
	rows, err := s.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 || len(rows[0]) != n {
		return nil, fmt.Errorf("unexpected answer to %q", sql)
	}
	out := make([]string, n)
	for i, v := range rows[0] {
		if v != nil {
			out[i] = *v
		}
	}
	return out, nil
}

// names are the settings that a client's collation id stands for.
func (f *facts) names(id uint16) settings {
	c, ok := f.collations[id]
	if !ok || unfit[c.charset] {
		return f.charsets
	}
	var s settings
	for _, name := range []string{varClient, varConnection, varResults} {
		s = s.with(name, literal(c.charset))
	}
	name := c.name
	if m, ok := f.mapped[c.charset]; ok && c.name == c.charset+"_general_ci" { // the one that the server was built with
		name = m
	}
	return s.with(varCollation, literal(name))
}

// unfit character sets cannot be a client's ("Impermissible Client Character Sets"): their bytes are not ASCII's.
var unfit = map[string]bool{"ucs2": true, "utf16": true, "utf16le": true, "utf32": true}

// versionNumber turns "8.0.36-log" into 80036; 0 if it is none.
func versionNumber(version string) uint32 {
	n, part, parts := uint32(0), uint32(0), 0
	for i := 0; i <= len(version); i++ {
		if i < len(version) && '0' <= version[i] && version[i] <= '9' {
			part = part*10 + uint32(version[i]-'0')
			if part > 9999 {
				return 0
			}
			continue
		}
		n = n*100 + part
		part = 0
		if parts++; parts == 3 || i == len(version) || version[i] != '.' {
			break
		}
	}
	for ; parts < 3; parts++ {
		n *= 100
	}
	return n
}
