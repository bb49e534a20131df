package tds

import (
	"encoding/binary"
)

// hasHeaders reports whether requests of that version begin with ALL_HEADERS.
func (v Version) hasHeaders() bool { return v.AtLeast(V72) }

// AllHeaders are what comes before the data of a request ([MS-TDS] 2.2.5.3), from TDS 7.2 on.
type AllHeaders struct {
	// Transaction is the transaction descriptor, in place: 8 bytes, zero outside a transaction. nil: there is no such header.
	Transaction []byte
	Outstanding uint32 // requests under way in the session; 1 without MARS
	Notifies    bool   // it asks for a query notification
}

// ParseAllHeaders decodes the headers at the beginning of a request's data, and returns how long they are.
func ParseAllHeaders(b []byte, v Version) (h AllHeaders, n int, err error) {
	if !v.hasHeaders() {
		return h, 0, nil
	}
	if len(b) < 4 {
		return h, 0, ErrShort
	}
	total := binary.LittleEndian.Uint32(b)
	if total < 4 || total > MaxPacketSize {
		return h, 0, &MalformedError{"ALL_HEADERS", "length"}
	}
	n = int(total)
	if len(b) < n {
		return h, 0, ErrShort
	}
	for i := 4; i < n; {
		if n-i < 6 {
			return h, 0, &MalformedError{"ALL_HEADERS", "header"}
		}
		size := binary.LittleEndian.Uint32(b[i:])
		if size < 6 || size > uint32(n-i) {
			return h, 0, &MalformedError{"ALL_HEADERS", "header length"}
		}
		data := b[i+6 : i+int(size)]
		switch binary.LittleEndian.Uint16(b[i+4:]) {
		case 1:
			h.Notifies = true
		case 2:
			if len(data) != 12 || h.Transaction != nil {
				return h, 0, &MalformedError{"ALL_HEADERS", "transaction descriptor"}
			}
			h.Transaction = data[:8:8]
			h.Outstanding = binary.LittleEndian.Uint32(data[8:])
		}
		i += int(size)
	}
	return h, n, nil
}

// AppendAllHeaders appends headers with a transaction descriptor: nothing where the version has none.
func AppendAllHeaders(b []byte, v Version, transaction [8]byte) []byte {
	if !v.hasHeaders() {
		return b
	}
	b = append(b, 22, 0, 0, 0, 18, 0, 0, 0, 2, 0)
	return append(append(b, transaction[:]...), 1, 0, 0, 0)
}

// SkipEnclave passes over what column encryption with enclaves puts before a text and behind a procedure's options.
func SkipEnclave(b []byte, f Features) (rest []byte, err error) {
	if f.ColumnEncryption < 2 {
		return b, nil
	}
	if len(b) < 2 {
		return nil, ErrShort
	}
	n := int(binary.LittleEndian.Uint16(b))
	if len(b)-2 < n {
		return nil, ErrShort
	}
	return b[2+n:], nil
}

// ProcID names a procedure that requests call by number ([MS-TDS] 2.2.6.6).
type ProcID uint16

// The numbered procedures.
const (
	ProcCursor          ProcID = 1
	ProcCursorOpen      ProcID = 2
	ProcCursorPrepare   ProcID = 3
	ProcCursorExecute   ProcID = 4
	ProcCursorPrepExec  ProcID = 5
	ProcCursorUnprepare ProcID = 6
	ProcCursorFetch     ProcID = 7
	ProcCursorOption    ProcID = 8
	ProcCursorClose     ProcID = 9
	ProcExecuteSQL      ProcID = 10
	ProcPrepare         ProcID = 11
	ProcExecute         ProcID = 12
	ProcPrepExec        ProcID = 13
	ProcPrepExecRPC     ProcID = 14
	ProcUnprepare       ProcID = 15
)

var procNames = map[string]ProcID{
	"sp_cursor": ProcCursor, "sp_cursoropen": ProcCursorOpen, "sp_cursorprepare": ProcCursorPrepare, "sp_cursorexecute": ProcCursorExecute,
	"sp_cursorprepexec": ProcCursorPrepExec, "sp_cursorunprepare": ProcCursorUnprepare, "sp_cursorfetch": ProcCursorFetch,
	"sp_cursoroption": ProcCursorOption, "sp_cursorclose": ProcCursorClose, "sp_executesql": ProcExecuteSQL, "sp_prepare": ProcPrepare,
	"sp_execute": ProcExecute, "sp_prepexec": ProcPrepExec, "sp_prepexecrpc": ProcPrepExecRPC, "sp_unprepare": ProcUnprepare,
}

