package tdsserver

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Types ([MS-TDS] 2.2.5.4).
const (
	tNull      = 0x1F
	tImage     = 0x22
	tText      = 0x23
	tGUID      = 0x24
	tIntN      = 0x26
	tDate      = 0x28
	tTime      = 0x29
	tDateTime2 = 0x2A
	tOffset    = 0x2B
	tInt1      = 0x30
	tBit       = 0x32
	tInt2      = 0x34
	tInt4      = 0x38
	tDateTime4 = 0x3A
	tFlt4      = 0x3B
	tMoney     = 0x3C
	tDateTime  = 0x3D
	tFlt8      = 0x3E
	tVariant   = 0x62
	tNText     = 0x63
	tBitN      = 0x68
	tDecimal   = 0x6A
	tNumeric   = 0x6C
	tFltN      = 0x6D
	tMoneyN    = 0x6E
	tDateTimeN = 0x6F
	tMoney4    = 0x7A
	tInt8      = 0x7F
	tVarBinary = 0xA5
	tVarChar   = 0xA7
	tBinary    = 0xAD
	tChar      = 0xAF
	tNVarChar  = 0xE7
	tNChar     = 0xEF
	tXML       = 0xF1
	tTVP       = 0xF3
)

// most is the size of a type with (max).
const most = 0xFFFF

// sqlType is a type; sizes are in bytes.
type sqlType struct {
	id    byte
	size  int
	prec  byte
	scale byte
}

// What a value holds besides nil, bool, int64, float64, string, []byte and time.Time.
type (
	decimal struct {
		n     *big.Int
		scale byte
	}
	money   int64 // ten-thousandths
	guid    [16]byte
	variant struct{ value }
	tvp     struct{ rows [][]value }
)

// value is a value and its type; v nil is NULL.
type value struct {
	t sqlType
	v any
}

var (
	typeInt    = sqlType{id: tIntN, size: 4}
	typeBigint = sqlType{id: tIntN, size: 8}
	typeSmall  = sqlType{id: tIntN, size: 2}
	typeTiny   = sqlType{id: tIntN, size: 1}
	typeBit    = sqlType{id: tBitN, size: 1}
	typeFloat  = sqlType{id: tFltN, size: 8}
	typeTime   = sqlType{id: tDateTimeN, size: 8}
)

func nvarchar(chars int) sqlType {
	if chars > 4000 {
		return sqlType{id: tNVarChar, size: most}
	}
	return sqlType{id: tNVarChar, size: 2 * max(chars, 1)}
}

func varchar(n int) sqlType {
	if n > 8000 {
		return sqlType{id: tVarChar, size: most}
	}
	return sqlType{id: tVarChar, size: max(n, 1)}
}

func varbinary(n int) sqlType {
	if n > 8000 {
		return sqlType{id: tVarBinary, size: most}
	}
	return sqlType{id: tVarBinary, size: max(n, 1)}
}

func vInt(n int64) value         { return value{typeInt, n} }
func vBigint(n int64) value      { return value{typeBigint, n} }
func vSmall(n int64) value       { return value{typeSmall, n} }
func vString(s string) value     { return value{nvarchar(len([]rune(s))), s} }
func vSys(n int, s string) value { return value{nvarchar(n), s} }

