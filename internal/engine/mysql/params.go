package mysql

import (
	"encoding/binary"
	"math"
	"strconv"

	"forebay/internal/wire/mysqlwire"
)

// A user variable that a prepared statement sets from a parameter is carried like one that is set from a literal, where a
// literal gives it the same type: numbers, strings and NULL.

// bound is a parameter of a COM_STMT_EXECUTE.
type bound struct {
	kind     mysqlwire.Type
	unsigned bool
	null     bool
	value    []byte // as it was sent; part of the command
}

// param returns the parameter of that number of the COM_STMT_EXECUTE whose body that is. It is called when types has found
// nothing wrong.
func param(cs *clientStmt, body []byte, caps mysqlwire.Capability, number int) (p bound, ok bool) {
	if cs.isLong || len(cs.types) != 2*cs.params || number >= cs.params || len(body) < 10 {
		return p, false
	}
	rest, named := body[10:], caps.Has(mysqlwire.ClientQueryAttributes)
	if named && body[5]&parameterCount != 0 {
		n, r, ok := mysqlwire.LenEncInt(rest)
		if !ok || n != uint64(cs.params) { // its types are not kept
			return p, false
		}
		rest = r
	}
	bitmap := (cs.params + 7) / 8
	if len(rest) < bitmap+1 {
		return p, false
	}
	nulls, sent := rest[:bitmap], rest[bitmap] == 1
	rest = rest[bitmap+1:]
	if sent {
		if _, rest, ok = paramTypes(nil, rest, cs.params, named); !ok {
			return p, false
		}
	}
	for i := range number + 1 {
		p = bound{kind: mysqlwire.Type(cs.types[2*i]), unsigned: cs.types[2*i+1]&0x80 != 0, null: nulls[i/8]&(1<<(i%8)) != 0}
		if p.null {
			continue
		}
		r, ok := skipValue(rest, p.kind)
		if !ok {
			return p, false
		}
		p.value, rest = rest[:len(rest)-len(r)], r
	}
	return p, true
}

// paramLiteral writes the value of a parameter as userLiteral does that of a literal.
func (s *session) paramLiteral(p bound) (string, bool) {
	if p.null || p.kind == mysqlwire.TypeNull {
		return "NULL", true
	}
	var bits uint64
	switch len(p.value) {
	case 1:
		bits = uint64(int64(int8(p.value[0])))
	case 2:
		bits = uint64(int64(int16(binary.LittleEndian.Uint16(p.value))))
	case 4:
		bits = uint64(int64(int32(binary.LittleEndian.Uint32(p.value))))
	case 8:
		bits = binary.LittleEndian.Uint64(p.value)
	}
	switch p.kind {
	case mysqlwire.TypeTiny, mysqlwire.TypeShort, mysqlwire.TypeLong, mysqlwire.TypeLongLong:
		if !p.unsigned {
			return strconv.FormatInt(int64(bits), 10), true
		}
		if n := 8 * len(p.value); n < 64 {
			bits &= 1<<n - 1
		}
		return "CAST(" + strconv.FormatUint(bits, 10) + " AS UNSIGNED)", true
	case mysqlwire.TypeDouble:
		f := math.Float64frombits(bits)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return "", false
		}
		return strconv.FormatFloat(f, 'e', -1, 64), true
	case mysqlwire.TypeVarchar, mysqlwire.TypeVarString, mysqlwire.TypeString:
		text, _, ok := mysqlwire.LenEncString(p.value)
		if !ok || len(text) > maxCarried {
			return "", false
		}
		return s.stringLiteral([]byte(text))
	}
	return "", false
}
