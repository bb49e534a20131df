package tds

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// tokens builds a reply, in the test's own words.
type tokens struct{ b []byte }

func (t *tokens) u8(v ...byte) *tokens { t.b = append(t.b, v...); return t }
func (t *tokens) u16(v int) *tokens {
	t.b = binary.LittleEndian.AppendUint16(t.b, uint16(v))
	return t
}

func (t *tokens) u32(v int) *tokens {
	t.b = binary.LittleEndian.AppendUint32(t.b, uint32(v))
	return t
}
func (t *tokens) u64(v uint64) *tokens { t.b = binary.LittleEndian.AppendUint64(t.b, v); return t }
func (t *tokens) zero(n int) *tokens   { t.b = append(t.b, make([]byte, n)...); return t }

func (t *tokens) chars(s string) *tokens {
	for _, c := range utf16.Encode([]rune(s)) {
		t.b = binary.LittleEndian.AppendUint16(t.b, c)
	}
	return t
}
func (t *tokens) name(s string) *tokens  { return t.u8(byte(len(s))).chars(s) }
func (t *tokens) nameU(s string) *tokens { return t.u16(len(s)).chars(s) }

func (t *tokens) done(token byte, status int, count uint64) *tokens {
	return t.u8(token).u16(status).u16(0xC1).u64(count)
}

// describe is what a scanner makes of a reply that is given in pieces of at most n bytes.
func describe(t *testing.T, s *Scanner, reply []byte, n int) string {
	t.Helper()
	return describePieces(t, s, slices.Collect(slices.Chunk(reply, n)))
}

// describePieces is what a scanner makes of a reply that is given in these pieces.
func describePieces(t testing.TB, s *Scanner, pieces [][]byte) string {
	t.Helper()
	var b strings.Builder
	for _, p := range pieces {
		for {
			k, ev, err := s.Scan(p)
			if err != nil {
				fmt.Fprintf(&b, "error %v\n", err)
				return b.String()
			}
			p = p[k:]
			switch ev {
			case EventNone:
				if len(p) > 0 {
					t.Fatal("bytes left without an event")
				}
			case EventDone:
				fmt.Fprintf(&b, "done %v %v %#x %d\n", s.Done.Proc, s.Done.InProc, s.Done.Status, s.Done.Count)
			case EventEnvChange:
				fmt.Fprintf(&b, "env %x\n", s.Env)
			case EventError:
				fmt.Fprintf(&b, "error %+v\n", s.Message)
			case EventInfo:
				fmt.Fprintf(&b, "info %+v\n", s.Message)
			case EventReturnStatus:
				fmt.Fprintf(&b, "status %d\n", s.Status)
			case EventReturnValue:
				fmt.Fprintf(&b, "return %+v\n", s.Return)
			case EventColumns:
				fmt.Fprintf(&b, "columns %d\n", len(s.cols))
			case EventRow:
				fmt.Fprintf(&b, "row %q\n", s.Cells)
			}
			if ev == EventNone {
				break
			}
		}
	}
	if err := s.End(); err != nil {
		fmt.Fprintf(&b, "end: %v\n", err)
	}
	return b.String()
}