// typeNamed is the type of a name and what stands in parentheses after it; -1 is max.
func typeNamed(name string, args []int) (sqlType, bool) {
	arg := func(i, usual int) int {
		if i < len(args) {
			return args[i]
		}
		return usual
	}
	length := func(unit int) int {
		if n := arg(0, 1); n != -1 {
			return n * unit
		}
		return most
	}
	switch strings.ToLower(name) {
	case "bit":
		return typeBit, true
	case "tinyint":
		return typeTiny, true
	case "smallint":
		return typeSmall, true
	case "int", "integer":
		return typeInt, true
	case "bigint":
		return typeBigint, true
	case "real":
		return sqlType{id: tFltN, size: 4}, true
	case "float":
		if n := arg(0, 53); n <= 24 {
			return sqlType{id: tFltN, size: 4}, true
		}
		return typeFloat, true
	case "decimal", "dec":
		return sqlType{id: tDecimal, size: 17, prec: byte(arg(0, 18)), scale: byte(arg(1, 0))}, true
	case "numeric":
		return sqlType{id: tNumeric, size: 17, prec: byte(arg(0, 18)), scale: byte(arg(1, 0))}, true
	case "money":
		return sqlType{id: tMoneyN, size: 8}, true
	case "smallmoney":
		return sqlType{id: tMoneyN, size: 4}, true
	case "datetime":
		return typeTime, true
	case "smalldatetime":
		return sqlType{id: tDateTimeN, size: 4}, true
	case "date":
		return sqlType{id: tDate, size: 3}, true
	case "time":
		return sqlType{id: tTime, scale: byte(arg(0, 7))}, true
	case "datetime2":
		return sqlType{id: tDateTime2, scale: byte(arg(0, 7))}, true
	case "datetimeoffset":
		return sqlType{id: tOffset, scale: byte(arg(0, 7))}, true
	case "uniqueidentifier":
		return sqlType{id: tGUID, size: 16}, true
	case "char", "character":
		return sqlType{id: tChar, size: length(1)}, true
	case "varchar":
		return sqlType{id: tVarChar, size: length(1)}, true
	case "nchar":
		return sqlType{id: tNChar, size: length(2)}, true
	case "nvarchar":
		return sqlType{id: tNVarChar, size: length(2)}, true
	case "sysname":
		return nvarchar(128), true
	case "binary":
		return sqlType{id: tBinary, size: length(1)}, true
	case "varbinary":
		return sqlType{id: tVarBinary, size: length(1)}, true
	case "text":
		return sqlType{id: tText, size: math.MaxInt32}, true
	case "ntext":
		return sqlType{id: tNText, size: math.MaxInt32 - 1}, true
	case "image":
		return sqlType{id: tImage, size: math.MaxInt32}, true
	case "xml":
		return sqlType{id: tXML, size: most}, true
	case "sql_variant":
		return sqlType{id: tVariant, size: 8009}, true
	}
	return sqlType{}, false
}

// fixedID is the type that a column has that is never NULL.
func (t sqlType) fixedID() (byte, bool) {
	switch t.id {
	case tBitN:
		return tBit, true
	case tIntN:
		return map[int]byte{1: tInt1, 2: tInt2, 4: tInt4, 8: tInt8}[t.size], true
	case tFltN:
		return map[int]byte{4: tFlt4, 8: tFlt8}[t.size], true
	case tMoneyN:
		return map[int]byte{4: tMoney4, 8: tMoney}[t.size], true
	case tDateTimeN:
		return map[int]byte{4: tDateTime4, 8: tDateTime}[t.size], true
	}
	return 0, false
}

func (t sqlType) chars() bool {
	switch t.id {
	case tChar, tVarChar, tNChar, tNVarChar, tText, tNText, tXML:
		return true
	}
	return false
}

func (t sqlType) wide() bool {
	return t.id == tNChar || t.id == tNVarChar || t.id == tNText || t.id == tXML
}

func (t sqlType) binary() bool { return t.id == tBinary || t.id == tVarBinary || t.id == tImage }

func (t sqlType) long() bool { return t.id == tText || t.id == tNText || t.id == tImage }

// plp says whether values come in chunks.
func (t sqlType) plp() bool { return t.size == most && (t.chars() || t.binary()) }

// codec knows how a session's bytes look.
type codec struct {
	version   uint32
	collation []byte
	utf8      bool
}

// known is the type that takes the place of one that the version of the protocol does not have.
func (c *codec) known(t sqlType) sqlType {
	r := rank(c.version)
	if r < 73 {
		switch t.id {
		case tDate:
			return nvarchar(10)
		case tTime:
			return nvarchar(16)
		case tDateTime2:
			return nvarchar(27)
		case tOffset:
			return nvarchar(34)
		}
	}
	if r < 72 && t.plp() {
		switch t.id {
		case tVarChar:
			return sqlType{id: tText, size: math.MaxInt32}
		case tNVarChar, tXML:
			return sqlType{id: tNText, size: math.MaxInt32 - 1}
		case tVarBinary:
			return sqlType{id: tImage, size: math.MaxInt32}
		}
	}
	return t
}

func (c *codec) appendType(b []byte, t sqlType, fixed bool) []byte {
	if id, ok := t.fixedID(); ok && fixed {
		return append(b, id)
	}
	b = append(b, t.id)
	switch t.id {
	case tBitN, tIntN, tFltN, tMoneyN, tDateTimeN, tGUID:
		return append(b, byte(t.size))
	case tDecimal, tNumeric:
		return append(b, byte(t.decimalSize()), t.prec, t.scale)
	case tDate, tNull:
		return b
	case tTime, tDateTime2, tOffset:
		return append(b, t.scale)
	case tVarBinary, tBinary:
		return binary.LittleEndian.AppendUint16(b, uint16(t.size))
	case tChar, tVarChar, tNChar, tNVarChar:
		return append(binary.LittleEndian.AppendUint16(b, uint16(t.size)), c.collation...)
	case tText, tNText:
		return append(binary.LittleEndian.AppendUint32(b, uint32(t.size)), c.collation...)
	case tImage, tVariant:
		return binary.LittleEndian.AppendUint32(b, uint32(t.size))
	case tXML:
		return append(b, 0)
	}
	panic(fmt.Sprintf("tdsserver: type %#x has no form", t.id))
}

