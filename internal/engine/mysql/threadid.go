package mysql

import (
	"bytes"
	"strconv"

	"forebay/internal/wire/mysqlwire"
)

// withOwnID returns a COM_QUERY in which CONNECTION_ID() is the id that Forebay has handed out, for the one form in which
// that changes nothing else: it is all that is selected. head is the packet up to the text.
func (s *session) withOwnID(head, text []byte) ([]byte, bool) {
	words := bytes.Fields(bytes.TrimRight(text, "; \t\r\n"))
	if len(words) < 2 || !bytes.EqualFold(words[0], []byte("select")) || !bytes.EqualFold(words[1], []byte("connection_id()")) {
		return nil, false
	}
	name := quoteName(string(words[1]))
	switch {
	case len(words) == 2:
	case !plainName(words[len(words)-1]):
		return nil, false
	case len(words) == 4 && bytes.EqualFold(words[2], []byte("as")):
		name = string(words[3])
	case len(words) == 3:
		name = string(words[2])
	default:
		return nil, false
	}
	out := append(make([]byte, 0, 96), head...)
	out = append(out, "SELECT CAST("+strconv.FormatUint(uint64(s.id.PID), 10)+" AS UNSIGNED) AS "+name...)
	h, _ := mysqlwire.ParseHeader(head)
	mysqlwire.Header{Length: len(out) - mysqlwire.HeaderLen, Sequence: h.Sequence}.Append(out[:0])
	return out, true
}

// plainName reports whether b is a name without quotes.
func plainName(b []byte) bool {
	for i, c := range b {
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return false
	}
	return true
}
