package sqlserver

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"forebay/internal/wire/tds"
)

// fake is a SQL Server in small: it takes packets and answers them as a server would, for a handful of texts.
type fake struct {
	version  tds.Version
	size     int // of its packets
	tells    bool
	in, out  []byte
	data     []byte // of the message under way
	first    tds.PacketStatus
	deaf     bool  // it does not see attentions
	ignored  bool  // the message is not to be run
	cursor   int32 // the last handle of one
	running  bool  // a statement that only an attention ends
	bulk     bool
	database string // after log-in

	vars      map[string]string
	db        string
	tran      int
	desc      uint64
	temp      map[string]bool
	locks     int
	handles   map[int32]string
	last      int32
	identity  string
	rowCount  int
	errNumber int
	next      *int // of the only table's identity, which all servers of a stage share

	said          []string // texts of batches, in order
	resets        int
	mute          bool // it does not tell settings
	keepsIdentity bool // a reset does not take it away
	keepsContext  bool // nor CONTEXT_INFO, session_context and @@TRANCOUNT, as on Babelfish, which also knows no SET TEXTSIZE -1
	stale         int  // @@TRANCOUNT of transactions that resets have ended
	tellsBehind   int  // how long the texts are by which it tells of the database behind a reset; 0: it does not
	noReset       bool // it does not acknowledge resets
	noHandle      bool // it does not tell the handle of what it has prepared
	failing       bool // some procedures fail
	forgets       bool // a table variable's identity is lost again, as on Babelfish
}

func newFake(size int, next *int) *fake {
	f := &fake{version: tds.V74, size: size, tells: true, database: "shop", next: next, cursor: 180150001}
	f.resetState()
	f.rowCount = 0
	return f
}

func (f *fake) resetState() {
	f.vars, f.temp, f.handles = map[string]string{}, map[string]bool{}, map[int32]string{}
	f.db, f.tran, f.desc, f.locks, f.bulk = f.database, 0, 0, 0, false
	f.identity = "NULL"
}

// pristine says what a session has left behind that no other may meet; empty when it is nothing.
func (f *fake) pristine() string {
	var left []string
	for t := range f.temp {
		left = append(left, "temporary table "+t)
	}
	if f.tran > 0 {
		left = append(left, "a transaction")
	}
	if f.stale > 0 {
		left = append(left, "the count of a transaction")
	}
	if f.locks > 0 {
		left = append(left, "a lock")
	}
	if f.bulk || f.running {
		left = append(left, "a bulk load or a statement")
	}
	return strings.Join(left, ", ")
}

// reply is an answer in the making.
type reply struct{ b []byte }

func (r *reply) u8(v ...byte) *reply { r.b = append(r.b, v...); return r }
func (r *reply) u16(v int) *reply {
	r.b = binary.LittleEndian.AppendUint16(r.b, uint16(v))
	return r
}

func (r *reply) u32(v int) *reply {
	r.b = binary.LittleEndian.AppendUint32(r.b, uint32(v))
	return r
}

func (r *reply) name(s string) *reply {
	r.u8(byte(len(s)))
	r.b = tds.AppendText(r.b, s)
	return r
}

func (r *reply) done(token byte, status, count int) *reply {
	r.u8(token).u16(status).u16(0)
	r.b = binary.LittleEndian.AppendUint64(r.b, uint64(count))
	return r
}

// inserted is the end of an INSERT.
func (r *reply) inserted(token byte, status, count int) *reply {
	r.done(token, status, count)
	binary.LittleEndian.PutUint16(r.b[len(r.b)-10:], doneInsert)
	return r
}

// described tells of that many columns that are integers.
func (r *reply) described(n int) *reply {
	r.u8(0x81).u16(n)
	for range n {
		r.u32(0).u16(0).u8(0x38).name("n")
	}
	return r
}

// ints is a result of one row of integers.
func (r *reply) ints(v ...int) *reply {
	r.described(len(v)).u8(0xD1)
	for _, n := range v {
		r.u32(n)
	}
	return r
}

// texts is a result of one row of texts, "NULL" for NULL.
func (r *reply) texts(v ...string) *reply {
	r.u8(0x81).u16(len(v))
	for range v {
		r.u32(0).u16(0).u8(0xA7).u16(8000).u8(0, 0, 0, 0, 0).name("s")
	}
	r.u8(0xD1)
	for _, s := range v {
		if s == "NULL" {
			r.u16(0xFFFF)
			continue
		}
		r.u16(len(s)).u8([]byte(s)...)
	}
	return r
}