// everyType is a result with a column of each type, and a row with a value in each.
func everyType(v Version) []byte {
	t := new(tokens)
	type col struct {
		info  func()
		value func()
	}
	long := v >= V72
	ut := func() {
		if long {
			t.u32(0)
		} else {
			t.u16(0)
		}
		t.u16(0)
	}
	table := func() {
		if long {
			t.u8(2).nameU("dbo").nameU("t")
		} else {
			t.nameU("t")
		}
	}
	var cols []col
	add := func(info, value func()) { cols = append(cols, col{info, value}) }
	for id, f := range typeForms {
		id := TypeID(id)
		switch {
		case f.value == formNone || f.value == formTVP:
		case f.value == formFixed:
			add(func() { t.u8(byte(id)) }, func() { t.zero(int(f.size)) })
		case f.info == infoLen1:
			add(func() { t.u8(byte(id), 8) }, func() { t.u8(8).zero(8) })
			add(func() { t.u8(byte(id), 8) }, func() { t.u8(0) })
		case id == TypeDate:
			add(func() { t.u8(byte(id)) }, func() { t.u8(3).zero(3) })
		case f.info == infoDecimal:
			add(func() { t.u8(byte(id), 17, 38, 2) }, func() { t.u8(5).zero(5) })
		case f.info == infoLen2:
			add(func() { t.u8(byte(id)).u16(100) }, func() { t.u16(3).zero(3) })
		case f.info == infoLen2Col:
			add(func() { t.u8(byte(id)).u16(100).zero(5) }, func() { t.u16(4).zero(4) })
			add(func() { t.u8(byte(id)).u16(100).zero(5) }, func() { t.u16(0xFFFF) })
		case f.info == infoText:
			add(func() { t.u8(byte(id)).u32(1 << 30).zero(5); table() }, func() { t.u8(16).zero(16 + 8).u32(7).zero(7) })
			add(func() { t.u8(byte(id)).u32(1 << 30).zero(5); table() }, func() { t.u8(0) })
		case f.info == infoImage:
			add(func() { t.u8(byte(id)).u32(1 << 30); table() }, func() { t.u8(16).zero(16 + 8).u32(7).zero(7) })
		case id == TypeVariant:
			add(func() { t.u8(byte(id)).u32(8009) }, func() { t.u32(6).zero(6) })
			add(func() { t.u8(byte(id)).u32(8009) }, func() { t.u32(0) })
		case id == TypeXML:
			add(func() { t.u8(byte(id), 1).name("db").name("dbo").nameU("schema") }, func() { t.u64(5).u32(5).zero(5).u32(0) })
			add(func() { t.u8(byte(id), 0) }, func() { t.u64(^uint64(0)) })
		case id == TypeUDT:
			add(func() { t.u8(byte(id)).u16(0xFFFF).name("db").name("sys").name("geography").nameU("assembly") },
				func() { t.u64(^uint64(0) - 1).u32(3).zero(3).u32(2).zero(2).u32(0) })
		case id == TypeJSON:
			add(func() { t.u8(byte(id)) }, func() { t.u64(2).u32(2).zero(2).u32(0) })
		case id == TypeVector:
			add(func() { t.u8(byte(id)).u16(20).u8(0) }, func() { t.u16(20).zero(20) })
		default:
			panic(fmt.Sprintf("no value of type %#x", id))
		}
	}
	for _, id := range []TypeID{TypeVarBinary, TypeVarChar, TypeNVarChar} { // (max)
		add(func() {
			t.u8(byte(id)).u16(0xFFFF)
			if id != TypeVarBinary {
				t.zero(5)
			}
		}, func() { t.u64(4).u32(4).zero(4).u32(0) })
	}
	t.u8(tokenColMetadata).u16(len(cols))
	for _, c := range cols {
		ut()
		c.info()
		t.name("c")
	}
	t.u8(tokenRow)
	for _, c := range cols {
		c.value()
	}
	if long {
		t.u8(tokenNBCRow)
		nulls := make([]byte, (len(cols)+7)/8)
		for i := range cols {
			if i%3 == 0 {
				nulls[i/8] |= 1 << (i % 8)
			}
		}
		t.u8(nulls...)
		for i, c := range cols {
			if i%3 != 0 {
				c.value()
			}
		}
		t.done(tokenDone, DoneCount, 2)
	} else {
		t.u8(tokenDone).u16(DoneCount).u16(0xC1).u32(2)
	}
	return t.b
}

