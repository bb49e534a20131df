package mysql

import (
	"strconv"

	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/wire/mysqlwire"
)

// withOwnID returns a text in which CONNECTION_ID() is the id that Forebay has handed out, where that changes nothing else:
// see withValue.
func (s *session) withOwnID(text []byte, a *sqltext.Analysis, mode sqltext.Mode) ([]byte, bool) {
	if containsAny(text, "is_used_lock", "pseudo_thread_id", "ps_") {
		return text, false // what it may be compared with is the server's own
	}
	return withValue(text, a, mode, "connection_id", "CAST("+strconv.FormatUint(uint64(s.id.PID), 10)+" AS UNSIGNED)")
}

// withValue returns a text in which a value stands in place of a function's call, name(), where that changes nothing else: it is
// a column of a SELECT without FROM, and nothing more. It reports false, and the text as it was, where there is none.
func withValue(text []byte, a *sqltext.Analysis, mode sqltext.Mode, name, value string) ([]byte, bool) {
	var items [4]sqltext.Item
	if !a.Tableless || a.Statements != 1 || a.Effects&(sqltext.Unknown|sqltext.Unclear) != 0 || len(text) > maxOwnID {
		return text, false
	}
	n := sqltext.Columns(text, mode, name, items[:])
	if n == 0 {
		return text, false
	}
	out := make([]byte, 0, len(text)+64*n)
	at := 0
	for _, it := range items[:n] {
		out = append(append(out, text[at:it.From]...), value...)
		if at = it.To; !it.Named {
			out = append(out, " AS "+quoteName(string(text[it.From:it.To]))...)
		}
	}
	return append(out, text[at:]...), true
}

// maxOwnID is how long a text may be that is looked through for such calls, in bytes.
const maxOwnID = 4 << 10

// withText returns a packet that begins as head, whose text is another.
func withText(head, text []byte) []byte {
	pkt := append(append(make([]byte, 0, len(head)+len(text)), head...), text...)
	h, _ := mysqlwire.ParseHeader(pkt)
	mysqlwire.Header{Length: len(pkt) - mysqlwire.HeaderLen, Sequence: h.Sequence}.Append(pkt[:0])
	return pkt
}