// wide is a result of one row of Unicode texts.
func (r *reply) wide(v ...string) *reply {
	r.u8(0x81).u16(len(v))
	for range v {
		r.u32(0).u16(0).u8(0xE7).u16(8000).u8(0, 0, 0, 0, 0).name("s")
	}
	r.u8(0xD1)
	for _, s := range v {
		if s == "NULL" {
			r.u16(0xFFFF)
			continue
		}
		r.u16(2 * len(s))
		r.b = tds.AppendText(r.b, s)
	}
	return r
}

func (r *reply) env(kind tds.EnvType, to, from []byte) *reply {
	return r.u8(0xE3).u16(3+len(to)+len(from)).u8(byte(kind), byte(len(to))).u8(to...).u8(byte(len(from))).u8(from...)
}

func (r *reply) text(kind tds.EnvType, to, from string) *reply {
	r.b = tds.TextChange(kind, to, from).Append(r.b)
	return r
}

func (r *reply) info(number int, text string) *reply {
	r.b = (&tds.Message{Info: true, Number: int32(number), Text: text}).Append(r.b, tds.V74)
	return r
}

func (r *reply) err(number int) *reply {
	r.b = (&tds.Message{Number: int32(number), State: 1, Class: 16, Text: "no"}).Append(r.b, tds.V74)
	return r
}

// noProcedure says that there is no procedure: the one that is called, or one that hidden.vain calls.
func (r *reply) noProcedure(called string) {
	m := &tds.Message{Number: errorNoProcedure, State: 62, Class: 16, Text: "no"}
	if called == "hidden.vain" {
		m.Procedure = "vain"
	}
	r.b = m.Append(r.b, tds.V74)
}

func (f *fake) send(r *reply) {
	f.out = tds.AppendMessage(f.out, tds.PacketReply, 0, f.size, 51, r.b)
}

func (f *fake) feed(b []byte) {
	f.in = append(f.in, b...)
	for {
		h, err := tds.ParseHeader(f.in)
		if err != nil || len(f.in) < h.Length {
			return
		}
		if h.Length > f.size {
			panic(fmt.Sprintf("a packet of %d bytes, %d are agreed on", h.Length, f.size))
		}
		if len(f.data) == 0 {
			f.first = h.Status
		}
		f.data = append(f.data, f.in[tds.HeaderSize:h.Length]...)
		f.in = f.in[h.Length:]
		if h.Status&tds.StatusEOM == 0 {
			continue
		}
		data := f.data
		f.data, f.ignored = nil, h.Status&tds.StatusIgnore != 0
		f.message(h.Type, data)
	}
}

func (f *fake) message(t tds.PacketType, data []byte) {
	r := new(reply)
	if t == tds.PacketAttention && f.deaf {
		return
	}
	if t == tds.PacketAttention {
		f.running, f.bulk = false, false
		f.send(r.done(0xFD, tds.DoneAttention, 0))
		return
	}
	if f.running {
		panic("a request while another runs")
	}
	if f.first&(tds.StatusResetConnection|tds.StatusResetConnectionSkip) != 0 {
		f.resets++
		tran, desc := f.tran, f.desc
		id := f.identity
		vars := f.vars
		if f.keepsContext {
			f.stale += tran
		}
		f.resetState()
		if f.keepsIdentity {
			f.identity = id
		}
		for name, v := range vars {
			if f.keepsContext && (strings.HasPrefix(name, "context:") || name == "CONTEXT_INFO") {
				f.vars[name] = v
			}
		}
		if f.first&tds.StatusResetConnectionSkip != 0 {
			f.tran, f.desc = tran, desc
		}
		if !f.noReset {
			r.env(tds.EnvReset, nil, nil)
		}
		if n := f.tellsBehind; n > 0 {
			r.text(tds.EnvDatabase, f.db, "other").info(5701, strings.Repeat("d", n)).text(tds.EnvLanguage, "us_english", "").info(5703, strings.Repeat("l", n))
		}
	}
	if f.ignored { // what was sent of it is not to be run
		f.send(r.done(0xFD, 0, 0))
		return
	}
	if t == tds.PacketBulkLoad {
		f.bulk = false
		*f.next++
		f.identity = strconv.Itoa(*f.next)
		f.send(r.done(0xFD, tds.DoneCount, 3))
		return
	}
	if f.bulk {
		panic("a request while rows are due")
	}
	h, n, err := tds.ParseAllHeaders(data, f.version)
	if err != nil {
		panic(err)
	}
	if got := binary.LittleEndian.Uint64(h.Transaction); got != f.desc && (f.tells || f.desc != 0) && f.first&tds.StatusResetConnection == 0 {
		panic(fmt.Sprintf("transaction descriptor %d, want %d", got, f.desc))
	}
	body := data[n:]
	switch t {
	case tds.PacketSQLBatch:
		text := tds.DecodeText(body)
		f.said = append(f.said, text)
		f.batch(r, text, 0xFD, false)
	case tds.PacketRPC:
		f.rpc(r, body)
	case tds.PacketTransaction:
		tm, err := tds.ParseTransactionManager(body)
		if err != nil {
			panic(err)
		}
		switch tm.Type {
		case tds.TransactionBegin:
			f.begin(r, true)
		case tds.TransactionCommit:
			f.commit(r, true)
		case tds.TransactionRollback:
			f.rollback(r, true)
		}
		r.done(0xFD, 0, 0)
	}
	if !f.running {
		f.send(r)
	}
}