func TestScanner(t *testing.T) {
	t.Parallel()
	envBegin := new(tokens).u8(8, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0).b
	for _, c := range []struct {
		name     string
		version  Version
		features Features
		capture  bool
		patch    int32
		reply    []byte
		want     string
	}{
		{name: "every type, TDS 7.4", version: V74, reply: everyType(V74), want: "columns 68\ndone false false 0x10 2\n"},
		{name: "every type, TDS 8.0", version: V80, reply: everyType(V74), want: "columns 68\ndone false false 0x10 2\n"},
		{name: "every type, TDS 7.1", version: V71R, reply: everyType(V71R), want: "columns 68\ndone false false 0x10 2\n"},
		{
			name: "done of a procedure", version: V74,
			reply: new(tokens).done(tokenDoneInProc, DoneMore|DoneCount, 7).u8(tokenReturnStatus).u32(-3).done(tokenDoneProc, 0, 0).b,
			want:  "done false true 0x11 7\nstatus -3\ndone true false 0x0 0\n",
		},
		{name: "environment", version: V74, reply: new(tokens).u8(tokenEnvChange).u16(len(envBegin)).u8(envBegin...).b, want: "env 0808010203040506070800\n"},
		{
			name: "a long change of the environment", version: V74, reply: new(tokens).u8(tokenEnvChange).u16(5000).u8(15).zero(4999).done(tokenDone, 0, 0).b,
			want: "env 0f\ndone false false 0x0 0\n",
		},
		{
			name: "messages", version: V74,
			reply: new(tokens).u8(tokenError).u16(20).u32(1205).u8(45, 13).u16(1).u8('t', 0).name("s").name("p").u32(1).
				u8(tokenInfo).u16(14).u32(5701).u8(2, 0).u16(0).name("").name("").u32(0).b,
			want: "error {Number:1205 State:45 Class:13 Procedure:true}\ninfo {Number:5701 State:2 Class:0 Procedure:false}\n",
		},
		{name: "a text beyond the end of its message", version: V74, reply: new(tokens).u8(tokenError).u16(14).u32(1205).u8(45, 13).u16(3).zero(6).b, want: "error tds: malformed ERROR: length\n"},
		{name: "a name beyond the end of its message", version: V74, reply: new(tokens).u8(tokenError).u16(14).u32(1205).u8(45, 13).u16(0).u8(3).zero(6).b, want: "error tds: malformed ERROR: length\n"},
		{
			name: "tokens that pass", version: V74,
			reply: new(tokens).u8(tokenOrder).u16(4).zero(4).u8(tokenTabName).u16(3).zero(3).u8(tokenColInfo).u16(2).zero(2).
				u8(tokenLoginAck).u16(9).zero(9).u8(tokenSSPI).u16(1).zero(1).u8(tokenSessionState).u32(300).zero(300).u8(tokenFedAuthInfo).u32(5).zero(5).
				u8(tokenOffset).zero(4).u8(tokenFeatureAck, 4).u32(1).u8(1).u8(9).u32(0).u8(0xFF).done(tokenDone, 0, 0).b,
			want: "done false false 0x0 0\n",
		},
		{
			name: "classification", version: V74, features: Features{DataClassification: 2},
			reply: new(tokens).u8(tokenDataClass).u16(2).name("a").name("id").name("b").name("").u16(1).name("type").name("id").
				u32(10).u16(2).u16(1).u16(0).u16(0).u32(10).u16(0).done(tokenDone, 0, 0).b,
			want: "done false false 0x0 0\n",
		},
		{
			name: "classification, version 1", version: V74, features: Features{DataClassification: 1},
			reply: new(tokens).u8(tokenDataClass).u16(0).u16(0).u16(1).u16(1).u16(0).u16(0).done(tokenDone, 0, 0).b,
			want:  "done false false 0x0 0\n",
		},
		{
			name: "COMPUTE", version: V71,
			reply: new(tokens).u8(tokenColMetadata).u16(1).u16(0).u16(0).u8(0x38).name("a").
				u8(tokenAltMetadata).u16(1).u16(9).u8(1).u16(0).u8(0x4D).u16(0).u16(0).u16(0).u8(0x26, 4).name("").
				u8(tokenRow).u32(5).u8(tokenAltRow).u16(9).u8(4).u32(5).u8(tokenDone).u16(0).u16(0).u32(0).b,
			want: "columns 1\ndone false false 0x0 0\n",
		},
		{name: "no metadata", version: V74, reply: new(tokens).u8(tokenColMetadata).u16(0xFFFF).done(tokenDone, 0, 0).b, want: "columns 0\ndone false false 0x0 0\n"},
		{
			name: "encrypted columns", version: V74, features: Features{ColumnEncryption: 1},
			reply: new(tokens).u8(tokenColMetadata).u16(2).
				u16(1).u32(1).u32(2).u32(3).u64(4).u8(1).u16(10).zero(10).name("store").nameU("path").name("RSA").
				u32(0).u16(0x0800).u8(0xA5).u16(65).u16(0).u32(0).u8(0x26, 4).u8(0).name("AEAD").u8(1, 1).name("ssn").
				u32(0).u16(0).u8(0x38).name("id").
				u8(tokenRow).u16(3).zero(3).u32(1).
				u8(tokenReturnValue).u16(0).name("@p").u8(1).u32(0).u16(0x0800).u8(0xA5).u16(65).u32(0).u8(0x26, 4).u8(2).u8(1, 1).u16(4).zero(4).
				done(tokenDone, 0, 0).b,
			want: "columns 2\nreturn {Ordinal:0 Integer:false Null:false Value:0 Patched:false}\ndone false false 0x0 0\n",
		},
		{
			name: "values returned", version: V74, patch: 77,
			reply: new(tokens).u8(tokenReturnValue).u16(0).name("@h").u8(1).u32(0).u16(0).u8(0x26, 4).u8(4).u32(1234).
				u8(tokenReturnValue).u16(1).name("").u8(1).u32(0).u16(0).u8(0x26, 4).u8(4).u32(55).
				u8(tokenReturnValue).u16(2).name("").u8(1).u32(0).u16(0).u8(0x26, 4).u8(0).
				u8(tokenReturnValue).u16(3).name("").u8(1).u32(0).u16(0).u8(0xE7).u16(0xFFFF).zero(5).u64(2).u32(2).zero(2).u32(0).
				u8(tokenReturnValue).u16(4).name("").u8(1).u32(0).u16(0).u8(0x38).u32(5).b,
			want: "return {Ordinal:0 Integer:true Null:false Value:1234 Patched:true}\nreturn {Ordinal:1 Integer:true Null:false Value:55 Patched:false}\n" +
				"return {Ordinal:2 Integer:true Null:true Value:0 Patched:false}\nreturn {Ordinal:3 Integer:false Null:false Value:0 Patched:false}\n" +
				"return {Ordinal:4 Integer:false Null:false Value:0 Patched:false}\n",
		},
		{
			name: "values kept", version: V74, capture: true,
			reply: new(tokens).u8(tokenColMetadata).u16(3).u32(0).u16(0).u8(0x38).name("").u32(0).u16(0).u8(0xA7).u16(9).zero(5).name("").u32(0).u16(0).u8(0x26, 8).name("").
				u8(tokenRow).u32(5).u16(2).u8('h', 'i').u8(0).u8(tokenNBCRow, 2).u32(6).u8(1, 9).b,
			want: "columns 3\nrow [\"\\x05\\x00\\x00\\x00\" \"hi\" \"\"]\nrow [\"\\x06\\x00\\x00\\x00\" \"\" \"\\t\"]\n",
		},
		{name: "an unknown token", version: V74, reply: []byte{0x11}, want: "error tds: malformed reply: token\n"},
		{name: "an unknown type", version: V74, reply: new(tokens).u8(tokenColMetadata).u16(1).u32(0).u16(0).u8(0x99, 0, 0).b, want: "error tds: malformed COLMETADATA: type\n"},
		{name: "an empty change of the environment", version: V74, reply: new(tokens).u8(tokenEnvChange).u16(0).u8(0).b, want: "error tds: malformed ENVCHANGE: length\n"},
		{
			name: "a token that goes on behind the message", version: V74, reply: new(tokens).u8(tokenInfo).u16(800).zero(20).b,
			want: "info {Number:0 State:0 Class:0 Procedure:false}\nend: tds: malformed reply: end of the message within a token\n",
		},
	} {
		for _, n := range []int{1 << 20, 1, 2, 3, 7, 64} {
			s := &Scanner{Version: c.version, Features: c.features, Capture: c.capture, Patch: c.patch, PatchNext: c.patch != 0}
			reply := bytes.Clone(c.reply)
			if d := cmp.Diff(c.want, describe(t, s, reply, n)); d != "" {
				t.Errorf("%s, in pieces of %d: %s", c.name, n, d)
			}
			want := c.reply
			if c.patch != 0 {
				want = bytes.Replace(want, []byte{0xD2, 4, 0, 0}, []byte{byte(c.patch), 0, 0, 0}, 1)
			}
			if !bytes.Equal(reply, want) {
				t.Errorf("%s, in pieces of %d: the reply was changed", c.name, n)
			}
		}
	}
}