// Param is a parameter of a procedure call.
type Param struct {
	Name   []byte // UTF-16LE
	Output bool
	Type   TypeID
	Null   bool
	value  []byte // in place; with formPLP its chunks
	chunks bool
}

// MaxParams is how many parameters of a call an RPC keeps.
const MaxParams = 8

// RPC is a procedure call of an RPC request.
type RPC struct {
	ID      ProcID // also where a numbered procedure is called by its name; 0: Name
	Name    []byte // UTF-16LE; may be quoted, and have a schema and a database
	Options uint16
	Params  int              // how many
	First   [MaxParams]Param // the first of them
	NoExec  bool             // it is not to be run

	options []byte // in place
}

// optionNoColumns is fNoMetaData of a call's options.
const optionNoColumns = 2

// WithoutColumns reports whether the client says that it knows the columns of results already.
func (r *RPC) WithoutColumns() bool { return r.Options&optionNoColumns != 0 }

// AskForColumns has the server tell the columns of results, in place, where the client says that it knows them already
// (fNoMetaData): rows cannot be told from tokens without. Clients take what they are told.
func (r *RPC) AskForColumns() {
	if len(r.options) > 0 {
		r.options[0] &^= optionNoColumns
	}
}

// Param returns the i-th parameter, or one that is NULL.
func (r *RPC) Param(i int) *Param {
	if i < min(r.Params, MaxParams) {
		return &r.First[i]
	}
	return &Param{Null: true}
}

// Int returns an integer parameter, and where its bytes are: one, two, four or eight, in place.
func (p *Param) Int() (v int64, at []byte, ok bool) {
	if p.Null || p.chunks {
		return 0, nil, false
	}
	switch p.Type {
	case TypeIntN, TypeInt1, TypeInt2, TypeInt4, TypeInt8, TypeBitN, TypeBit:
	default:
		return 0, nil, false
	}
	switch b := p.value; len(b) {
	case 1:
		return int64(b[0]), b, true
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(b))), b, true
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b))), b, true
	case 8:
		return int64(binary.LittleEndian.Uint64(b)), b, true
	}
	return 0, nil, false
}

// Text returns a parameter that is Unicode text, UTF-16LE. Where that is not in one piece it is put together behind buf.
func (p *Param) Text(buf []byte) (text []byte, ok bool) {
	if p.Null {
		return nil, true
	}
	switch p.Type {
	case TypeNVarChar, TypeNChar, TypeNText, TypeXML:
	default:
		return nil, false
	}
	if !p.chunks {
		return p.value, true
	}
	b := p.value
	start := len(buf)
	for {
		n := int(binary.LittleEndian.Uint32(b)) // checked by value
		if n == 0 {
			return buf[start:], true
		}
		b = b[4:]
		if len(buf) == start && binary.LittleEndian.Uint32(b[n:]) == 0 {
			return b[:n], true
		}
		buf = append(buf, b[:n]...)
		b = b[n:]
	}
}

// requestReader reads the data of a request that is there.
type requestReader struct {
	b   []byte
	err error
	v   Version
	f   Features
}

func (r *requestReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *requestReader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.b) {
		r.fail(ErrShort)
		return nil
	}
	t := r.b[:n:n]
	r.b = r.b[n:]
	return t
}

func (r *requestReader) u8() byte {
	if t := r.take(1); t != nil {
		return t[0]
	}
	return 0
}

func (r *requestReader) u16() uint16 {
	if t := r.take(2); t != nil {
		return binary.LittleEndian.Uint16(t)
	}
	return 0
}

func (r *requestReader) u32() uint32 {
	if t := r.take(4); t != nil {
		return binary.LittleEndian.Uint32(t)
	}
	return 0
}

func (r *requestReader) u64() uint64 {
	if t := r.take(8); t != nil {
		return binary.LittleEndian.Uint64(t)
	}
	return 0
}

// long takes n bytes, of which the peer says how many there are.
func (r *requestReader) long(n uint32) []byte {
	if int64(n) > int64(len(r.b)) {
		r.fail(ErrShort)
		return nil
	}
	return r.take(int(n))
}

