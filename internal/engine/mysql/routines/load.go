package routines

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"forebay/internal/engine/mysql/sqltext"
)

// Querier runs one query and returns its rows as text; nil is NULL. The client's character set should be utf8mb4.
type Querier interface {
	Query(ctx context.Context, sql string) ([][]*string, error)
}

const (
	routineQuery = `SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE, ROUTINE_BODY, ROUTINE_DEFINITION, SQL_MODE
  FROM information_schema.ROUTINES`
	triggerQuery = `SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, ACTION_STATEMENT, SQL_MODE, TRIGGER_NAME
  FROM information_schema.TRIGGERS`
	viewQuery = `SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS`

	// fingerprintQuery leaves out what changes with the server's version alone.
	fingerprintQuery = `
SELECT COUNT(*), SUM(CRC32(CONCAT_WS(0x0A, ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE, SQL_MODE, LAST_ALTERED,
       ROUTINE_DEFINITION)))
  FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA <> 'sys'
UNION ALL
SELECT COUNT(*), SUM(CRC32(CONCAT_WS(0x0A, TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE, SQL_MODE, CREATED,
       ACTION_STATEMENT)))
  FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA <> 'sys'
UNION ALL
SELECT COUNT(*), SUM(CRC32(CONCAT_WS(0x0A, TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION)))
  FROM information_schema.VIEWS WHERE TABLE_SCHEMA <> 'sys'`
)

// Load reads the routines, triggers and views of the server that q is connected to, as far as q's user may see them. On
// MySQL that takes a query for each body with a quote. The queries see several moments: take a Fingerprint before, and
// load again when it has changed.
func Load(ctx context.Context, q Querier) (*Catalog, error) {
	b := &builder{packages: map[string]bool{}}
	read := func(what, sql string, columns int, row func([]*string)) error {
		rows, err := q.Query(ctx, sql)
		if err != nil {
			return fmt.Errorf("read the %s: %w", what, err)
		}
		for _, r := range rows {
			if len(r) != columns {
				return fmt.Errorf("read the %s: row of %d columns", what, len(r))
			}
			row(r)
		}
		return nil
	}
	if err := read("server's version", "SELECT VERSION()", 1, func(r []*string) {
		b.version, b.mariaDB = version(text(r[0]))
	}); err != nil {
		return nil, err
	}
	if err := read("routines", routineQuery, 6, func(r []*string) { b.routine(ctx, q, r) }); err != nil {
		return nil, err
	}
	if err := read("triggers", triggerQuery, 5, func(r []*string) {
		source := b.original(ctx, q, "TRIGGER", text(r[0]), text(r[4]), r[2], text(r[3]))
		b.add(trigger, text(r[0]), text(r[1]), source, text(r[3]))
	}); err != nil {
		return nil, err
	}
	if err := read("views", viewQuery, 3, func(r []*string) {
		b.add(view, text(r[0]), text(r[1]), r[2], "")
	}); err != nil {
		return nil, err
	}
	if !b.mariaDB { // which shows all triggers, at least by name
		var g grants
		if err := read("privileges", "SHOW GRANTS", 1, func(r []*string) { g.add(text(r[0])) }); err != nil {
			return nil, err
		}
		b.blind = g.blind()
	}
	return b.finish(), nil
}

// Fingerprint returns a short text that changes when what Load reads changes. It is one query, cheaper than Load. It does
// not follow the user's privileges, but for what they hide.
func Fingerprint(ctx context.Context, q Querier) (string, error) {
	rows, err := q.Query(ctx, fingerprintQuery)
	if err != nil {
		return "", fmt.Errorf("fingerprint of the routines: %w", err)
	}
	var b strings.Builder
	for _, r := range rows {
		for _, f := range r {
			b.WriteString(text(f))
			b.WriteByte(' ')
		}
	}
	return b.String(), nil
}

// routine takes a row of routineQuery. Of packages the names alone are kept: what calls into one is not known, and their variables
// live as long as the session.
func (b *builder) routine(ctx context.Context, q Querier, r []*string) {
	kind := procedure
	switch text(r[2]) {
	case "PROCEDURE":
	case "FUNCTION":
		kind = function
	default:
		b.packages[string(appendFolded(nil, []byte(text(r[1]))))] = true
		return
	}
	source := r[4]
	if text(r[3]) != "SQL" {
		source = nil // another language, such as MySQL's JavaScript
	} else if source != nil && b.defaults(ctx, q, text(r[2]), text(r[0]), text(r[1])) {
		source = nil
	} else {
		source = b.original(ctx, q, text(r[2]), text(r[0]), text(r[1]), source, text(r[5]))
	}
	b.add(kind, text(r[0]), text(r[1]), source, text(r[5]))
}