func TestScannerAllocatesNothing(t *testing.T) {
	reply := everyType(V74)
	s := &Scanner{Version: V74}
	scan := func() {
		for p := reply; len(p) > 0; {
			n, _, err := s.Scan(p)
			if err != nil {
				t.Fatal(err)
			}
			p = p[n:]
		}
		if err := s.End(); err != nil {
			t.Fatal(err)
		}
	}
	scan()
	if n := testing.AllocsPerRun(100, scan); n > 0 {
		t.Errorf("%v allocations for a reply", n)
	}
}

func FuzzScanner(f *testing.F) {
	f.Add(everyType(V74), uint8(5), uint8(0))
	f.Add(everyType(V71), uint8(100), uint8(1))
	f.Add([]byte{tokenDataClass, 1, 0, 1, 'a', 0}, uint8(1), uint8(2))
	for _, c := range conversations(f) {
		for _, m := range c.messages(f) {
			if m.kind == PacketReply && !m.preLogin {
				f.Add(m.data, uint8(50), uint8(0))
			}
		}
	}
	f.Fuzz(func(t *testing.T, reply []byte, n, kind uint8) {
		version := V74
		if kind&1 != 0 {
			version = V71
		}
		features := Features{ColumnEncryption: kind >> 1 & 1, DataClassification: kind >> 2 & 3}
		whole := describe(t, &Scanner{Version: version, Features: features, Capture: kind&64 != 0}, bytes.Clone(reply), 1<<30)
		pieces := describe(t, &Scanner{Version: version, Features: features, Capture: kind&64 != 0}, bytes.Clone(reply), 1+int(n))
		if d := cmp.Diff(whole, pieces); d != "" {
			t.Error(d)
		}
	})
}

