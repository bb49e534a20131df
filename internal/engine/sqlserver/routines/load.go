package routines

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"

	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/engine/sqlserver/sqltext"
	"forebay/internal/wire/tds"
)

// Querier runs one query, whose columns are nvarchar, and returns its rows; nil is NULL.
type Querier interface {
	Query(ctx context.Context, sql string) ([][]*string, error)
	QueryLarge(ctx context.Context, sql string) ([][]*string, error)
}

const (
	// whereQuery asks where the user is, whether it sees all definitions, and how many it has been denied.
	whereQuery = `SELECT CONVERT(nvarchar(128), DB_NAME()), CONVERT(nvarchar(128), SCHEMA_NAME()),
  CONVERT(nvarchar(20), HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DEFINITION')),
  CONVERT(nvarchar(20), IS_MEMBER('db_owner')), CONVERT(nvarchar(20), IS_SRVROLEMEMBER('sysadmin'))`
	deniedQuery = `SELECT CONVERT(nvarchar(20), COUNT(*)) FROM sys.database_permissions WHERE state = 'D' AND type IN ('VW', 'CL')`

	objectQuery = `SELECT CONVERT(nvarchar(20), object_id), CONVERT(nvarchar(128), SCHEMA_NAME(schema_id)), CONVERT(nvarchar(128), name),
  CONVERT(nvarchar(20), type) FROM sys.objects
  WHERE type IN ('P', 'PC', 'X', 'RF', 'V', 'IF', 'TR', 'TA')`
	triggerQuery = `SELECT CONVERT(nvarchar(20), object_id), CONVERT(nvarchar(128), OBJECT_NAME(parent_id)) FROM sys.triggers WHERE parent_class = 1`
	synonymQuery = `SELECT CONVERT(nvarchar(128), SCHEMA_NAME(schema_id)), CONVERT(nvarchar(128), name), CONVERT(nvarchar(1100), base_object_name)
  FROM sys.synonyms`
	cascadeQuery = `SELECT CONVERT(nvarchar(128), OBJECT_NAME(referenced_object_id)), CONVERT(nvarchar(128), OBJECT_NAME(parent_object_id))
  FROM sys.foreign_keys
  WHERE delete_referential_action <> 0 OR update_referential_action <> 0`
	numberedQuery = `SELECT CONVERT(nvarchar(20), object_id), CONVERT(nvarchar(max), definition) FROM sys.numbered_procedures`
	systemQuery   = `SELECT CONVERT(nvarchar(128), name) FROM sys.system_objects WHERE type IN ('P', 'PC', 'X', 'RF')`

	// pageQuery reads definitions from an object on: pageSize of them, so that an answer has a bound.
	pageQuery = `SELECT TOP 64 CONVERT(nvarchar(20), object_id), CONVERT(nvarchar(max), definition),
  CONVERT(nvarchar(20), uses_quoted_identifier) FROM sys.sql_modules
  WHERE object_id > %s ORDER BY object_id`
	pageSize = 64

	fingerprintQuery = `SELECT CONVERT(nvarchar(20), COUNT(*)), CONVERT(nvarchar(40), MAX(modify_date), 126),
  CONVERT(nvarchar(20), CHECKSUM_AGG(CHECKSUM(object_id, name, schema_id, modify_date))) FROM sys.objects
  WHERE type IN ('P', 'PC', 'X', 'RF', 'V', 'IF', 'TR', 'TA', 'SN', 'F')`
	definedQuery = `SELECT CONVERT(nvarchar(20), COUNT(definition)) FROM sys.sql_modules`
)

// Fingerprint returns a short text that changes when what Load reads changes. It is empty where the server has no such thing
// (Babelfish): load again, then.
func Fingerprint(ctx context.Context, q Querier) (string, error) {
	var b strings.Builder
	for _, sql := range [...]string{fingerprintQuery, definedQuery, whereQuery} {
		rows, err := q.Query(ctx, sql)
		if Refused(err) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("fingerprint of the modules: %w", err)
		}
		for _, r := range rows {
			for _, f := range r {
				b.WriteString(text(f))
				b.WriteByte(' ')
			}
		}
	}
	return b.String(), nil
}