func (r *requestReader) nameB() []byte { return r.take(2 * int(r.u8())) }
func (r *requestReader) nameU() []byte { return r.take(2 * int(r.u16())) }

// info reads a TYPE_INFO and says how values of it are written.
func (r *requestReader) info() (t TypeID, f valueForm, size uint8) {
	t = TypeID(r.u8())
	form := typeForms[t]
	f = form.value
	switch form.info {
	case infoLen1:
		r.u8()
	case infoDecimal, infoVector:
		r.take(3)
	case infoLen2, infoLen2Col:
		if r.u16() == lenNull {
			f = formPLP
		}
		if form.info == infoLen2Col {
			r.take(collationSize)
		}
	case infoLen4, infoImage:
		r.u32()
	case infoText:
		r.take(4 + collationSize)
	case infoXML:
		if r.u8() != 0 {
			r.nameB()
			r.nameB()
			r.nameU()
		}
	case infoUDT, infoTVP:
		r.nameB()
		r.nameB()
		r.nameB()
	}
	if f == formNone && r.err == nil {
		r.fail(&MalformedError{"RPC", "type"})
	}
	return t, f, form.size
}

// value reads a value: with formPLP its chunks, with their end.
func (r *requestReader) value(f valueForm, size uint8) (v []byte, null bool) {
	switch f {
	case formFixed:
		return r.take(int(size)), size == 0
	case formLen1:
		n := r.u8()
		return r.take(int(n)), n == 0
	case formLen2:
		n := r.u16()
		if n == lenNull {
			return nil, true
		}
		return r.take(int(n)), false
	case formLen4:
		n := r.u32()
		return r.long(n), n == 0
	case formText:
		n := r.u32()
		if n == 0xFFFFFFFF {
			return nil, true
		}
		return r.long(n), false
	case formPLP:
		if r.u64() == plpNull {
			return nil, true
		}
		all := r.b
		for {
			n := r.u32()
			if n == 0 || r.err != nil {
				break
			}
			r.long(n)
		}
		if r.err != nil {
			return nil, true
		}
		return all[: len(all)-len(r.b) : len(all)-len(r.b)], false
	case formTVP:
		r.tvp()
	}
	return nil, false
}

// tvp reads a table-valued parameter behind its type's name.
func (r *requestReader) tvp() {
	type column struct {
		form valueForm
		size uint8
	}
	var cols []column
	n := int(r.u16())
	if n == 0xFFFF {
		n = 0
	}
	for range n {
		if r.err != nil {
			return
		}
		r.u32()
		flags := r.u16()
		t, f, size := r.info()
		if t == TypeTVP {
			r.fail(&MalformedError{"RPC", "type of a column"})
			return
		}
		r.nameB()
		if flags&0x0200 == 0 { // else it has its default, and is in no row
			cols = append(cols, column{f, size})
		}
	}
	for r.err == nil {
		switch r.u8() {
		case 0:
			for r.err == nil {
				switch r.u8() {
				case 0:
					return
				case 1:
					for _, c := range cols {
						r.value(c.form, c.size)
					}
				default:
					r.fail(&MalformedError{"RPC", "row of a table"})
				}
			}
		case 0x10:
			r.take(3 * int(r.u16()))
		case 0x11:
			r.take(2 * int(r.u16()))
		default:
			r.fail(&MalformedError{"RPC", "table"})
		}
	}
}

