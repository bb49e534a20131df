package mysql

import (
	"encoding/binary"
	"fmt"
	"maps"
	"strings"

	"forebay/internal/wire/mysqlwire"
)

// fake is a MySQL server in small: it takes packets and answers them as a server would, for a handful of texts (see
// fakesql_test.go). Fed directly by a client it tells what the client must see through Forebay.
type fake struct {
	caps    mysqlwire.Capability // agreed on
	in, out []byte
	payload []byte // of a command whose packets continue
	large   bool   // and it does
	seq     uint8  // of the next packet to send
	next    uint8  // expected of the client
	dead    bool
	packets int // answers that are whole packets: commands answered

	status  mysqlwire.Status
	schema  string
	base    map[string]string // system variables, after log-in
	vars    map[string]string // now
	user    map[string]string // user variables
	id      uint64            // LAST_INSERT_ID()
	rows    *uint64           // last AUTO_INCREMENT value of the only table, which all servers of a stage share
	temp    map[string]bool   // temporary tables
	locks   map[string]int
	changes []byte // state changes that the client has not been told
	multi   bool

	stmts    map[uint32]*fakeStmt
	lastStmt uint32
	file     int               // bytes of a file so far; negative: none is being sent
	shows    map[string]string // what SHOW CREATE shows, by what it names
	// Faults.
	refuse string   // a command that holds this fails
	said   []string // texts of COM_QUERY and COM_STMT_PREPARE, in order
}

type fakeStmt struct {
	text   string
	params int
	types  []byte
	long   map[int][]byte
	cursor [][]string // rows to fetch
	open   bool
}

// charsetNames are the variables that every session has set.
var charsetNames = []string{varClient, varConnection, varResults, varCollation}

func newFake(caps mysqlwire.Capability, base map[string]string) *fake {
	f := &fake{caps: caps, base: base, status: mysqlwire.StatusAutocommit, rows: new(uint64)}
	f.reset()
	return f
}

// utf8mb4 is what a session of the tests begins with.
func utf8mb4() map[string]string {
	return map[string]string{varClient: "utf8mb4", varConnection: "utf8mb4", varResults: "utf8mb4", varCollation: "utf8mb4_general_ci"}
}

// reset is COM_RESET_CONNECTION.
func (f *fake) reset() {
	f.status = mysqlwire.StatusAutocommit
	f.vars = maps.Clone(f.base)
	f.user, f.temp, f.locks = map[string]string{}, map[string]bool{}, map[string]int{}
	f.stmts, f.id, f.changes, f.file = map[uint32]*fakeStmt{}, 0, nil, -1
	f.lastStmt = 0
	f.multi = f.caps.Has(mysqlwire.ClientMultiStatements)
}

// pristine says what a session has left behind; empty when it is nothing.
func (f *fake) pristine() string {
	var left []string
	for n, v := range f.user {
		left = append(left, "@"+n+" = "+v)
	}
	for n := range f.temp {
		left = append(left, "temporary table "+n)
	}
	for n := range f.locks {
		left = append(left, "lock "+n)
	}
	if f.status.Has(mysqlwire.StatusInTrans) {
		left = append(left, "a transaction")
	}
	for id, s := range f.stmts {
		if s.open || len(s.long) > 0 {
			left = append(left, fmt.Sprintf("statement %d with a cursor or long data", id))
		}
	}
	if f.file >= 0 {
		left = append(left, "a file")
	}
	return strings.Join(left, ", ")
}

func (f *fake) feed(b []byte) {
	f.in = append(f.in, b...)
	for !f.dead && len(f.in) >= mysqlwire.HeaderLen {
		h, _ := mysqlwire.ParseHeader(f.in)
		size := mysqlwire.HeaderLen + h.Length
		if len(f.in) < size {
			return
		}
		payload := f.in[mysqlwire.HeaderLen:size]
		f.in = f.in[size:]
		if h.Sequence != f.next && !(f.next == 0 && h.Sequence == 0) {
			f.seq = h.Sequence + 1
			f.fail(1156, "08S01", "Got packets out of order")
			f.dead = true
			return
		}
		f.next, f.seq = h.Sequence+1, h.Sequence+1
		if f.file >= 0 {
			f.filePacket(payload, f.large)
			f.large = h.Continues()
			continue
		}
		if f.large = h.Continues(); f.large || len(f.payload) > 0 {
			f.payload = append(f.payload, payload...)
			if f.large {
				continue
			}
			payload, f.payload = f.payload, nil
		}
		f.next = 0
		f.command(payload)
	}
}

func (f *fake) filePacket(payload []byte, goesOn bool) {
	f.file += len(payload)
	if len(payload) > 0 || goesOn {
		return
	}
	n := f.file
	f.file, f.next = -1, 0
	if f.refuse == "file" {
		f.refuse = ""
		f.fail(1300, "HY000", "Invalid utf8mb4 character string")
		return
	}
	f.ok(mysqlwire.OK{AffectedRows: uint64(n)}, false)
}