func (t sqlType) decimalSize() int {
	switch {
	case t.prec <= 9:
		return 5
	case t.prec <= 19:
		return 9
	case t.prec <= 28:
		return 13
	}
	return 17
}

// text is a string's bytes in a type.
func (c *codec) text(t sqlType, s string) []byte {
	if t.wide() {
		return ucs2(s)
	}
	if c.utf8 {
		return []byte(s)
	}
	b := make([]byte, 0, len(s))
	for _, r := range s {
		switch {
		case r == '€':
			b = append(b, 0x80)
		case r < 0x80, r >= 0xA0 && r < 0x100:
			b = append(b, byte(r))
		default:
			b = append(b, '?')
		}
	}
	return b
}

func (c *codec) untext(t sqlType, b []byte) string {
	if t.wide() {
		return fromUCS2(b)
	}
	if c.utf8 {
		return string(b)
	}
	var s strings.Builder
	for _, x := range b {
		if x == 0x80 {
			s.WriteRune('€')
		} else {
			s.WriteRune(rune(x))
		}
	}
	return s.String()
}

var (
	epoch1900 = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	epoch1    = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
)

// days counts days since an epoch; durations cannot hold two thousand years.
func days(t, epoch time.Time) int64 {
	y, m, d := t.Date()
	return (time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() - epoch.Unix()) / 86400
}

func sinceMidnight(t time.Time) time.Duration {
	h, m, s := t.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second + time.Duration(t.Nanosecond())
}

func timeSize(scale byte) int {
	switch {
	case scale <= 2:
		return 3
	case scale <= 4:
		return 4
	}
	return 5
}

func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

func appendTime(b []byte, t time.Time, scale byte) []byte {
	n := uint64(int64(sinceMidnight(t)) / pow10(9-int(scale)))
	return append(b, binary.LittleEndian.AppendUint64(nil, n)[:timeSize(scale)]...)
}

func appendDate(b []byte, t time.Time) []byte {
	return append(b, binary.LittleEndian.AppendUint32(nil, uint32(days(t, epoch1)))[:3]...)
}

// bare is a value's bytes without any length. v is not nil and is of t's kind.
func (c *codec) bare(t sqlType, v any) []byte {
	switch t.id {
	case tBitN:
		if v.(bool) {
			return []byte{1}
		}
		return []byte{0}
	case tIntN:
		return binary.LittleEndian.AppendUint64(nil, uint64(v.(int64)))[:t.size]
	case tFltN:
		if t.size == 4 {
			return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(v.(float64))))
		}
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v.(float64)))
	case tDecimal, tNumeric:
		d := v.(decimal)
		sign := byte(1)
		if d.n.Sign() < 0 {
			sign = 0
		}
		mag := new(big.Int).Abs(d.n).FillBytes(make([]byte, t.decimalSize()-1))
		slices.Reverse(mag)
		return append([]byte{sign}, mag...)
	case tMoneyN:
		n := int64(v.(money))
		if t.size == 4 {
			return binary.LittleEndian.AppendUint32(nil, uint32(n))
		}
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(n>>32)), uint32(n))
	case tDateTimeN:
		at := v.(time.Time)
		d := days(at, epoch1900)
		if t.size == 4 {
			b := binary.LittleEndian.AppendUint16(nil, uint16(d))
			return binary.LittleEndian.AppendUint16(b, uint16(sinceMidnight(at)/time.Minute))
		}
		ticks := (int64(sinceMidnight(at))*3 + 5_000_000) / 10_000_000
		b := binary.LittleEndian.AppendUint32(nil, uint32(int32(d)))
		return binary.LittleEndian.AppendUint32(b, uint32(ticks))
	case tDate:
		return appendDate(nil, v.(time.Time))
	case tTime:
		return appendTime(nil, v.(time.Time), t.scale)
	case tDateTime2:
		return appendDate(appendTime(nil, v.(time.Time), t.scale), v.(time.Time))
	case tOffset:
		at := v.(time.Time)
		_, zone := at.Zone()
		utc := at.UTC()
		b := appendDate(appendTime(nil, utc, t.scale), utc)
		return binary.LittleEndian.AppendUint16(b, uint16(int16(zone/60)))
	case tGUID:
		g := v.(guid)
		return g[:]
	case tChar, tNChar, tVarChar, tNVarChar, tText, tNText, tXML:
		b := c.text(t, v.(string))
		for (t.id == tChar || t.id == tNChar) && len(b) < t.size {
			b = append(b, ' ')
			if t.id == tNChar {
				b = append(b, 0)
			}
		}
		return b
	case tBinary, tVarBinary, tImage:
		b := v.([]byte)
		if t.id == tBinary && len(b) < t.size {
			b = append(slices.Clone(b), make([]byte, t.size-len(b))...)
		}
		return b
	}
	panic(fmt.Sprintf("tdsserver: type %#x has no value's form", t.id))
}