func (f *fake) descriptor(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

func (f *fake) begin(r *reply, tell bool) {
	if f.tran++; f.tran == 1 && tell {
		f.desc = 77
		r.env(tds.EnvBegin, f.descriptor(77), nil)
	}
}

func (f *fake) commit(r *reply, tell bool) {
	if f.tran--; f.tran == 0 && tell {
		r.env(tds.EnvCommit, nil, f.descriptor(f.desc))
	}
	if f.tran == 0 {
		f.desc = 0
	}
}

func (f *fake) rollback(r *reply, tell bool) {
	if f.tran > 0 && tell {
		r.env(tds.EnvRollback, nil, f.descriptor(f.desc))
	}
	f.tran, f.desc = 0, 0
}

// batch runs a text. last: what ends it.
func (f *fake) batch(r *reply, text string, token byte, within bool) {
	stmts := strings.Split(strings.Trim(text, "; "), ";")
	if text == probeTells {
		if f.tran == 0 {
			f.begin(r, f.tells)
			f.commit(r, f.tells)
		}
		stmts = []string{probePlain}
	}
	if strings.HasPrefix(text, textNothing) {
		if f.tran > 0 {
			f.rollback(r, f.tells)
		} else if f.stale > 0 {
			r.err(3903).done(token, tds.DoneError, 0)
			return
		}
		stmts = stmts[1:]
		if len(stmts) == 0 {
			r.done(token, 0, 0)
		}
	}
	for i, s := range stmts {
		if strings.Contains(s, " SELECT 1/0") {
			s = "SELECT 1/0"
		}
		status, count := 0, 0
		s = strings.TrimSpace(s)
		if i < len(stmts)-1 {
			status = tds.DoneMore
		}
		f.errNumber = 0
		words := strings.Fields(s)
		if writes := words[0] == "INSERT" || words[0] == "UPDATE"; writes && f.vars["IMPLICIT_TRANSACTIONS"] == "ON" && f.tran == 0 {
			f.begin(r, f.tells)
		}
		switch {
		case s == askSettings && f.mute:
			r.err(208)
			status |= tds.DoneError
		case s == askSettings:
			lock := "-1"
			if v, ok := f.vars["LOCK_TIMEOUT"]; ok {
				lock = strings.Replace(v, "@n", "5", 1)
			}
			r.wide(f.db, "5496", "us_english", "mdy", "7", "2", lock, "-1", "0", "NULL")
		case s == probePlain:
			r.ints(f.tran + f.stale)
			count = 1
		case s == askIdentity:
			r.texts(f.identity, f.identity)
			count = 1
		case s == "SELECT @@IDENTITY", s == "SELECT SCOPE_IDENTITY()":
			r.texts(f.identity)
			count = 1
		case s == "SELECT @@ROWCOUNT":
			r.ints(f.rowCount)
			count = 1
		case s == "SELECT 1/0":
			r.err(8134)
			status |= tds.DoneError
			f.errNumber = 8134
			if f.vars["XACT_ABORT"] == "ON" && f.tran > 0 {
				f.rollback(r, f.tells)
			}
		case strings.HasPrefix(s, "SELECT VAR "):
			v, ok := f.vars[words[2]]
			if !ok {
				v = "NULL"
			}
			r.texts(v)
			count = 1
		case strings.HasPrefix(s, "SELECT PREPARED "):
			r.texts(words[2])
			count = 1
		case s == "SELECT DB_NAME()":
			r.texts(f.db)
			count = 1
		case s == "SELECT many":
			r.texts(strings.Repeat("x", 8000))
			count = 1
		case s == "SELECT @i=1 WHERE 1=0":
		case strings.HasPrefix(s, "SELECT 1 UNION ALL"):
			count = strings.Count(s, "SELECT")
		case strings.HasPrefix(s, "SELECT TOP("):
			count, _ = strconv.Atoi(s[len("SELECT TOP("):strings.Index(s, ")")])
		case strings.HasPrefix(s, "SELECT"):
			r.ints(1)
			count = 1
		case strings.HasPrefix(s, "DECLARE @t TABLE(a numeric(18,0) IDENTITY("):
			id, _, _ := strings.Cut(strings.TrimPrefix(s, "DECLARE @t TABLE(a numeric(18,0) IDENTITY("), ",")
			if f.identity = id; f.forgets {
				f.identity = "NULL"
			}
		case strings.HasPrefix(s, "IF @@IDENTITY IS NULL OR @@IDENTITY<>"):
			if f.identity != strings.Fields(strings.TrimPrefix(s, "IF @@IDENTITY IS NULL OR @@IDENTITY<>"))[0] {
				r.err(numberRaised)
				status |= tds.DoneError
			}
		case strings.HasPrefix(s, "IF @@IDENTITY IS NOT NULL"):
		case s == "INSERT @t VALUES(1)":
			f.identity = "NULL"
		case strings.HasPrefix(s, "INSERT @t"), strings.HasPrefix(s, "DECLARE"):
		case strings.HasPrefix(s, "INSERT BULK"):
			f.bulk = true
		case strings.HasPrefix(s, "INSERT plain"): // without an identity
			f.identity, count = "NULL", 1
		case strings.HasPrefix(s, "INSERT"):
			*f.next++
			f.identity = strconv.Itoa(*f.next)
			count = 1
		case strings.HasPrefix(s, "UPDATE"):
			count = 5
		case s == "BEGIN TRAN":
			f.begin(r, f.tells)
		case s == "COMMIT TRAN", s == "COMMIT":
			f.commit(r, f.tells)
		case s == "ROLLBACK TRAN":
			f.rollback(r, f.tells)
		case strings.HasPrefix(s, "SAVE TRAN"), strings.HasPrefix(s, "ROLLBACK TRAN "):
		case words[0] == "USE":
			old := f.db
			f.db = strings.Trim(words[1], "[]")
			r.text(tds.EnvDatabase, f.db, old).info(5701, "Changed database context")
		case strings.HasPrefix(s, "EXECUTE AS"), words[0] == "REVERT", words[0] == "IF", words[0] == "OPEN", words[0] == "CLOSE",
			words[0] == "SETUSER", words[0] == "DBCC", s == "BEGIN DISTRIBUTED TRAN", s == "SET CONTEXT_INFO @a":
		case s == "SET TEXTSIZE -1" && f.keepsContext:
			r.err(33557097)
			status |= tds.DoneError
		case words[0] == "SET" && !within:
			name := words[1]
			if name == "TRANSACTION" {
				name = "ISOLATION"
			}
			if f.vars[name] = words[len(words)-1]; name == "ISOLATION" && f.vars[name] == "COMMITTED" {
				delete(f.vars, name) // as after log-in
			}
		case words[0] == "SET":
		case words[0] == "CREATE":
			if strings.HasPrefix(words[2], "#") {
				f.temp[words[2]] = true
			}
		case words[0] == "ALTER", words[0] == "DEALLOCATE":
		case words[0] == "DROP":
			delete(f.temp, words[2])
		case words[0] == "WAITFOR":
			f.running = true
			return
		case words[0] == "EXEC":
			switch words[1] {
			case "opens":
				f.begin(r, f.tells)
			case "leaks", "init":
				f.vars[strings.TrimSuffix(words[1], "s")] = "1"
			case "sp_set_session_context", "sys.sp_set_session_context":
				parts := strings.Split(s, "'")
				if name := "context:" + parts[1]; strings.HasSuffix(s, "NULL") {
					delete(f.vars, name)
				} else {
					f.vars[name] = parts[3]
				}
			case "sp_getapplock":
				f.locks++
			case "sp_releaseapplock":
				if strings.HasSuffix(s, "'Session'") {
					f.locks--
				}
			case "sp_reset_connection": // no text can call it
				r.err(2812)
				status |= tds.DoneError
			case "nowhere", "hidden.vain":
				r.noProcedure(words[1])
				status |= tds.DoneError
			case "inserts", "fails", "closes":
				if words[1] == "inserts" {
					*f.next++
					f.identity = strconv.Itoa(*f.next)
				}
				if f.failing {
					r.err(547)
					status |= tds.DoneError
				}
			}
		default:
			panic("what is " + s + "?")
		}
		if !strings.HasPrefix(s, "SET") && !strings.HasPrefix(s, "DECLARE") {
			f.rowCount = count
		}
		if count > 0 && f.vars["NOCOUNT"] != "ON" {
			status |= tds.DoneCount
		}
		if strings.HasPrefix(s, "INSERT") && count > 0 {
			r.inserted(token, status, count)
		} else {
			r.done(token, status, count)
		}
	}
}

func (f *fake) rpc(r *reply, body []byte) {
	for len(body) > 0 {
		var c tds.RPC
		rest, err := c.Next(body, f.version, tds.Features{})
		if err != nil {
			panic(err)
		}
		body = rest
		status := 0
		if len(rest) > 0 {
			status = tds.DoneRPCBatch | tds.DoneMore
		}
		text := func(i int) string {
			t, ok := c.Param(i).Text(nil)
			if !ok {
				panic("no text")
			}
			return tds.DecodeText(t)
		}
		handle := func() int32 {
			h, _, _ := c.Param(0).Int()
			return int32(h)
		}
		returns := func(h int32) {
			r.u8(0xAC).u16(0).name("").u8(1).u32(0).u16(0).u8(0x26, 4, 4).u32(int(h))
		}
		switch c.ID {
		case tds.ProcExecuteSQL:
			f.batch(r, text(0), 0xFF, true)
		case tds.ProcPrepare, tds.ProcPrepExec:
			if h := handle(); h != 0 {
				if _, ok := f.handles[h]; !ok {
					panic("an old handle that there is not")
				}
				delete(f.handles, h)
			}
			f.last += 100
			f.handles[f.last] = strings.ReplaceAll(text(2), "PREPARED DB", "PREPARED "+f.db)
			if c.ID == tds.ProcPrepExec {
				f.batch(r, text(2), 0xFF, true)
			}
			r.u8(0x79).u32(0)
			if !f.noHandle {
				returns(f.last)
			}
		case tds.ProcExecute, tds.ProcUnprepare:
			t, ok := f.handles[handle()]
			switch {
			case !ok:
				r.err(8179)
				status |= tds.DoneError
			case c.ID == tds.ProcExecute:
				f.batch(r, t, 0xFF, true)
			default:
				delete(f.handles, handle())
			}
		case tds.ProcCursorOpen, tds.ProcCursorPrepExec:
			if text(1) == "SELECT 1/0" {
				r.err(8134)
				status |= tds.DoneError
				break
			}
			if text(1) == "SELECT nothing" { // as where there is no cursor for a text
				r.u8(0x79).u32(0)
				returns(0)
				break
			}
			f.cursor += 2
			f.temp[fmt.Sprint("cursor ", f.cursor)] = true
			r.described(2).done(0xFF, tds.DoneMore, 0).u8(0x79).u32(0)
			if c.ID == tds.ProcCursorPrepExec {
				f.temp["cursor's statement"] = true
				returns(1)
			}
			returns(f.cursor)
		case tds.ProcCursorFetch:
			if c.WithoutColumns() {
				r.u8(0x81).u16(0xFFFF)
			} else {
				r.described(1) // as Babelfish, which leaves ROWSTAT out
			}
			r.u8(0xD1).u32(7).u32(1).done(0xFF, tds.DoneMore|tds.DoneCount, 1).u8(0x79).u32(0)
		case tds.ProcCursorClose:
			if name := fmt.Sprint("cursor ", handle()); !f.temp[name] {
				r.err(16909)
				status |= tds.DoneError
			} else {
				delete(f.temp, name)
			}
		case tds.ProcCursorUnprepare:
			delete(f.temp, "cursor's statement")
		default:
			switch tds.DecodeText(c.Name) {
			case "sp_getapplock":
				if text(2) == "Session" {
					f.locks++
				}
				r.u8(0x79).u32(0)
			case "sp_releaseapplock":
				f.locks--
				r.u8(0x79).u32(0)
			case "leaks":
				f.vars["leak"] = "1"
			case "nowhere", "hidden.vain":
				r.noProcedure(tds.DecodeText(c.Name))
				status |= tds.DoneError
			case "sp_reset_connection":
				f.resetState()
			case "options":
				returns(int32(c.Options))
			case "returns":
				returns(42)
			}
		}
		r.done(0xFE, status, 0)
		if f.running {
			return
		}
	}
}
