package postgres

import (
	"encoding/binary"
	"strconv"
	"strings"

	"forebay/internal/wire/pgwire"
)

// fake is a PostgreSQL server in small: it takes messages and answers them as a server would, for a handful of texts. Fed
// directly by a client it tells what the client must see through Forebay.
type fake struct {
	in, out []byte
	tx      byte
	stmts   map[string]string
	sql     map[string]string // of these, the PREPARE that has made it
	portal  string
	bound   bool
	skip    bool // up to Sync
	copying byte // 'Q' or 'E' while it takes copy data
	dead    bool
	queries []string // simple queries, in order
	refuse  int      // how many more times a change of settings is to fail
	code    string   // and how
	busy    int      // how many more looks at the session are to be cancelled
}

func newFake() *fake {
	return &fake{tx: pgwire.Idle, stmts: map[string]string{}, sql: map[string]string{}}
}

// marker is in every answer that only Forebay may see.
const marker = "for Forebay alone"

func (f *fake) feed(b []byte) {
	f.in = append(f.in, b...)
	for !f.dead && len(f.in) >= pgwire.HeaderLen {
		size, err := pgwire.Size(f.in)
		if err != nil {
			f.fatal("08P01", "invalid message length")
			return
		}
		if len(f.in) < size {
			return
		}
		f.message(f.in[0], f.in[pgwire.HeaderLen:size])
		f.in = f.in[size:]
	}
}

func (f *fake) fatal(code, message string) {
	f.out = pgwire.AppendError(f.out, &pgwire.Error{Severity: "FATAL", Code: code, Message: message})
	f.dead = true
}

func (f *fake) error(code, message string) {
	f.out = pgwire.AppendError(f.out, &pgwire.Error{Severity: "ERROR", Code: code, Message: message})
	if f.tx == pgwire.InTransaction {
		f.tx = pgwire.Failed
	}
}

func (f *fake) extendedError(code, message string) {
	f.error(code, message)
	f.skip = true
}

func (f *fake) ready() {
	if f.tx == pgwire.Idle {
		f.bound = false // portals end with the transaction
	}
	f.out = pgwire.AppendReadyForQuery(f.out, f.tx)
}

func (f *fake) message(typ byte, body []byte) {
	if f.copying != 0 {
		switch typ {
		case pgwire.CopyDone:
			f.out = pgwire.AppendCommandComplete(f.out, "COPY 1")
		case pgwire.CopyFail:
			if f.copying == 'E' {
				f.skip = true
			}
			f.error("57014", "COPY from stdin failed")
		case pgwire.CopyData, pgwire.Flush, pgwire.Sync:
			return
		default:
			f.fatal("08P01", "unexpected message in COPY")
			return
		}
		if f.copying == 'Q' {
			f.ready()
		}
		f.copying = 0
		return
	}
	if f.skip && typ != pgwire.Sync && typ != pgwire.Terminate {
		return
	}
	name, rest, _ := pgwire.CString(body)
	switch typ {
	case pgwire.Query:
		f.queries = append(f.queries, string(name))
		f.simple(string(name))
	case pgwire.Parse:
		text, _, ok := pgwire.CString(rest)
		switch _, taken := f.stmts[string(name)]; {
		case !ok:
			f.extendedError("08P01", "invalid string in message")
		case strings.HasPrefix(string(text), "BROKEN"), strings.HasPrefix(string(text), `"`):
			f.extendedError("42601", "syntax error")
		case f.tx == pgwire.Failed && len(text) > 0 && !endsTransaction(string(text)):
			f.extendedError("25P02", "current transaction is aborted")
		case taken && len(name) > 0:
			f.extendedError("42P05", `prepared statement "`+string(name)+`" already exists`)
		default:
			f.stmts[string(name)] = string(text)
			f.out = pgwire.AppendEmpty(f.out, pgwire.ParseComplete)
		}
	case pgwire.Bind:
		stmt, _, ok := pgwire.CString(rest)
		text, known := f.stmts[string(stmt)]
		if !ok || !known {
			f.extendedError("26000", `prepared statement "`+string(stmt)+`" does not exist`)
			return
		}
		if f.tx == pgwire.Failed && text != "" && !endsTransaction(text) {
			f.extendedError("25P02", "current transaction is aborted")
			return
		}
		f.portal, f.bound = text, true
		f.out = pgwire.AppendEmpty(f.out, pgwire.BindComplete)
	case pgwire.Describe, pgwire.Close:
		if len(body) == 0 {
			f.extendedError("08P01", "insufficient data left in message")
			return
		}
		kind := body[0]
		name, _, _ := pgwire.CString(body[1:])
		if typ == pgwire.Close {
			if kind == 'S' {
				delete(f.stmts, string(name))
				delete(f.sql, string(name))
			}
			f.out = pgwire.AppendEmpty(f.out, pgwire.CloseComplete)
			return
		}
		if kind == 'S' {
			if _, ok := f.stmts[string(name)]; !ok {
				f.extendedError("26000", `prepared statement "`+string(name)+`" does not exist`)
				return
			}
			f.out = append(f.out, pgwire.ParameterDescription, 0, 0, 0, 6, 0, 0)
		}
		f.out = append(f.out, pgwire.RowDescription, 0, 0, 0, 6, 0, 0)
	case pgwire.Execute:
		if !f.bound {
			f.extendedError("34000", "portal does not exist")
			return
		}
		f.run(f.portal, 'E')
	case pgwire.Sync:
		f.skip = false
		f.ready()
	case pgwire.Flush, pgwire.CopyData, pgwire.CopyDone, pgwire.CopyFail:
	case pgwire.FunctionCall:
		f.out = append(f.out, pgwire.FunctionCallResponse, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff)
		f.ready()
	case pgwire.Terminate:
		f.dead = true
	default:
		f.fatal("08P01", "invalid frontend message type")
	}
}