// Load reads the modules of the database that q is connected to, as far as q's user may see them. large says that the server
// sends nvarchar(max) as such: TDS 7.2 and newer. The queries see several moments: take a Fingerprint before, and load again
// when it has changed.
func Load(ctx context.Context, q Querier, large bool) (*Catalog, error) {
	b := newBuilder()
	read := func(what, sql string, columns int, row func([]*string)) error {
		rows, err := q.QueryLarge(ctx, definitions(sql, large))
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
	optional := func(what, sql string, columns int, row func([]*string)) error {
		err := read(what, sql, columns, row)
		if Refused(err) {
			return nil
		}
		return err
	}
	b.c.blind = true
	if err := read("user's place", whereQuery, 5, func(r []*string) {
		b.c.database, b.c.schema = fold(text(r[0])), fold(text(r[1]))
		if all := text(r[3]) == "1" || text(r[4]) == "1"; all || text(r[2]) == "1" {
			b.c.blind = false
		}
	}); err != nil {
		return nil, err
	}
	denied := true
	if err := optional("user's permissions", deniedQuery, 1, func(r []*string) { denied = text(r[0]) != "0" }); err != nil {
		return nil, err
	}
	b.c.blind = b.c.blind || denied
	if err := read("objects", objectQuery, 4, func(r []*string) { b.object(text(r[0]), text(r[1]), text(r[2]), text(r[3])) }); err != nil {
		return nil, err
	}
	if err := read("triggers", triggerQuery, 2, func(r []*string) { b.trigger(text(r[0]), r[1]) }); err != nil {
		return nil, err
	}
	for from, n := "-2147483648", pageSize; n == pageSize; {
		n = 0
		if err := read("definitions", fmt.Sprintf(pageQuery, from), 3, func(r []*string) {
			from = text(r[0])
			n++
			b.definition(from, r[1], text(r[2]) != "0")
		}); err != nil {
			return nil, err
		}
	}
	if err := optional("numbered procedures", numberedQuery, 2, func(r []*string) { b.definition(text(r[0]), r[1], true) }); err != nil {
		return nil, err
	}
	if err := read("synonyms", synonymQuery, 3, func(r []*string) { b.synonym(text(r[0]), text(r[1]), text(r[2])) }); err != nil {
		return nil, err
	}
	if err := read("foreign keys", cascadeQuery, 2, func(r []*string) { b.cascade(r[0], r[1]) }); err != nil {
		return nil, err
	}
	if err := read("server's procedures", systemQuery, 1, func(r []*string) { b.c.system[fold(text(r[0]))] = true }); err != nil {
		return nil, err
	}
	return b.finish(), nil
}

// definitions has a query ask for definitions in a form that the protocol's version has. (Babelfish takes a CASE for varchar(max),
// whatever is in it.)
func definitions(sql string, large bool) string {
	if large {
		return sql
	}
	return strings.Replace(sql, "CONVERT(nvarchar(max), definition)", "CONVERT(nvarchar(4000), CASE WHEN LEN(definition) <= 4000 THEN definition END)", 1)
}

// Refused reports whether an error is that the server does not answer a query, or otherwise than SQL Server: the connection
// is as good as before.
func Refused(err error) bool {
	var refused *login.ServerError
	var malformed *tds.MalformedError
	return errors.As(err, &refused) && !Locked(err) || errors.As(err, &malformed)
}

// numberLocked is SQL Server's error of a lock that was not to be had within LOCK_TIMEOUT.
const numberLocked = 1222

// Locked reports whether an error is that another session's transaction has what was to be read locked.
func Locked(err error) bool {
	var refused *login.ServerError
	return errors.As(err, &refused) && refused.Number == numberLocked
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// wire is a text in UTF-16LE.
func wire(s string) []byte {
	u := utf16.Encode([]rune(s))
	b := make([]byte, 0, 2*len(u))
	for _, c := range u {
		b = append(b, byte(c), byte(c>>8))
	}
	return b
}

// kept are the effects of a module's text that matter to who runs it. SET options, FixedEnds among them, end with it.
const kept = sqltext.Assigns | sqltext.ContextUnknown | sqltext.Fixed | sqltext.Impersonates | sqltext.Reverts | sqltext.TxBegin |
	sqltext.TxCommit | sqltext.TxRollback | sqltext.TxSave | sqltext.Distributed | sqltext.BoundSession | sqltext.TempTable |
	sqltext.TempProcedure | sqltext.Cursor | sqltext.AppLock | sqltext.Key | sqltext.Trace | sqltext.Prepared | sqltext.Document |
	sqltext.Dynamic | sqltext.Triggers | sqltext.WritesIdentity | sqltext.Modules | sqltext.Unknown | sqltext.Unclear

// inspect reads a definition.
func (m *module) inspect(definition string, quoted bool, a *sqltext.Analysis) {
	body, ok := sqltext.Body(wire(definition), quoted)
	if !ok {
		m.effect = m.effect.with(Anything)
		return
	}
	if m.view {
		m.text = append(m.text, body...)
		return
	}
	sqltext.Inspect(body, sqltext.Mode{QuotedIdentifier: quoted, Within: true, Module: true}, a)
	e := Effect{Effects: a.Effects & kept, Failing: a.Failing}
	if e.Effects&sqltext.Assigns != 0 {
		e.Effects &^= sqltext.Assigns
		if a.ContextInfoAlone() {
			e.Effects |= sqltext.SettingUnknown // which can be asked for
		} else {
			e.Effects |= sqltext.ContextUnknown
		}
	}
	if a.Effects&sqltext.Resets != 0 || a.MoreObjects {
		e.Effects |= sqltext.Unknown
	}
	for i := range a.ObjectLen() {
		o := a.Object(i)
		switch o.Op {
		case sqltext.CreatesTable, sqltext.CreatesProcedure, sqltext.DeclaresCursor:
			left := e.Effects & o.Makes()
			e = e.with(Effect{Objects: []sqltext.Object{{Op: o.Op, Name: o.Name, Conditional: left == 0}}})
		}
	}
	if a.MoreCalls {
		e = e.with(Anything)
	}
	e = e.with(loose(a))
	for i := range a.CallLen() {
		m.calls = append(m.calls, a.CallName(body, i))
	}
	m.tries = m.tries || a.Tries
	if a.Effects&sqltext.Triggers != 0 {
		if m.writes, m.ddl = true, m.ddl || a.Effects&sqltext.DDL != 0; a.Uses {
			m.ddl = true
		}
		e.Effects &^= sqltext.Triggers
		m.text = append(m.text, body...)
	}
	m.effect = m.effect.with(e)
}