// Where a value stands: text, ntext and image look different in rows.
const (
	inRow   = true
	inParam = false
)

// appendValue appends a value with its length. v is of t's kind or nil.
func (c *codec) appendValue(b []byte, t sqlType, v any, fixed, row bool) []byte {
	if _, ok := t.fixedID(); ok && fixed {
		return append(b, c.bare(t, v)...)
	}
	switch {
	case t.id == tNull:
		return b
	case t.id == tVariant:
		if v == nil {
			return append(b, 0, 0, 0, 0)
		}
		p := c.variant(v.(variant).value)
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(p))), p...)
	case t.long():
		if v == nil {
			if row {
				return append(b, 0)
			}
			return append(b, 0xFF, 0xFF, 0xFF, 0xFF)
		}
		if row {
			b = append(append(b, 16), "toy text pointer"...)
			b = append(b, 0, 0, 0, 0, 0, 0, 0, 1)
		}
		data := c.bare(t, v)
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(data))), data...)
	case t.plp():
		if v == nil {
			return binary.LittleEndian.AppendUint64(b, math.MaxUint64)
		}
		data := c.bare(t, v)
		if len(data) <= 8000 {
			b = binary.LittleEndian.AppendUint64(b, uint64(len(data)))
		} else { // of unknown length: clients have to understand both
			b = binary.LittleEndian.AppendUint64(b, math.MaxUint64-1)
		}
		for chunk := range slices.Chunk(data, 5000) {
			b = append(binary.LittleEndian.AppendUint32(b, uint32(len(chunk))), chunk...)
		}
		return append(b, 0, 0, 0, 0)
	case t.chars() || t.binary():
		if v == nil {
			return append(b, 0xFF, 0xFF)
		}
		data := c.bare(t, v)
		return append(binary.LittleEndian.AppendUint16(b, uint16(len(data))), data...)
	case v == nil:
		return append(b, 0)
	}
	data := c.bare(t, v)
	return append(append(b, byte(len(data))), data...)
}

// variant is the inside of a sql_variant ([MS-TDS] 2.2.5.5.4).
func (c *codec) variant(v value) []byte {
	id := v.t.id
	if f, ok := v.t.fixedID(); ok {
		id = f
	}
	var props []byte
	switch v.t.id {
	case tDecimal, tNumeric:
		props = []byte{v.t.prec, v.t.scale}
	case tTime, tDateTime2, tOffset:
		props = []byte{v.t.scale}
	case tBinary, tVarBinary:
		props = binary.LittleEndian.AppendUint16(nil, uint16(v.t.size))
	case tChar, tVarChar, tNChar, tNVarChar:
		props = binary.LittleEndian.AppendUint16(slices.Clone(c.collation), uint16(v.t.size))
	}
	return append(append([]byte{id, byte(len(props))}, props...), c.bare(v.t, v.v)...)
}

// reader takes bytes from a message; after the first time that there are too few, bad is set and all is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) uint(n int) uint64 {
	var p [8]byte
	copy(p[:], r.take(n))
	return binary.LittleEndian.Uint64(p[:])
}

func (r *reader) byte() byte    { return byte(r.uint(1)) }
func (r *reader) short() int    { return int(r.uint(2)) }
func (r *reader) long() int     { return int(int32(r.uint(4))) }
func (r *reader) name() string  { return fromUCS2(r.take(2 * int(r.byte()))) }
func (r *reader) wname() string { return fromUCS2(r.take(2 * r.short())) }