func rpc(t *tokens, id int) *tokens { return t.u16(0xFFFF).u16(id).u16(0) }

func nvarchar(t *tokens, name, s string) *tokens {
	return t.name(name).u8(0).u8(0xE7).u16(8000).zero(5).u16(2 * len(s)).chars(s)
}

func TestRPC(t *testing.T) {
	t.Parallel()
	b := new(tokens)
	rpc(b, 13).name("").u8(1).u8(0x26, 4).u8(0)
	nvarchar(b, "", "@a int")
	b.name("").u8(0).u8(0xE7).u16(0xFFFF).zero(5).u64(16).u32(8).chars("SELE").u32(8).chars("CT 1").u32(0)
	b.u8(0xFF)
	rpc(b, 12).name("").u8(0).u8(0x26, 4).u8(4).u32(7)
	b.name("@t").u8(0).u8(0xF3).name("").name("dbo").name("tt").u16(2).u32(0).u16(0).u8(0x26, 4).name("").u32(0).u16(0x0200).u8(0x26, 4).name("").
		u8(0x10).u16(1).zero(3).u8(0).u8(1).u8(4).u32(1).u8(1).u8(0).u8(0)
	b.u8(0xFF).u16(len("[sys].[sp_ExecuteSQL]")).chars("[sys].[sp_ExecuteSQL]").u16(2)
	nvarchar(b, "", "SELECT 2")
	b.u8(0xFE).u16(len("mine")).chars("mine").u16(0)

	var r RPC
	rest, err := r.Next(b.b, V74, Features{})
	if err != nil || r.ID != ProcPrepExec || r.Params != 3 {
		t.Fatalf("%v %+v", err, r)
	}
	if !r.First[0].Null || !r.First[0].Output {
		t.Errorf("%+v", r.First[0])
	}
	if s, ok := r.First[2].Text(nil); !ok || string(utf8of(s)) != "SELECT 1" {
		t.Errorf("%q", s)
	}
	if rest, err = r.Next(rest, V74, Features{}); err != nil || r.ID != ProcExecute || r.Params != 2 {
		t.Fatalf("%v %+v", err, r)
	}
	if v, at, ok := r.Param(0).Int(); !ok || v != 7 || len(at) != 4 {
		t.Errorf("%d %v %v", v, at, ok)
	}
	if rest, err = r.Next(rest, V74, Features{}); err != nil || r.ID != ProcExecuteSQL || r.Params != 1 || !r.NoExec {
		t.Fatalf("%v %+v", err, r)
	}
	if rest, err = r.Next(rest, V74, Features{}); err != nil || r.ID != 0 || len(rest) != 0 || string(utf8of(r.Name)) != "mine" {
		t.Fatalf("%v %+v", err, r)
	}

	if _, err = r.Next(b.b[:len(b.b)-3], V74, Features{}); err != nil {
		t.Error(err) // it ends in a later call
	}
	if _, err = r.Next(b.b[:20], V74, Features{}); !errors.Is(err, ErrShort) {
		t.Error(err)
	}
}

func utf8of(b []byte) []byte {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return []byte(string(utf16.Decode(u)))
}

