package mysql

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"forebay/internal/wire/mysqlwire"
)

// query runs the statements of a COM_QUERY.
func (f *fake) query(text string) {
	f.said = append(f.said, text)
	parts := strings.Split(strings.TrimRight(text, "; "), ";")
	if len(parts) > 1 && !f.multi {
		f.fail(1064, "42000", "You have an error in your SQL syntax")
		return
	}
	for i, p := range parts {
		if !f.run(strings.TrimSpace(p), nil, nil, false, i < len(parts)-1) {
			return
		}
	}
}

// columnsOf are the columns of a statement's result.
func columnsOf(sql string) []string {
	word, rest, _ := strings.Cut(sql, " ")
	switch strings.ToUpper(word) {
	case "SELECT":
		rest, _, _ = strings.Cut(rest, " FROM ")
		rest, _, _ = strings.Cut(rest, " INTO ")
		return strings.Split(rest, ", ")
	case "SHOW":
		return []string{"Level", "Code", "Message"}
	}
	return nil
}

// run runs one statement and reports whether another may follow. st is set for a prepared one.
func (f *fake) run(sql string, values []string, st *fakeStmt, cursor, more bool) bool {
	if f.refuse != "" && strings.Contains(sql, f.refuse) {
		f.fail(3024, "HY000", "Query execution was interrupted: "+forForebay)
		return false
	}
	word, rest, _ := strings.Cut(sql, " ")
	if f.status&(mysqlwire.StatusAutocommit|mysqlwire.StatusInTrans) == 0 && (word == "SELECT" && strings.Contains(sql, "FROM") || word == "INSERT") {
		f.status |= mysqlwire.StatusInTrans
	}
	switch word {
	case "BEGIN":
		f.status |= mysqlwire.StatusInTrans
	case "COMMIT", "ROLLBACK":
		f.status &^= mysqlwire.StatusInTrans
	case "USE":
		f.use(strings.Trim(rest, "`"))
		return true
	case "SET":
		if !f.set(rest) {
			f.fail(1193, "HY000", "Unknown system variable")
			return false
		}
	case "INSERT":
		if strings.HasSuffix(sql, "EXPLICIT") {
			f.ok(mysqlwire.OK{AffectedRows: 1, LastInsertID: 7}, more)
			return true
		}
		*f.rows++
		f.id = *f.rows
		if strings.HasSuffix(sql, "RETURNING") {
			f.header([]string{"id"}, 0)
			f.rowOf(st, []string{"returned"})
			f.end(0, more)
			return true
		}
		if !strings.HasSuffix(sql, "IGNORE") {
			f.ok(mysqlwire.OK{AffectedRows: 1, LastInsertID: f.id, Info: []byte("Records: 1")}, more)
			return true
		}
		f.ok(mysqlwire.OK{AffectedRows: 1, LastInsertID: f.id, Warnings: 1}, more)
		return true
	case "CREATE": // TEMPORARY TABLE x
		name := strings.Fields(sql)[3]
		f.temp[name] = true
		f.changed(mysqlwire.StateChange{Type: mysqlwire.TrackStateChange, Value: []byte("1")}, trackState)
	case "DROP":
		name := strings.Fields(sql)[3]
		if !f.temp[name] {
			f.fail(1051, "42S02", "Unknown table '"+name+"'")
			return false
		}
		delete(f.temp, name)
		f.changed(mysqlwire.StateChange{Type: mysqlwire.TrackStateChange, Value: []byte("1")}, trackState)
	case "LOAD":
		f.send(append([]byte{mysqlwire.HeaderLocalInfile}, "file"...))
		f.file, f.next = 0, f.seq
		return false
	case "CALL":
		for range 2 {
			f.header([]string{"a"}, 0)
			f.rowOf(st, []string{"called"})
			f.end(0, true)
		}
	case "DO":
	case "SHOW":
		if what, ok := strings.CutPrefix(rest, "CREATE "); ok {
			create, ok := f.shows[what]
			if !ok {
				f.fail(1305, "42000", what+" does not exist")
				return false
			}
			f.header([]string{"Procedure", "sql_mode", "Create Procedure", "character_set_client"}, 0)
			f.textRow([]string{what, "", create, "utf8mb4"})
			f.end(0, more)
			return true
		}
		return f.query1(sql, values, st, cursor, more)
	case "SELECT":
		return f.query1(sql, values, st, cursor, more)
	default:
		f.fail(1064, "42000", "You have an error in your SQL syntax")
		return false
	}
	f.ok(mysqlwire.OK{}, more)
	return true
}

// forForebay is in every answer that only Forebay may see.
const forForebay = "for Forebay alone"

func (f *fake) rowOf(st *fakeStmt, row []string) {
	if st != nil {
		f.binaryRow(row)
	} else {
		f.textRow(row)
	}
}

// query1 answers a statement that has rows.
func (f *fake) query1(sql string, values []string, st *fakeStmt, cursor, more bool) bool {
	cols := columnsOf(sql)
	row, rows := make([]string, len(cols)), 1
	for i, c := range cols {
		row[i] = f.value(c, &values)
		switch c {
		case "nothing":
			rows = 0
		case "many":
			rows = 3
		case "broken":
			f.fail(1054, "42S22", "Unknown column 'broken'")
			return false
		case "f()":
			f.set("time_zone = '+09:00'")
		}
	}
	if cursor {
		st.open, st.cursor = true, slices.Repeat([][]string{row}, rows)
		if f.caps.Has(mysqlwire.ClientDeprecateEOF) {
			f.header(cols, 0)
			f.end(mysqlwire.StatusCursorExists, false)
		} else {
			f.header(cols, mysqlwire.StatusCursorExists)
			f.answered(false)
		}
		return true
	}
	f.header(cols, 0)
	for range rows {
		f.rowOf(st, row)
	}
	if slices.Contains(cols, "late") {
		f.fail(1317, "70100", "Query execution was interrupted")
		return false
	}
	f.end(0, more)
	return true
}

