package mysql

import (
	"encoding/binary"

	"forebay/internal/wire/mysqlwire"
)

// talk writes what a client says.
type talk struct {
	caps mysqlwire.Capability
	b    []byte
}

// say makes the bytes of a conversation as a client with these capabilities sends it.
func say(caps mysqlwire.Capability, f func(t *talk)) []byte {
	t := &talk{caps: caps | plainCaps}
	f(t)
	return t.b
}

// command writes a command of any kind.
func (t *talk) command(kind mysqlwire.Command, body ...byte) {
	t.b, _ = mysqlwire.AppendPacket(t.b, 0, append([]byte{byte(kind)}, body...))
}

func (t *talk) query(texts ...string) {
	for _, text := range texts {
		var attributes []byte
		if t.caps.Has(mysqlwire.ClientQueryAttributes) {
			attributes = []byte{0, 1}
		}
		t.command(mysqlwire.ComQuery, append(attributes, text...)...)
	}
}

func (t *talk) prepare(text string) { t.command(mysqlwire.ComStmtPrepare, []byte(text)...) }

func (t *talk) stmt(kind mysqlwire.Command, id uint32, more ...byte) {
	t.command(kind, append(binary.LittleEndian.AppendUint32(nil, id), more...)...)
}

func (t *talk) close(id uint32) { t.stmt(mysqlwire.ComStmtClose, id) }

// execute writes COM_STMT_EXECUTE; values are strings, numbers (uint64), or nil.
func (t *talk) execute(id uint32, values ...any) { t.executeAs(id, 0, true, values...) }

// again is execute without the types.
func (t *talk) again(id uint32, values ...any) { t.executeAs(id, 0, false, values...) }

func (t *talk) executeAs(id uint32, flags byte, types bool, values ...any) {
	b := []byte{flags, 1, 0, 0, 0}
	if n := len(values); n > 0 {
		if t.caps.Has(mysqlwire.ClientQueryAttributes) && flags&parameterCount != 0 {
			b = mysqlwire.AppendLenEncInt(b, uint64(n))
		}
		nulls := make([]byte, (n+7)/8)
		var kinds, data []byte
		for i, v := range values {
			kind := mysqlwire.TypeVarString
			switch v := v.(type) {
			case nil:
				nulls[i/8] |= 1 << (i % 8)
			case uint64:
				kind = mysqlwire.TypeLongLong
				data = binary.LittleEndian.AppendUint64(data, v)
			case string:
				data = mysqlwire.AppendLenEncString(data, v)
			case longValue:
			}
			kinds = append(kinds, byte(kind), 0)
			if t.caps.Has(mysqlwire.ClientQueryAttributes) {
				kinds = append(kinds, 0) // no name
			}
		}
		b = append(b, nulls...)
		if types {
			b = append(append(b, 1), kinds...)
		} else {
			b = append(b, 0)
		}
		b = append(b, data...)
	}
	t.stmt(mysqlwire.ComStmtExecute, id, b...)
}

// longValue is a parameter that was sent by COM_STMT_SEND_LONG_DATA.
type longValue struct{}

func (t *talk) long(id uint32, param uint16, data string) {
	t.stmt(mysqlwire.ComStmtSendLongData, id, append(binary.LittleEndian.AppendUint16(nil, param), data...)...)
}

func (t *talk) fetch(id, n uint32) {
	t.stmt(mysqlwire.ComStmtFetch, id, binary.LittleEndian.AppendUint32(nil, n)...)
}

// file writes what follows the server's request for a file, which had number 1.
func (t *talk) file(parts ...string) {
	seq := uint8(2)
	for _, p := range append(parts, "") {
		t.b, seq = mysqlwire.AppendPacket(t.b, seq, []byte(p))
	}
}

// packets splits a stream for comparison.
func packets(b []byte) (p [][]byte) {
	for len(b) >= mysqlwire.HeaderLen {
		h, _ := mysqlwire.ParseHeader(b)
		n := mysqlwire.HeaderLen + h.Length
		if n > len(b) {
			break
		}
		p = append(p, b[:n])
		b = b[n:]
	}
	if len(b) > 0 {
		p = append(p, append([]byte("rest "), b...))
	}
	return p
}