func (f *fake) simple(sql string) {
	delete(f.stmts, "")
	for part := range strings.SplitSeq(sql, ";") {
		if part = strings.TrimSpace(part); part != "" && !f.run(part, 'Q') {
			break
		}
	}
	if f.copying == 0 {
		f.ready()
	}
}

// run runs one statement and reports whether it succeeded.
func (f *fake) run(sql string, how byte) bool {
	bad := func(code, message string) bool {
		if how == 'E' {
			f.skip = true
		}
		f.error(code, message)
		return false
	}
	word := strings.Fields(strings.ToUpper(sql) + " -")[0]
	if f.tx == pgwire.Failed && !endsTransaction(sql) || strings.HasPrefix(sql, "ROLLBACK TO") {
		return bad("25P02", "current transaction is aborted")
	}
	tag := word
	switch word {
	case "BEGIN":
		f.tx = pgwire.InTransaction
	case "COMMIT", "ROLLBACK":
		f.tx = pgwire.Idle
	case "FAIL":
		return bad("22012", "division by zero")
	case "PREPARE":
		name := named(sql)
		_, text, _ := strings.Cut(sql, " AS ")
		if _, ok := f.stmts[name]; ok {
			return bad("42P05", "prepared statement already exists")
		}
		if strings.HasPrefix(text, "BROKEN") {
			return bad("42601", "syntax error")
		}
		f.stmts[name], f.sql[name] = text, sql
	case "DO":
		if _, text, ok := strings.Cut(strings.TrimSuffix(sql, "'"), "DO 'PERFORM "); ok { // whose text is a statement
			before := len(f.out)
			if !f.run(text, how) {
				return false
			}
			f.out = f.out[:before]
		}
	case "EXECUTE":
		text, ok := f.stmts[named(sql)]
		if !ok {
			return bad("26000", "prepared statement does not exist")
		}
		if strings.HasPrefix(strings.ToUpper(strings.TrimSpace(text)), word) {
			return bad("54001", "stack depth limit exceeded")
		}
		return f.run(text, how)
	case "DEALLOCATE", "DISCARD":
		tag = strings.ToUpper(sql)
		name := named(sql)
		if _, ok := f.stmts[name]; !ok && word == "DEALLOCATE" && name != "ALL" {
			return bad("26000", "prepared statement does not exist")
		}
		delete(f.stmts, name)
		delete(f.sql, name)
		if strings.HasSuffix(tag, " ALL") {
			clear(f.stmts)
			clear(f.sql)
		}
		if word == "DEALLOCATE" && name != "ALL" {
			tag = word
		}
	case "COPYIN", "COPY":
		if strings.Contains(sql, "STDIN") {
			f.out = append(f.out, pgwire.CopyInResponse, 0, 0, 0, 7, 0, 0, 0)
			f.copying = how
			return true
		}
		f.out = append(f.out, pgwire.CopyOutResponse, 0, 0, 0, 7, 0, 0, 0)
		for range 3 {
			f.out = append(f.out, pgwire.CopyData, 0, 0, 0, 9, 'a', 'b', 'c', 'd', '\n')
		}
		f.out = pgwire.AppendEmpty(f.out, pgwire.CopyDone)
		tag = "COPY 3"
	case "SELECT":
		switch {
		case sql == probeSQL && f.busy > 0:
			f.busy--
			return bad(codeQueryCanceled, marker)
		case sql == probeSQL:
			f.row("r", "role", "none")
			f.row("u", "session_authorization", "alice")
			own, others := 0, 0
			for name := range f.stmts {
				switch {
				case f.sql[name] != "":
					f.row("p", name, f.sql[name])
				case strings.HasPrefix(name, namePrefix):
					own++
				case name != "":
					others++
				}
			}
			f.row("n", strconv.Itoa(own), "")
			if others > 0 {
				f.row("o", strconv.Itoa(others), "")
			}
			tag = marker
		case strings.Contains(sql, "set_config") && f.refuse > 0:
			f.refuse--
			return bad(f.code, marker)
		case strings.Contains(sql, "set_config"):
			f.row(marker)
			tag = marker
		default:
			if how == 'Q' {
				f.out = append(f.out, pgwire.RowDescription, 0, 0, 0, 6, 0, 0)
			}
			f.row(sql)
			tag = "SELECT 1"
		}
	}
	f.out = pgwire.AppendCommandComplete(f.out, tag)
	return true
}

// named is the name behind the first word of a statement.
func named(sql string) string { return strings.Trim(strings.Fields(sql + " -")[1], `"`) }

// endsTransaction reports whether a statement is taken in a transaction that has failed.
func endsTransaction(sql string) bool {
	return strings.HasPrefix(sql, "COMMIT") || strings.HasPrefix(sql, "ROLLBACK")
}

func rowLen(cols ...string) int {
	n := pgwire.HeaderLen + 2
	for _, c := range cols {
		n += 4 + len(c)
	}
	return n
}

func (f *fake) row(cols ...string) {
	f.out = append(f.out, pgwire.DataRow)
	f.out = binary.BigEndian.AppendUint32(f.out, uint32(rowLen(cols...)-1))
	f.out = binary.BigEndian.AppendUint16(f.out, uint16(len(cols)))
	for _, c := range cols {
		f.out = binary.BigEndian.AppendUint32(f.out, uint32(len(c)))
		f.out = append(f.out, c...)
	}
}
