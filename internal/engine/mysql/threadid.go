package mysql

import (
	"strconv"

	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/wire/mysqlwire"
)

// withOwnID returns a text in which CONNECTION_ID() is the id that Forebay has handed out, where that changes nothing else: it
// is a column of a SELECT without FROM, and nothing more. head, which may be empty, stands before it.
func (s *session) withOwnID(head, text []byte, a *sqltext.Analysis, mode sqltext.Mode) ([]byte, bool) {
	var items [4]sqltext.Item
	if !a.Tableless || a.Statements != 1 || a.Effects&(sqltext.Unknown|sqltext.Unclear) != 0 || len(text) > maxOwnID {
		return nil, false
	}
	if containsAny(text, "is_used_lock", "pseudo_thread_id", "ps_") {
		return nil, false // what it may be compared with is the server's own
	}
	n := sqltext.ConnectionIDs(text, mode, items[:])
	if n == 0 {
		return nil, false
	}
	out := append(make([]byte, 0, len(head)+len(text)+64*n), head...)
	at := 0
	for _, it := range items[:n] {
		out = append(out, text[at:it.From]...)
		out = append(out, "CAST("+strconv.FormatUint(uint64(s.id.PID), 10)+" AS UNSIGNED)"...)
		if at = it.To; !it.Named {
			out = append(out, " AS "+quoteName(string(text[it.From:it.To]))...)
		}
	}
	return append(out, text[at:]...), true
}

// maxOwnID is how long a text may be that is looked through for CONNECTION_ID(), in bytes.
const maxOwnID = 4 << 10

// numbered gives a packet the length that it has.
func numbered(pkt []byte) []byte {
	h, _ := mysqlwire.ParseHeader(pkt)
	mysqlwire.Header{Length: len(pkt) - mysqlwire.HeaderLen, Sequence: h.Sequence}.Append(pkt[:0])
	return pkt
}