// readType reads a TYPE_INFO; fixed: values have no length.
func (c *codec) readType(r *reader) (t sqlType, fixed bool) {
	id := r.byte()
	t.id = id
	switch id {
	case tNull:
		return t, true
	case tInt1:
		return typeTiny, true
	case tBit:
		return typeBit, true
	case tInt2:
		return typeSmall, true
	case tInt4:
		return typeInt, true
	case tInt8:
		return typeBigint, true
	case tDateTime4:
		return sqlType{id: tDateTimeN, size: 4}, true
	case tDateTime:
		return typeTime, true
	case tFlt4:
		return sqlType{id: tFltN, size: 4}, true
	case tFlt8:
		return typeFloat, true
	case tMoney4:
		return sqlType{id: tMoneyN, size: 4}, true
	case tMoney:
		return sqlType{id: tMoneyN, size: 8}, true
	case tBitN, tIntN, tFltN, tMoneyN, tDateTimeN, tGUID:
		t.size = int(r.byte())
	case tDecimal, tNumeric:
		t.size = int(r.byte())
		t.prec, t.scale = r.byte(), r.byte()
	case tDate:
		t.size = 3
	case tTime, tDateTime2, tOffset:
		t.scale = min(r.byte(), 7)
	case tVarBinary, tBinary:
		t.size = r.short()
	case tChar, tVarChar, tNChar, tNVarChar:
		t.size = r.short()
		r.take(5)
	case tText, tNText:
		t.size = r.long()
		r.take(5)
	case tImage, tVariant:
		t.size = r.long()
	case tXML:
		t.size = most
		if r.byte() != 0 {
			r.name()
			r.name()
			r.wname()
		}
	case 0x27, 0x2F: // varchar, char of before 7.0
		t.id, t.size = tVarChar, int(r.byte())
	default:
		r.bad = true
	}
	return t, fixed
}

// readValue reads what appendValue appends.
func (c *codec) readValue(r *reader, t sqlType, fixed bool) any {
	var data []byte
	switch {
	case t.id == tNull:
		return nil
	case fixed:
		data = r.take(t.size)
	case t.id == tVariant:
		n := r.long()
		if n <= 0 {
			return nil
		}
		in := &reader{b: r.take(n)}
		v := c.readVariant(in)
		r.bad = r.bad || in.bad
		return v
	case t.long():
		n := r.long()
		if n == -1 {
			return nil
		}
		data = r.take(n)
	case t.plp():
		if r.uint(8) == math.MaxUint64 {
			return nil
		}
		data = []byte{}
		for {
			n := r.long()
			if n == 0 || r.bad {
				break
			}
			data = append(data, r.take(n)...)
		}
	case t.chars() || t.binary():
		n := r.short()
		if n == 0xFFFF {
			return nil
		}
		data = r.take(n)
	default:
		n := int(r.byte())
		if n == 0 {
			return nil
		}
		data = r.take(n)
	}
	if r.bad {
		return nil
	}
	v, ok := c.unbare(t, data)
	r.bad = r.bad || !ok
	return v
}

func (c *codec) readVariant(r *reader) any {
	id, n := r.byte(), int(r.byte())
	props := r.take(n)
	var t sqlType
	head := []byte{id}
	switch id {
	case tBinary, tVarBinary:
		head = append(head, props...)
	case tChar, tVarChar, tNChar, tNVarChar:
		if n == 7 {
			head = append(append(head, props[5:]...), props[:5]...)
		}
	case tDecimal, tNumeric:
		head = append(append(head, 17), props...)
	case tGUID:
		head = append(head, 16)
	default:
		head = append(head, props...)
	}
	in := &reader{b: head}
	t, _ = c.readType(in)
	if in.bad {
		r.bad = true
		return nil
	}
	v, ok := c.unbare(t, r.take(len(r.b)))
	r.bad = r.bad || !ok
	return variant{value{t, v}}
}

