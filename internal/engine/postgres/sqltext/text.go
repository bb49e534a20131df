package sqltext

import (
	"iter"
	"strings"
)

// fields iterates over the words of a list.
func fields(s string) iter.Seq[string] { return strings.FieldsSeq(s) }

// nameLen is the server's limit for identifiers, in bytes (NAMEDATALEN - 1). It cuts longer ones.
const nameLen = 63

// lower folds an ASCII letter.
func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// foldInto copies a name into buf, folded if asked for. It reports false for names that this package does not claim
// to know: too long, or with bytes whose folding depends on the server's encoding and locale.
func foldInto(buf *[nameLen]byte, name []byte, folding bool) (int, bool) {
	if len(name) > nameLen {
		return 0, false
	}
	for i, c := range name {
		if c >= 0x80 {
			return 0, false
		}
		if folding {
			c = lower(c)
		}
		buf[i] = c
	}
	return len(name), true
}

// equalFold reports whether b is the lower-case ASCII word w, in any case.
func equalFold(b []byte, w string) bool {
	if len(b) != len(w) {
		return false
	}
	for i, c := range b {
		if lower(c) != w[i] {
			return false
		}
	}
	return true
}

// containsFold reports whether b holds the lower-case ASCII word w, in any case.
func containsFold(b []byte, w string) bool {
	for i := 0; i+len(w) <= len(b); i++ {
		if equalFold(b[i:i+len(w)], w) {
			return true
		}
	}
	return false
}

// unquoteInto copies the content of a quoted identifier into buf, doubled quotes made one.
func unquoteInto(buf *[nameLen]byte, name []byte) (int, bool) {
	n := 0
	for i := 0; i < len(name); i++ {
		if n == nameLen || name[i] >= 0x80 {
			return 0, false
		}
		buf[n] = name[i]
		n++
		if name[i] == '"' {
			i++
		}
	}
	return n, true
}

// unquoteString returns the content of a string with doubled quotes made one.
func unquoteString(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		out = append(out, b[i])
		if b[i] == '\'' {
			i++
		}
	}
	return out
}
