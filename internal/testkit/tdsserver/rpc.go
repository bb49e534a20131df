package tdsserver

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Procedures that have a number ([MS-TDS] 2.2.6.6).
var numbered = map[int]string{
	1: "sp_cursor", 2: "sp_cursoropen", 3: "sp_cursorprepare", 4: "sp_cursorexecute", 5: "sp_cursorprepexec", 6: "sp_cursorunprepare",
	7: "sp_cursorfetch", 8: "sp_cursoroption", 9: "sp_cursorclose", 10: "sp_executesql", 11: "sp_prepare", 12: "sp_execute",
	13: "sp_prepexec", 14: "sp_prepexecrpc", 15: "sp_unprepare",
}

// rpc answers an RPC request, of one procedure or of several.
func (s *session) rpc(data []byte, r *reply) error {
	in := &reader{b: data}
	for first := true; first || len(in.b) > 0; first = false {
		name := ""
		if n := in.short(); n == 0xFFFF {
			id := in.short()
			if name = numbered[id]; name == "" {
				return fmt.Errorf("tdsserver: procedure number %d", id)
			}
		} else {
			name = fromUCS2(in.take(2 * n))
		}
		in.short() // options
		var args []*arg
		for len(in.b) > 0 && in.b[0] != 0xFF && in.b[0] != 0xFE && !(in.b[0] == 0x80 && rank(s.version) < 72) {
			a, err := s.readParam(in)
			if err != nil {
				return err
			}
			args = append(args, a)
		}
		in.take(min(1, len(in.b)))
		if in.bad {
			return errors.New("tdsserver: RPC request is short")
		}
		if err := s.callRPC(name, args, r); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) readParam(in *reader) (*arg, error) {
	a := &arg{name: in.name()}
	flags := in.byte()
	a.output, a.usual = flags&1 != 0, flags&2 != 0
	if len(in.b) > 0 && in.b[0] == tTVP {
		in.byte()
		a.v = value{sqlType{id: tTVP}, s.readTVP(in)}
	} else {
		t, fixed := s.readType(in)
		a.v = value{t, s.readValue(in, t, fixed)}
		if t.id == tDecimal || t.id == tNumeric {
			a.v.t.size = 17
		}
	}
	if in.bad {
		return nil, fmt.Errorf("tdsserver: RPC parameter %q is malformed", a.name)
	}
	return a, nil
}

// readTVP reads a table-valued parameter ([MS-TDS] 2.2.5.5.5).
func (s *session) readTVP(in *reader) tvp {
	in.name()
	in.name()
	in.name()
	n := in.short()
	if n == 0xFFFF {
		n = 0
	}
	type col struct {
		t     sqlType
		fixed bool
		usual bool
	}
	var cols []col
	for range n {
		in.take(4)
		flags := in.short()
		t, fixed := s.readType(in)
		in.name()
		cols = append(cols, col{t, fixed, flags&0x200 != 0})
		if in.bad {
			return tvp{}
		}
	}
	for {
		switch in.byte() {
		case 0x10: // order and uniqueness
			in.take(3 * in.short())
		case 0x11: // order of columns
			in.take(2 * in.short())
		case 0:
			var out tvp
			for in.byte() == 1 && !in.bad {
				var row []value
				for _, c := range cols {
					v := value{t: c.t}
					if !c.usual {
						v.v = s.readValue(in, c.t, c.fixed)
					}
					row = append(row, v)
				}
				out.rows = append(out.rows, row)
			}
			return out
		default:
			in.bad = true
			return tvp{}
		}
	}
}

func (s *session) callRPC(name string, args []*arg, r *reply) error {
	words, e := lex(name, true)
	var parts []string
	for _, w := range words {
		if w.kind == kName || w.kind == kQuoted {
			parts = append(parts, w.s)
		}
	}
	if n := len(parts); e != nil || n == 0 {
		parts = []string{name}
	}
	x := &exec{s: s, r: r, vars: map[string]*value{}, inProc: true, nest: 1}
	before := x.failed
	status, err := x.call(parts, args)
	switch {
	case errors.Is(err, errAbort), errors.Is(err, errReturn):
	case err != nil:
		return err
	}
	r.token(returnStatus(status))
	for i, a := range args {
		if a.output {
			r.token(s.returnValue(i, a))
		}
	}
	flags := uint16(0)
	if x.failed != before {
		flags = doneError
	}
	r.last(s.doneToken(tokenDoneProc, flags, cmdExec, 0))
	return nil
}

func (s *session) returnValue(i int, a *arg) []byte {
	t := a.v.t
	if t.id == tNull || t.id == 0 || t.id == tTVP {
		t, a.v.v = typeInt, nil
	}
	b := binary.LittleEndian.AppendUint16([]byte{tokenReturnValue}, uint16(i))
	b = bString(b, a.name)
	b = append(b, 1)
	if rank(s.version) >= 72 {
		b = append(b, 0, 0, 0, 0)
	} else {
		b = append(b, 0, 0)
	}
	b = append(b, 0, 0)
	b = s.appendType(b, t, false)
	return s.appendValue(b, t, a.v.v, false, inParam)
}

// bulkLoad is what INSERT BULK has announced.
type bulkLoad struct {
	parts []string
	cols  []string
}

// insertBulk takes INSERT BULK; INSERT has been taken.
func (p *parser) insertBulk() stmt {
	p.i++
	parts := p.parts()
	p.need(p.op("("))
	var cols []string
	for {
		cols = append(cols, p.ident())
		p.typ()
		if p.kw("COLLATE") {
			p.ident()
		}
		p.kw("NOT", "NULL")
		p.kw("NULL")
		if !p.op(",") {
			break
		}
	}
	p.need(p.op(")"))
	if p.kw("WITH") {
		p.balanced()
	}
	return plain(cmdBulk, func(x *exec) error {
		defer x.s.srv.store.enter(x.s)()
		t, _ := x.s.srv.store.lookup(x.s, parts)
		if t == nil {
			return noObject(parts)
		}
		if _, err := t.indexes(cols, true); err != nil {
			return err
		}
		x.s.bulk = &bulkLoad{parts, cols}
		return nil
	})
}

// bulkRows answers a bulk load ([MS-TDS] 2.2.6.1): COLMETADATA, rows, DONE, as a server sends them.
func (s *session) bulkRows(data []byte, r *reply) error {
	b := s.bulk
	s.bulk = nil
	if b == nil {
		return &Error{Number: 4002, Class: 16, State: 1, Message: "The incoming tabular data stream (TDS) protocol stream is incorrect. The stream ended unexpectedly."}
	}
	bad := &Error{Number: 4804, Class: 16, State: 1, Message: "While reading current row from host, a premature end-of-message was encountered--an incoming data stream was interrupted when the server expected to see more data. The host program may have terminated. Ensure that you are using a supported client application programming interface (API)."}
	in := &reader{b: data}
	if in.byte() != tokenColMetaData {
		return bad
	}
	type col struct {
		t     sqlType
		fixed bool
		name  string
	}
	var cols []col
	for range in.short() {
		if rank(s.version) >= 72 {
			in.take(2)
		}
		in.take(4)
		t, fixed := s.readType(in)
		if t.long() {
			// The table's name, which clients send with and without a count of its parts.
			if len(in.b) >= 2 && binary.LittleEndian.Uint16(in.b) < 256 {
				in.wname()
			} else {
				for range in.byte() {
					in.wname()
				}
			}
		}
		cols = append(cols, col{t, fixed, in.name()})
		if in.bad {
			return bad
		}
	}
	read := func(c col) value {
		if c.t.long() {
			if n := in.byte(); n == 0 {
				return value{t: c.t}
			} else {
				in.take(int(n) + 8)
			}
		}
		return value{c.t, s.readValue(in, c.t, c.fixed)}
	}
	var rows [][]value
	for more := true; more && !in.bad && len(in.b) > 0; {
		switch in.byte() {
		case tokenRow:
			var row []value
			for _, c := range cols {
				row = append(row, read(c))
			}
			rows = append(rows, row)
		case tokenNBCRow:
			bits := in.take((len(cols) + 7) / 8)
			var row []value
			for i, c := range cols {
				if !in.bad && bits[i/8]>>(i%8)&1 == 1 {
					row = append(row, value{t: c.t})
				} else {
					row = append(row, read(c))
				}
			}
			rows = append(rows, row)
		case tokenDone:
			more = false
		default:
			in.bad = true
		}
	}
	if in.bad {
		return bad
	}
	x := &exec{s: s, r: r, vars: map[string]*value{}}
	// A load brings values for identity columns where it names them, and its columns' names stand in COLMETADATA.
	was := s.set["IDENTITY_INSERT"]
	s.set["IDENTITY_INSERT"] = b.parts[len(b.parts)-1]
	err := x.atomic(func() error {
		t, _ := s.srv.store.lookup(s, b.parts)
		if t == nil {
			return noObject(b.parts)
		}
		idx, err := t.indexes(b.cols, true)
		if err != nil {
			return err
		}
		_, err = x.insertRows(t, idx, rows)
		return err
	})
	s.set["IDENTITY_INSERT"] = was
	if err != nil {
		return err
	}
	s.rowcount, s.errno = int64(len(rows)), 0
	r.last(s.doneToken(tokenDone, doneCount, cmdBulk, int64(len(rows))))
	return nil
}