func TestAllHeaders(t *testing.T) {
	t.Parallel()
	b := AppendAllHeaders(nil, V74, [8]byte{1, 2, 3, 4, 5, 6, 7, 8})
	b = append(b, "text"...)
	h, n, err := ParseAllHeaders(b, V74)
	if err != nil || n != 22 || h.Outstanding != 1 || !bytes.Equal(h.Transaction, []byte{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("%+v %d %v", h, n, err)
	}
	h.Transaction[0] = 9
	if b[10] != 9 {
		t.Error("the descriptor is not in place")
	}
	if _, n, err := ParseAllHeaders([]byte("any"), V71); n != 0 || err != nil {
		t.Error(n, err)
	}
	for _, bad := range [][]byte{{3, 0, 0, 0}, {0xFF, 0xFF, 0xFF, 0xFF}, {10, 0, 0, 0, 5, 0, 0, 0, 2, 0}, {10, 0, 0, 0, 6, 0, 0, 0, 2, 0}} {
		var m *MalformedError
		if _, _, err := ParseAllHeaders(bad, V74); !errors.As(err, &m) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

func TestTransactionManager(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		b    []byte
		want TransactionManager
	}{
		{new(tokens).u16(5).u8(2, 0).b, TransactionManager{Type: TransactionBegin, Isolation: 2}},
		{new(tokens).u16(7).u8(0, 1, 3, 0).b, TransactionManager{Type: TransactionCommit, Begins: true, Isolation: 3}},
		{new(tokens).u16(8).u8(2, 'a', 0, 0).b, TransactionManager{Type: TransactionRollback, Named: true}},
		{new(tokens).u16(9).u8(2, 'a', 0).b, TransactionManager{Type: TransactionSave}},
		{new(tokens).u16(0).u16(0).b, TransactionManager{Type: TransactionGetDTCAddress}},
		{new(tokens).u16(1).u16(3).zero(3).b, TransactionManager{Type: TransactionPropagate}},
		{new(tokens).u16(6).b, TransactionManager{Type: TransactionPromote}},
	} {
		got, err := ParseTransactionManager(c.b)
		if err != nil || got != c.want {
			t.Errorf("%x: %+v %v, want %+v", c.b, got, err, c.want)
		}
		if _, err := ParseTransactionManager(c.b[:len(c.b)-1]); !errors.Is(err, ErrShort) {
			t.Errorf("%x cut short: %v", c.b, err)
		}
	}
	if _, err := ParseTransactionManager([]byte{4, 0}); err == nil {
		t.Error("an unknown type passes")
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(nvarchar(rpc(new(tokens), 10), "", "SELECT 1").b, uint8(0))
	f.Add(rpc(new(tokens), 12).name("@t").u8(0).u8(0xF3).name("").name("dbo").name("tt").u16(1).u32(0).u16(0).u8(0x26, 4).name("").u8(0, 1, 4, 1, 0, 0, 0, 0).b, uint8(1))
	f.Add(AppendAllHeaders(nil, V74, [8]byte{}), uint8(2))
	for _, c := range conversations(f) {
		for _, m := range c.messages(f) {
			if m.kind == PacketRPC || m.kind == PacketTransaction {
				if _, n, err := ParseAllHeaders(m.data, V74); err == nil {
					f.Add(m.data[n:], uint8(0))
				}
			}
		}
	}
	f.Fuzz(func(_ *testing.T, b []byte, kind uint8) {
		_, _, _ = ParseAllHeaders(b, V74)
		_, _ = ParseTransactionManager(b)
		v := V74
		if kind&1 != 0 {
			v = V71
		}
		var r RPC
		for rest := b; len(rest) > 0; {
			var err error
			if rest, err = r.Next(rest, v, Features{ColumnEncryption: kind >> 1 & 3}); err != nil {
				break
			}
			for i := range min(r.Params, MaxParams) {
				_, _ = r.First[i].Text(nil)
				_, _, _ = r.First[i].Int()
			}
		}
	})
}

func TestSystemNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"sp_execute": true, "SP_Execute": true, "[sp_execute]": true, `sys."sp_execute"`: true, "[sys].[sp_execute]": true,
		"dbo.sp_execute": false, "x.sys.sp_execute": false, "[sys.sp_execute]": false, "master..sp_execute": false,
		"sp_execute]": false, "sp_execute\x00": false, "[sp_execute": false, "ｓp_execute": false, "": false,
		"a_name_that_is_longer_than_thirty_two_characters.sp_execute": false,
	} {
		text := AppendText(nil, name)
		if got := IsSystem(text, "sp_execute"); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// Of two transaction descriptors a server may take either.
func TestTwoTransactions(t *testing.T) {
	t.Parallel()
	b := AppendAllHeaders(nil, V74, [8]byte{1})
	b = append(b, b[4:]...)
	b[0] = byte(len(b))
	if _, _, err := ParseAllHeaders(b, V74); err == nil {
		t.Error("taken")
	}
}