// send sends one payload.
func (f *fake) send(payload []byte) {
	f.out, f.seq = mysqlwire.AppendPacket(f.out, f.seq, payload)
}

// answered says that a command's answer is complete.
func (f *fake) answered(more bool) {
	if !more {
		f.packets++
	}
}

func (f *fake) fail(code uint16, state, message string) {
	f.send((&mysqlwire.Error{Code: code, SQLState: state, Message: message}).Append(nil))
	f.answered(false)
}

// ok sends an OK packet with the changes of state that are to be told.
func (f *fake) ok(p mysqlwire.OK, more bool) {
	p.Status |= f.status
	if more {
		p.Status |= mysqlwire.StatusMoreResultsExist
	}
	if f.caps.Has(mysqlwire.ClientSessionTrack) && len(f.changes) > 0 {
		p.Status |= mysqlwire.StatusSessionStateChanged
		p.SessionState = f.changes
	}
	f.send(p.Append(nil, f.caps))
	f.changes = nil
	f.answered(more)
}

// end ends rows.
func (f *fake) end(status mysqlwire.Status, more bool) {
	if f.caps.Has(mysqlwire.ClientDeprecateEOF) {
		f.ok(mysqlwire.OK{EOF: true, Status: status}, more)
		return
	}
	if more {
		status |= mysqlwire.StatusMoreResultsExist
	}
	f.send(mysqlwire.EOF{Status: f.status | status}.Append(nil))
	f.answered(more)
}

// endDefinitions ends definitions where a packet does.
func (f *fake) endDefinitions(status mysqlwire.Status) {
	if !f.caps.Has(mysqlwire.ClientDeprecateEOF) {
		f.send(mysqlwire.EOF{Status: f.status | status}.Append(nil))
	}
}

func (f *fake) definition(name string) {
	b := mysqlwire.AppendLenEncString(nil, "def")
	for _, s := range []string{f.schema, "t", "t", name, name} {
		b = mysqlwire.AppendLenEncString(b, s)
	}
	f.send(append(b, 0x0c, 45, 0, 0, 1, 0, 0, byte(mysqlwire.TypeVarString), 0, 0, 0, 0, 0))
}

// header sends the number of columns and their definitions, up to the packet that ends them.
func (f *fake) header(names []string, status mysqlwire.Status) {
	f.send(mysqlwire.AppendLenEncInt(nil, uint64(len(names))))
	for _, n := range names {
		f.definition(n)
	}
	f.endDefinitions(status)
}

func (f *fake) textRow(row []string) {
	var b []byte
	for _, v := range row {
		if v == null {
			b = append(b, mysqlwire.Null)
		} else {
			b = mysqlwire.AppendLenEncString(b, v)
		}
	}
	f.send(b)
}

func (f *fake) binaryRow(row []string) {
	b := append([]byte{0}, make([]byte, (len(row)+9)/8)...)
	for i, v := range row {
		if v == null {
			b[1+(i+2)/8] |= 1 << ((i + 2) % 8)
		} else {
			b = mysqlwire.AppendLenEncString(b, v)
		}
	}
	f.send(b)
}

// null stands for NULL in a row.
const null = "\x00NULL"

func (f *fake) command(b []byte) {
	if len(b) == 0 {
		f.fail(1835, "HY000", "Malformed communication packet.")
		f.dead = true
		return
	}
	body := b[1:]
	switch kind := mysqlwire.Command(b[0]); kind {
	case mysqlwire.ComQuit:
		f.dead = true
	case mysqlwire.ComPing:
		f.ok(mysqlwire.OK{}, false)
	case mysqlwire.ComInitDB:
		f.use(string(body))
	case mysqlwire.ComQuery:
		if f.caps.Has(mysqlwire.ClientQueryAttributes) {
			n, rest, _ := mysqlwire.LenEncInt(body)
			_, rest, _ = mysqlwire.LenEncInt(rest)
			if body = rest; n > 0 {
				panic("the fake knows no query attributes")
			}
		}
		f.query(string(body))
	case mysqlwire.ComFieldList:
		f.definition("a")
		f.definition("b")
		f.end(0, false)
	case mysqlwire.ComStatistics:
		f.send([]byte("Uptime: 1"))
		f.answered(false)
	case mysqlwire.ComProcessInfo:
		f.header([]string{"Id"}, 0)
		f.textRow([]string{"1"})
		f.end(0, false)
	case mysqlwire.ComDebug:
		f.end(0, false)
	case mysqlwire.ComRefresh:
		f.ok(mysqlwire.OK{}, false)
	case mysqlwire.ComSetOption:
		if len(body) != 2 || body[0] > 1 {
			f.fail(1047, "08S01", "Unknown command")
			return
		}
		f.multi = body[0] == 0
		f.end(0, false)
	case mysqlwire.ComResetConnection:
		f.reset()
		f.ok(mysqlwire.OK{}, false)
	case mysqlwire.ComStmtPrepare:
		f.prepare(string(body))
	case mysqlwire.ComStmtExecute, mysqlwire.ComStmtSendLongData, mysqlwire.ComStmtReset, mysqlwire.ComStmtFetch, mysqlwire.ComStmtClose:
		f.statement(kind, body)
	default:
		f.fail(1047, "08S01", "Unknown command")
	}
}