// Next decodes the call at the beginning of b, which is what comes behind ALL_HEADERS or behind another call, and returns
// what comes behind it: nothing, or another one. Parameters of which b has all are there also with ErrShort.
func (r *RPC) Next(b []byte, v Version, f Features) (rest []byte, err error) {
	*r = RPC{}
	q := requestReader{b: b, v: v, f: f}
	if n := q.u16(); n == 0xFFFF {
		r.ID = ProcID(q.u16())
		if q.err == nil && (r.ID == 0 || r.ID > ProcUnprepare) {
			return nil, &MalformedError{"RPC", "procedure"}
		}
	} else {
		r.Name = q.take(2 * int(n))
		r.ID = procOf(r.Name)
	}
	if r.options = q.take(2); r.options != nil {
		r.Options = binary.LittleEndian.Uint16(r.options)
	}
	if q.err == nil {
		rest, err := SkipEnclave(q.b, f)
		if err != nil {
			q.fail(err)
		}
		q.b = rest
	}
	for q.err == nil && len(q.b) > 0 {
		switch c := q.b[0]; {
		case c == 0xFF && v.hasHeaders(), c == 0x80 && !v.hasHeaders():
			return q.b[1:], nil
		case c == 0xFE && v.hasHeaders():
			r.NoExec = true
			return q.b[1:], nil
		}
		var p Param
		p.Name = q.nameB()
		status := q.u8()
		p.Output = status&1 != 0
		t, form, size := q.info()
		p.Type, p.chunks = t, form == formPLP
		p.value, p.Null = q.value(form, size)
		if status&8 != 0 && f.ColumnEncryption != 0 { // how it is encrypted
			q.info()
			if q.u8() == 0 {
				q.nameB()
			}
			q.take(1 + 4 + 4 + 4 + 8 + 1)
		}
		if q.err != nil {
			break
		}
		if r.Params < MaxParams {
			r.First[r.Params] = p
		}
		r.Params++
	}
	return nil, q.err
}

// procOf is the number of a procedure that is called by its name.
func procOf(name []byte) ProcID {
	var b [32]byte
	n, ok := systemName(b[:0], name)
	if !ok {
		return 0
	}
	return procNames[string(n)]
}

// IsSystem reports whether a name in UTF-16LE, perhaps in quotes, means the server's own procedure of that name, which is in lower
// case, whatever procedures a database has: it has no schema, or sys.
func IsSystem(name []byte, want string) bool {
	var b [32]byte
	n, ok := systemName(b[:0], name)
	return ok && string(n) == want
}

// systemName appends the name of a procedure of the server's own, in lower case and without quotes and schema. It reports false
// where it may be another's, or is too long for dst.
func systemName(dst, name []byte) ([]byte, bool) {
	quote, schema := byte(0), false
	for i := 0; i+1 < len(name); i += 2 {
		c := name[i]
		if name[i+1] != 0 || c >= 0x80 {
			return nil, false
		}
		switch {
		case quote == 0 && (c == '[' || c == '"'):
			if quote = c; c == '[' {
				quote = ']'
			}
			continue
		case quote != 0 && c == quote:
			quote = 0
			continue
		case c == '.' && (quote != 0 || schema || string(dst) != "sys"):
			return nil, false
		case c == '.':
			dst, schema = dst[:0], true
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		}
		if len(dst) == cap(dst) {
			return nil, false
		}
		dst = append(dst, c)
	}
	return dst, quote == 0
}

// TransactionRequest is the type of a transaction manager request ([MS-TDS] 2.2.6.9).
type TransactionRequest uint16

// The transaction manager requests.
const (
	TransactionGetDTCAddress TransactionRequest = 0
	TransactionPropagate     TransactionRequest = 1
	TransactionBegin         TransactionRequest = 5
	TransactionPromote       TransactionRequest = 6
	TransactionCommit        TransactionRequest = 7
	TransactionRollback      TransactionRequest = 8
	TransactionSave          TransactionRequest = 9
)

// TransactionManager is a transaction manager request.
type TransactionManager struct {
	Type      TransactionRequest
	Isolation byte // of TransactionBegin, and of another that is to begin next; 0: as it is
	Begins    bool // another transaction is to begin when it has ended this one
	Named     bool // TransactionRollback: to a savepoint, or of the transaction of that name
}

// ParseTransactionManager decodes what comes behind ALL_HEADERS.
func ParseTransactionManager(b []byte) (t TransactionManager, err error) {
	q := requestReader{b: b}
	t.Type = TransactionRequest(q.u16())
	switch t.Type {
	case TransactionBegin:
		t.Isolation = q.u8()
		q.take(int(q.u8()))
	case TransactionCommit, TransactionRollback:
		n := q.u8()
		q.take(int(n))
		t.Named = n > 0
		if flags := q.u8(); flags&1 != 0 {
			t.Begins = true
			t.Isolation = q.u8()
			q.take(int(q.u8()))
		}
	case TransactionSave:
		q.take(int(q.u8()))
	case TransactionGetDTCAddress, TransactionPropagate:
		q.take(int(q.u16()))
	case TransactionPromote:
	default:
		if q.err == nil {
			q.fail(&MalformedError{"transaction manager request", "type"})
		}
	}
	return t, q.err
}
