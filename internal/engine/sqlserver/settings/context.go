package settings

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Bounds of session_context as far as it is carried: a server holds 1 MiB in a session, a key of 128 characters.
const (
	maxContext = 64 << 10 // bytes of all keys and values together, and 4 for each
	maxKey     = 256      // bytes of a key in UTF-8
)

// The entries of session_context are one string, so that sets compare with ==: in the order of their keys, each key and
// value behind its length in two bytes.

// entry is one key and the literal of its value.
type entry struct{ key, value string }

func entries(s string) []entry {
	var list []entry
	for s != "" {
		var e entry
		e.key, s = cutCounted(s)
		e.value, s = cutCounted(s)
		list = append(list, e)
	}
	return list
}

func cutCounted(s string) (head, rest string) {
	n := 2 + (int(s[0]) | int(s[1])<<8)
	return s[2:n], s[n:]
}

// SetContext does sp_set_session_context for a value given as a literal: N'text', 'text', 0xff, -1, 1.5, or NULL, which
// removes the entry. It reports false, and changes nothing, where the entry cannot be carried: too long, or a key that
// differs from another one in case alone, since it depends on the server whether the two are one.
func (s *Set) SetContext(key, literal string) bool {
	if key == "" || literal == "" || len(key) > maxKey || len(literal) > maxContext {
		return false
	}
	list := entries(s.context)
	i := slices.IndexFunc(list, func(e entry) bool { return strings.EqualFold(e.key, key) })
	switch {
	case i >= 0 && list[i].key != key:
		return false
	case strings.EqualFold(literal, "null"):
		if i >= 0 {
			list = slices.Delete(list, i, i+1)
		}
	case i >= 0:
		list[i].value = literal
	default:
		list = append(list, entry{key, literal})
		slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	}
	size := 0
	for _, e := range list {
		if len(e.key) > 0xffff || len(e.value) > 0xffff {
			return false
		}
		size += 4 + len(e.key) + len(e.value)
	}
	if size > maxContext {
		return false
	}
	s.context = joined(list)
	return true
}

// Context returns the literal of an entry of session_context, or "" if there is none.
func (s Set) Context(key string) string {
	for _, e := range entries(s.context) {
		if e.key == key {
			return e.value
		}
	}
	return ""
}

// doubted is a session_context with the same keys, whose values are not known, nor whether they are there: each differs from every literal.
func doubted(s string) string {
	list := entries(s)
	for i := range list {
		list[i].value = ""
	}
	return joined(list)
}

// joined is the inverse of entries.
func joined(list []entry) string {
	var b []byte
	for _, e := range list {
		for _, v := range [...]string{e.key, e.value} {
			b = append(binary.LittleEndian.AppendUint16(b, uint16(len(v))), v...)
		}
	}
	return string(b)
}

// appendContext appends what makes one session_context another.
func appendContext(b []byte, from, to string) []byte {
	if from == to {
		return b
	}
	old, want := entries(from), entries(to)
	for _, e := range old {
		if !slices.ContainsFunc(want, func(w entry) bool { return w.key == e.key }) {
			b = appendEntry(b, e.key, "NULL")
		}
	}
	for _, e := range want {
		if !slices.Contains(old, e) {
			b = appendEntry(b, e.key, e.value)
		}
	}
	return b
}

func appendEntry(b []byte, key, literal string) []byte {
	b = append(b, "EXEC sys.sp_set_session_context @key=N'"...)
	b = append(b, strings.ReplaceAll(key, "'", "''")...)
	b = append(b, "',@value="...)
	return append(append(b, literal...), ';')
}