func (c *codec) unbare(t sqlType, b []byte) (any, bool) {
	sizes := func(want ...int) bool { return slices.Contains(want, len(b)) }
	le := func(b []byte) uint64 {
		var p [8]byte
		copy(p[:], b)
		return binary.LittleEndian.Uint64(p[:])
	}
	clock := func(b []byte) time.Duration { return time.Duration(int64(le(b)) * pow10(9-int(t.scale))) }
	day := func(b []byte) time.Time { return epoch1.AddDate(0, 0, int(le(b))) }
	ts := timeSize(t.scale)
	switch t.id {
	case tBitN:
		return le(b) != 0, sizes(1)
	case tIntN:
		n := int64(le(b))
		switch len(b) {
		case 2:
			n = int64(int16(n))
		case 4:
			n = int64(int32(n))
		}
		return n, sizes(1, 2, 4, 8)
	case tFltN:
		if len(b) == 4 {
			return float64(math.Float32frombits(uint32(le(b)))), true
		}
		return math.Float64frombits(le(b)), sizes(8)
	case tDecimal, tNumeric:
		if len(b) < 2 {
			return nil, false
		}
		mag := slices.Clone(b[1:])
		slices.Reverse(mag)
		n := new(big.Int).SetBytes(mag)
		if b[0] == 0 {
			n.Neg(n)
		}
		return decimal{n, t.scale}, true
	case tMoneyN:
		if len(b) == 4 {
			return money(int32(le(b))), true
		}
		if len(b) != 8 {
			return nil, false
		}
		return money(int64(le(b[:4]))<<32 | int64(le(b[4:]))), true
	case tDateTimeN:
		if len(b) == 4 {
			return epoch1900.AddDate(0, 0, int(le(b[:2]))).Add(time.Duration(le(b[2:])) * time.Minute), true
		}
		if len(b) != 8 {
			return nil, false
		}
		return epoch1900.AddDate(0, 0, int(int32(le(b[:4])))).Add(time.Duration(int64(le(b[4:])) * 10_000_000 / 3).Round(time.Millisecond)), true
	case tDate:
		return day(b), sizes(3)
	case tTime:
		return epoch1.Add(clock(b)), sizes(ts)
	case tDateTime2:
		if !sizes(ts + 3) {
			return nil, false
		}
		return day(b[ts:]).Add(clock(b[:ts])), true
	case tOffset:
		if !sizes(ts + 5) {
			return nil, false
		}
		zone := time.FixedZone("", 60*int(int16(le(b[ts+3:]))))
		return day(b[ts : ts+3]).Add(clock(b[:ts])).In(zone), true
	case tGUID:
		var g guid
		copy(g[:], b)
		return g, sizes(16)
	case tChar, tVarChar, tNChar, tNVarChar, tText, tNText, tXML:
		return c.untext(t, b), true
	case tBinary, tVarBinary, tImage:
		return slices.Clone(append([]byte{}, b...)), true
	}
	return nil, false
}

func (d decimal) String() string {
	s := new(big.Int).Abs(d.n).String()
	if n := int(d.scale); n > 0 {
		if len(s) <= n {
			s = strings.Repeat("0", n-len(s)+1) + s
		}
		s = s[:len(s)-n] + "." + s[len(s)-n:]
	}
	if d.n.Sign() < 0 {
		s = "-" + s
	}
	return s
}

func (g guid) String() string {
	h := func(i ...int) string {
		b := make([]byte, len(i))
		for k, x := range i {
			b[k] = g[x]
		}
		return strings.ToUpper(hex.EncodeToString(b))
	}
	return h(3, 2, 1, 0) + "-" + h(5, 4) + "-" + h(7, 6) + "-" + h(8, 9) + "-" + h(10, 11, 12, 13, 14, 15)
}

func parseGUID(s string) (g guid, ok bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 {
		return g, false
	}
	for i, x := range []int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15} {
		g[i] = b[x]
	}
	return g, true
}

// String is a value as a conversion to characters shows it.
func (v value) String() string {
	switch x := v.v.(type) {
	case nil:
		return "NULL"
	case bool:
		if x {
			return "1"
		}
		return "0"
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case decimal:
		return x.String()
	case money:
		return decimal{big.NewInt(int64(x)), 4}.String()
	case guid:
		return x.String()
	case string:
		return x
	case []byte:
		return string(x)
	case variant:
		return x.value.String()
	case time.Time:
		frac := ""
		if v.t.scale > 0 {
			frac = "." + strings.Repeat("0", int(v.t.scale))
		}
		switch v.t.id {
		case tDate:
			return x.Format("2006-01-02")
		case tTime:
			return x.Format("15:04:05" + frac)
		case tDateTime2:
			return x.Format("2006-01-02 15:04:05" + frac)
		case tOffset:
			return x.Format("2006-01-02 15:04:05" + frac + " -07:00")
		}
		return x.Format("2006-01-02 15:04:05.000")
	}
	return fmt.Sprint(v.v)
}

var timeForms = []string{
	"2006-01-02 15:04:05.999999999 -07:00", "2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999",
	"2006-01-02 15:04", "2006-01-02", "20060102", "15:04:05.999999999", "20060102 15:04:05.999",
}