// value is what an expression of a SELECT gives.
func (f *fake) value(c string, values *[]string) string {
	c = strings.TrimSuffix(c, " LIMIT 1")
	if inner, ok := strings.CutPrefix(c, "CAST("); ok { // as Forebay asks
		c = strings.TrimSuffix(inner, " AS BINARY)")
	}
	switch {
	case strings.HasPrefix(c, "@@"):
		v, ok := f.vars[c[2:]]
		if !ok {
			return "default of " + c[2:]
		}
		return v
	case strings.HasPrefix(c, "@"):
		v, ok := f.user[c[1:]]
		if !ok {
			return null
		}
		return v
	case c == "?":
		v := (*values)[0]
		*values = (*values)[1:]
		return v
	case c == "LAST_INSERT_ID()":
		return strconv.FormatUint(f.id, 10)
	case c == "DATABASE()":
		if f.schema == "" {
			return null
		}
		return f.schema
	case c == "NULL":
		return null
	case c == "big":
		return strings.Repeat("b", 100_000)
	case c == "huge":
		return strings.Repeat("h", mysqlwire.MaxPayload+10)
	case strings.HasPrefix(c, "GET_LOCK("):
		f.locks[c[9:]]++
		return "1"
	case c == "RELEASE_ALL_LOCKS()":
		clear(f.locks)
		return "1"
	}
	return strings.Trim(c, "'")
}

func (f *fake) use(name string) {
	if strings.HasPrefix(name, "missing") {
		f.fail(1049, "42000", "Unknown database '"+name+"'")
		return
	}
	f.schema = name
	f.changed(mysqlwire.StateChange{Type: mysqlwire.TrackSchema, Value: []byte(name)}, trackSchema)
	f.ok(mysqlwire.OK{}, false)
}

// changed has a change told, if that is wanted.
func (f *fake) changed(e mysqlwire.StateChange, by string) {
	switch by {
	case trackSchema, trackState:
		v, ok := f.vars[by]
		if !ok {
			v = map[string]string{trackSchema: "1", trackState: "0"}[by]
		}
		if v != "1" {
			return
		}
	default:
		names, ok := f.vars[trackVariables]
		if !ok {
			names = strings.Join(defaultTracking.variables, ",")
		}
		if names != "*" && !slices.Contains(strings.Split(names, ","), string(e.Name)) {
			return
		}
	}
	f.changes = e.Append(f.changes)
}

// set makes the assignments of a SET.
func (f *fake) set(list string) bool {
	if name, ok := strings.CutPrefix(list, "NAMES "); ok {
		name, list, _ = strings.Cut(name, ", ")
		name, collation, ok := strings.Cut(name, " COLLATE ")
		name, collation = strings.Trim(name, "'"), strings.Trim(collation, "'")
		if !ok {
			collation = name + "_general_ci"
		}
		for _, n := range []string{varClient, varConnection, varResults} {
			f.assign(n, name)
		}
		f.vars[varCollation] = collation
		if list == "" {
			return true
		}
	}
	if strings.Contains(list, "unknown_thing") {
		return false
	}
	for part := range strings.SplitSeq(list, ", ") {
		name, value, ok := strings.Cut(part, " = ")
		if !ok {
			return false
		}
		name = strings.TrimPrefix(name, "SESSION ")
		name = strings.TrimPrefix(name, "@@SESSION.")
		name = strings.ReplaceAll(name, "`", "")
		value = literalValue(value)
		if user, ok := strings.CutPrefix(name, "@"); ok {
			if value == "NULL" {
				delete(f.user, user)
			} else {
				f.user[user] = value
			}
			f.changed(mysqlwire.StateChange{Type: mysqlwire.TrackStateChange, Value: []byte("1")}, trackState)
			continue
		}
		f.assign(name, value)
	}
	return true
}

func (f *fake) assign(name, value string) {
	shown := value
	switch {
	case name == "last_insert_id":
		f.id, _ = strconv.ParseUint(value, 10, 64)
		return
	case name == "autocommit":
		if value == "1" || value == "ON" {
			f.status |= mysqlwire.StatusAutocommit
			f.status &^= mysqlwire.StatusInTrans
		} else {
			f.status &^= mysqlwire.StatusAutocommit
		}
	case value == "DEFAULT":
		delete(f.vars, name)
		shown = "default of " + name
		if v, ok := f.base[name]; ok {
			f.vars[name], shown = v, v
		}
		f.changed(mysqlwire.StateChange{Type: mysqlwire.TrackSystemVariables, Name: []byte(name), Value: []byte(shown)}, trackVariables)
		return
	}
	f.vars[name] = value
	f.changed(mysqlwire.StateChange{Type: mysqlwire.TrackSystemVariables, Name: []byte(name), Value: []byte(shown)}, trackVariables)
}

// literalValue reads a literal as a client or Forebay writes it.
func literalValue(v string) string {
	if _, rest, ok := strings.Cut(v, " 0x"); ok && strings.HasPrefix(v, "_") {
		rest, _, _ = strings.Cut(rest, " COLLATE")
		b, err := hex.DecodeString(rest)
		if err != nil {
			panic(fmt.Sprintf("literal %s: %v", v, err))
		}
		return string(b)
	}
	return strings.Trim(v, "'")
}