// original returns the body of a routine or a trigger as it was typed, given what information_schema shows, or nil. MySQL
// shows it\'s as it's there. MariaDB doubles the quote: see mode.
func (b *builder) original(ctx context.Context, q Querier, kind, schema, name string, shown *string, sqlMode string) *string {
	if b.mariaDB || shown == nil || !strings.ContainsAny(*shown, "'\"`\\") {
		return shown
	}
	if serversOwn(schema) {
		return nil // there are many, which hardly anybody calls
	}
	// An error may be that the routine is gone; if it is the connection's, the next query has it too.
	rows, err := q.Query(ctx, "SHOW CREATE "+kind+" "+quote(schema)+"."+quote(name))
	if err != nil || len(rows) != 1 || len(rows[0]) < 4 || rows[0][2] == nil || quotesElsewhere(text(rows[0][3])) {
		return nil
	}
	body, ok := sqltext.BodyOf([]byte(*rows[0][2]), b.mode(sqlMode))
	if !ok {
		return nil
	}
	s := string(body)
	return &s
}

// quotesElsewhere reports whether a character set has a quote or a backslash beside that of ASCII, or a letter in its place: what was
// made under it does not look as it was read.
func quotesElsewhere(charset string) bool {
	switch charset {
	case "armscii8", "sjis", "swe7", "ujis":
		return true
	}
	return false
}

// defaults reports whether parameters of a routine may have values of their own (MariaDB 11.8): expressions, which are evaluated when
// it is called, and which nothing but SHOW CREATE tells of.
func (b *builder) defaults(ctx context.Context, q Querier, kind, schema, name string) bool {
	if !b.mariaDB || b.version != 0 && b.version < 110800 || serversOwn(schema) {
		return false
	}
	rows, err := q.Query(ctx, "SHOW CREATE "+kind+" "+quote(schema)+"."+quote(name))
	if err != nil || len(rows) != 1 || len(rows[0]) < 3 || rows[0][2] == nil {
		return true
	}
	create := []byte(*rows[0][2])
	body, ok := sqltext.BodyOf(create, b.typed(text(rows[0][1])))
	return !ok || hasDefaults(create[:len(create)-len(body)])
}

// hasDefaults reports whether, in what stands before a routine's body, parameters may have values of their own.
func hasDefaults(head []byte) bool { return bytes.Contains(bytes.ToLower(head), []byte("default")) }

// typed is the mode of a body as SHOW CREATE shows it, which is as it was typed.
func (b *builder) typed(sqlMode string) sqltext.Mode {
	mode := b.mode(sqlMode)
	mode.NoBackslashEscapes = hasMode(sqlMode, "NO_BACKSLASH_ESCAPES")
	return mode
}

// quote quotes an identifier.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// mode is that of a body that was made under an sql_mode. The server keeps it in UTF-8. What MariaDB shows has quotes
// doubled and backslashes single, whatever was typed, so that a backslash escapes nothing in it.
func (b *builder) mode(sqlMode string) sqltext.Mode {
	return sqltext.Mode{
		Version: b.version, MariaDB: b.mariaDB, SQLModeKnown: true, Charset: sqltext.UTF8,
		AnsiQuotes:         hasMode(sqlMode, "ANSI_QUOTES"),
		NoBackslashEscapes: b.mariaDB || hasMode(sqlMode, "NO_BACKSLASH_ESCAPES"),
	}
}

func hasMode(sqlMode, mode string) bool {
	for m := range strings.SplitSeq(sqlMode, ",") {
		if m == mode {
			return true
		}
	}
	return false
}

// version reads what VERSION() returns, such as "9.7.4-2" or "10.11.19-MariaDB-0+deb12u1". 0 means that it is none.
func version(s string) (n uint32, mariaDB bool) {
	var major, minor, patch uint32
	if _, err := fmt.Sscanf(s, "%d.%d.%d", &major, &minor, &patch); err != nil || major > 99 || minor > 99 || patch > 99 {
		major, minor, patch = 0, 0, 0
	}
	return major*10000 + minor*100 + patch, strings.Contains(strings.ToLower(s), "mariadb")
}

// serversOwn reports whether the server made the database.
func serversOwn(schema string) bool {
	switch schema {
	case "sys", "mysql", "information_schema", "performance_schema":
		return true
	}
	return false
}

func splitKey(k string) (schema, name string) {
	schema, name, _ = strings.Cut(k, "\x00")
	return schema, name
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