func conversionError(from value, to sqlType) *Error {
	if to.id == tIntN && from.t.chars() {
		return &Error{Number: 245, Class: 16, State: 1, Message: fmt.Sprintf("Conversion failed when converting the %s value '%s' to data type int.", map[bool]string{true: "nvarchar", false: "varchar"}[from.t.wide()], from)}
	}
	return &Error{Number: 8114, Class: 16, State: 5, Message: "Error converting data type."}
}

func toInt(v value) (int64, bool) {
	switch x := v.v.(type) {
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	case int64:
		return x, true
	case float64:
		return int64(x), true
	case money:
		return int64(x) / 10000, true
	case decimal:
		return new(big.Int).Quo(x.n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(x.scale)), nil)).Int64(), true
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(x), 10, 64)
		return n, err == nil
	case []byte:
		var n int64
		for _, c := range x {
			n = n<<8 | int64(c)
		}
		return n, true
	case variant:
		return toInt(x.value)
	}
	return 0, false
}

func rescale(d decimal, scale byte) decimal {
	n := new(big.Int).Set(d.n)
	for ; d.scale < scale; d.scale++ {
		n.Mul(n, big.NewInt(10))
	}
	for ; d.scale > scale; d.scale-- {
		n.Quo(n, big.NewInt(10))
	}
	return decimal{n, scale}
}

func toDecimal(v value) (decimal, bool) {
	switch x := v.v.(type) {
	case decimal:
		return x, true
	case money:
		return decimal{big.NewInt(int64(x)), 4}, true
	case float64:
		return toDecimal(value{v: strconv.FormatFloat(x, 'f', -1, 64)})
	case string:
		whole, frac, _ := strings.Cut(strings.TrimSpace(x), ".")
		n, ok := new(big.Int).SetString(whole+frac, 10)
		return decimal{n, byte(len(frac))}, ok
	}
	n, ok := toInt(v)
	return decimal{big.NewInt(n), 0}, ok
}

func toFloat(v value) (float64, bool) {
	if f, ok := v.v.(float64); ok {
		return f, true
	}
	if s, ok := v.v.(string); ok {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		return f, err == nil
	}
	d, ok := toDecimal(v)
	if !ok {
		return 0, false
	}
	f, _ := new(big.Float).SetInt(d.n).Float64()
	return f / math.Pow10(int(d.scale)), true
}

// convert makes a value one of another type.
func (c *codec) convert(v value, t sqlType) (value, error) {
	out := value{t: t}
	if v.v == nil || v.t == t {
		out.v = v.v
		return out, nil
	}
	if x, ok := v.v.(variant); ok {
		if t.id == tVariant {
			out.v = x
			return out, nil
		}
		return c.convert(x.value, t)
	}
	ok := true
	switch t.id {
	case tBitN:
		var n int64
		s, isString := v.v.(string)
		switch {
		case isString && strings.EqualFold(s, "true"):
			n = 1
		case isString && strings.EqualFold(s, "false"):
		default:
			n, ok = toInt(v)
		}
		out.v = n != 0
	case tIntN:
		var n int64
		n, ok = toInt(v)
		if ok && t.size < 8 {
			lo, hi := -int64(1)<<(8*t.size-1), int64(1)<<(8*t.size-1)-1
			if t.size == 1 {
				lo, hi = 0, 255
			}
			if n < lo || n > hi {
				return out, &Error{Number: 8115, Class: 16, State: 2, Message: "Arithmetic overflow error converting expression to data type int."}
			}
		}
		out.v = n
	case tFltN:
		out.v, ok = toFloat(v)
	case tDecimal, tNumeric:
		var d decimal
		if d, ok = toDecimal(v); ok {
			out.v = rescale(d, t.scale)
		}
	case tMoneyN:
		var d decimal
		if d, ok = toDecimal(v); ok {
			out.v = money(rescale(d, 4).n.Int64())
		}
	case tGUID:
		switch x := v.v.(type) {
		case string:
			out.v, ok = parseGUID(x)
		case []byte:
			var g guid
			ok = copy(g[:], x) == 16
			out.v = g
		case guid:
			out.v = x
		default:
			ok = false
		}
	case tDateTimeN, tDate, tTime, tDateTime2, tOffset:
		switch x := v.v.(type) {
		case time.Time:
			out.v = c.cutTime(x, t)
		case string:
			ok = false
			for _, form := range timeForms {
				if at, err := time.Parse(form, strings.TrimSpace(x)); err == nil {
					out.v, ok = c.cutTime(at, t), true
					break
				}
			}
			if !ok {
				return out, &Error{Number: 241, Class: 16, State: 1, Message: "Conversion failed when converting date and/or time from character string."}
			}
		default:
			ok = false
		}
	case tChar, tVarChar, tNChar, tNVarChar, tText, tNText, tXML:
		s := v.String()
		if b, isBytes := v.v.([]byte); isBytes {
			s = c.untext(t, b)
		}
		unit := 1
		if t.wide() {
			unit = 2
		}
		if r := []rune(s); !t.long() && t.size != most && len(r) > t.size/unit {
			s = string(r[:t.size/unit])
		}
		if n := t.size / unit; (t.id == tChar || t.id == tNChar) && len([]rune(s)) < n {
			s += strings.Repeat(" ", n-len([]rune(s)))
		}
		out.v = s
	case tBinary, tVarBinary, tImage:
		var b []byte
		switch x := v.v.(type) {
		case []byte:
			b = x
		case string:
			b = c.text(v.t, x)
		case int64:
			b = binary.BigEndian.AppendUint64(nil, uint64(x))[8-v.t.size:]
		case guid:
			b = x[:]
		default:
			ok = false
		}
		if t.id != tImage && t.size != most && len(b) > t.size {
			b = b[:t.size]
		}
		if t.id == tBinary && len(b) < t.size {
			b = append(slices.Clone(b), make([]byte, t.size-len(b))...)
		}
		out.v = b
	case tVariant:
		out.v = variant{v}
	default:
		ok = false
	}
	if !ok {
		return out, conversionError(v, t)
	}
	return out, nil
}