func (f *fake) prepare(text string) {
	f.said = append(f.said, text)
	if strings.HasPrefix(text, "BROKEN") || f.refuse != "" && strings.Contains(text, f.refuse) {
		f.fail(1064, "42000", "You have an error in your SQL syntax")
		return
	}
	st := &fakeStmt{text: text, params: strings.Count(text, "?"), long: map[int][]byte{}}
	f.lastStmt++
	f.stmts[f.lastStmt] = st
	cols := columnsOf(text)
	p := mysqlwire.PrepareOK{StatementID: f.lastStmt, Columns: uint16(len(cols)), Params: uint16(st.params)}
	f.send(p.Append(nil, f.caps))
	for range st.params {
		f.definition("?")
	}
	if st.params > 0 {
		f.endDefinitions(0)
	}
	for _, c := range cols {
		f.definition(c)
	}
	if len(cols) > 0 {
		f.endDefinitions(0)
	}
	f.answered(false)
}

func (f *fake) statement(kind mysqlwire.Command, body []byte) {
	id := binary.LittleEndian.Uint32(body)
	st := f.stmts[id]
	if st == nil {
		if kind != mysqlwire.ComStmtClose && kind != mysqlwire.ComStmtSendLongData {
			f.fail(1243, "HY000", fmt.Sprintf("Unknown prepared statement handler (%d) given to %s", id, commandNames[kind]))
		}
		return
	}
	switch kind {
	case mysqlwire.ComStmtClose:
		delete(f.stmts, id)
	case mysqlwire.ComStmtReset:
		st.long, st.open, st.cursor = map[int][]byte{}, false, nil
		f.ok(mysqlwire.OK{}, false)
	case mysqlwire.ComStmtSendLongData:
		n := int(binary.LittleEndian.Uint16(body[4:]))
		st.long[n] = append(st.long[n], body[6:]...)
	case mysqlwire.ComStmtFetch:
		f.fetch(id, st, int(binary.LittleEndian.Uint32(body[4:])))
	default:
		f.execute(st, body[4:])
	}
}

func (f *fake) fetch(id uint32, st *fakeStmt, n int) {
	if !st.open {
		f.fail(1421, "HY000", fmt.Sprintf("The statement (%d) has no open cursor.", id))
		return
	}
	for ; n > 0 && len(st.cursor) > 0; n-- {
		f.binaryRow(st.cursor[0])
		st.cursor = st.cursor[1:]
	}
	status := mysqlwire.StatusCursorExists
	if n > 0 {
		st.open = false
		status = mysqlwire.StatusLastRowSent
	}
	f.end(status, false)
}

func (f *fake) execute(st *fakeStmt, b []byte) {
	flags := b[0]
	b = b[5:]
	values := make([]string, st.params)
	if n := st.params; n > 0 {
		nulls := b[:(n+7)/8]
		b = b[(n+7)/8:]
		bound := b[0]
		if b = b[1:]; bound == 1 {
			st.types = nil
			for range n {
				st.types, b = append(st.types, b[:2]...), b[2:]
				if f.caps.Has(mysqlwire.ClientQueryAttributes) {
					_, b, _ = mysqlwire.LenEncString(b) // its name
				}
			}
		}
		if len(st.types) != 2*n {
			f.fail(1210, "HY000", "Incorrect arguments to mysqld_stmt_execute")
			return
		}
		for i := range n {
			if long, ok := st.long[i]; ok {
				values[i] = fmt.Sprintf("long %d", len(long))
				continue
			}
			if nulls[i/8]&(1<<(i%8)) != 0 {
				values[i] = null
				continue
			}
			if t := mysqlwire.Type(st.types[2*i]); t == mysqlwire.TypeLongLong {
				values[i], b = fmt.Sprint("int ", binary.LittleEndian.Uint64(b)), b[8:]
			} else {
				var v []byte
				v, b, _ = mysqlwire.LenEncString(b)
				values[i] = string(v)
			}
		}
	}
	st.long, st.open, st.cursor = map[int][]byte{}, false, nil
	f.run(st.text, values, st, flags&1 != 0, false)
}