// cutTime leaves of a time what a type can hold.
func (c *codec) cutTime(at time.Time, t sqlType) time.Time {
	y, m, d := at.Date()
	switch t.id {
	case tDate:
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	case tTime:
		return epoch1.Add(sinceMidnight(at).Truncate(time.Duration(pow10(9 - int(t.scale)))))
	case tDateTimeN:
		if y < 1753 {
			y, m, d = 1900, 1, 1
		}
		unit := time.Millisecond
		if t.size == 4 {
			unit = time.Minute
		}
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Add(sinceMidnight(at).Truncate(unit))
	case tDateTime2:
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Add(sinceMidnight(at).Truncate(time.Duration(pow10(9 - int(t.scale)))))
	}
	return at.Truncate(time.Duration(pow10(9 - int(t.scale))))
}

// compare orders values: less, equal, more. Neither is NULL.
func (c *codec) compare(a, b value) (int, error) {
	if x, ok := a.v.(variant); ok {
		a = x.value
	}
	if x, ok := b.v.(variant); ok {
		b = x.value
	}
	switch {
	case a.t.chars() && b.t.chars():
		x, y := strings.TrimRight(a.String(), " "), strings.TrimRight(b.String(), " ")
		return strings.Compare(strings.ToLower(x), strings.ToLower(y)), nil // the collation knows no case
	case a.t.binary() && b.t.binary():
		return bytes.Compare(a.v.([]byte), b.v.([]byte)), nil
	}
	if ta, ok := a.v.(time.Time); ok {
		conv, err := c.convert(b, a.t)
		if err != nil {
			return 0, err
		}
		return ta.Compare(conv.v.(time.Time)), nil
	}
	if tb, ok := b.v.(time.Time); ok {
		conv, err := c.convert(a, b.t)
		if err != nil {
			return 0, err
		}
		return conv.v.(time.Time).Compare(tb), nil
	}
	_, ga := a.v.(guid)
	_, gb := b.v.(guid)
	if ga || gb {
		return strings.Compare(strings.ToUpper(a.String()), strings.ToUpper(b.String())), nil
	}
	if a.t.id == tIntN || b.t.id == tIntN || a.t.id == tBitN || b.t.id == tBitN {
		x, okx := toInt(a)
		y, oky := toInt(b)
		if okx && oky && a.t.id != tFltN && b.t.id != tFltN {
			da, _ := toDecimal(a)
			db, _ := toDecimal(b)
			if da.n == nil || db.n == nil {
				return int(x - y), nil
			}
			scale := max(da.scale, db.scale)
			return rescale(da, scale).n.Cmp(rescale(db, scale).n), nil
		}
		if !okx {
			return 0, conversionError(a, typeInt)
		}
		if !oky {
			return 0, conversionError(b, typeInt)
		}
	}
	x, okx := toFloat(a)
	y, oky := toFloat(b)
	if !okx || !oky {
		return strings.Compare(a.String(), b.String()), nil
	}
	switch {
	case x < y:
		return -1, nil
	case x > y:
		return 1, nil
	}
	return 0, nil
}
