package sqltext

import "unicode/utf8"

// AppendIdentifier appends a name in back quotes, which every sql_mode reads the same way. It reports false, and dst as
// it was, for a name that a server may not be able to hold or, under the mode's character set, may read otherwise.
func AppendIdentifier(dst, name []byte, mode Mode) ([]byte, bool) {
	if len(name) == 0 || !safeBytes(name, mode) {
		return dst, false
	}
	dst = append(dst, '`')
	for _, c := range name {
		if c == '`' {
			dst = append(dst, '`')
		}
		dst = append(dst, c)
	}
	return append(dst, '`'), true
}

// AppendString appends a string literal. It reports false, and dst as it was, for content that cannot be written so that
// a server in this mode reads it back: without a known sql_mode, that is content with a backslash.
func AppendString(dst, s []byte, mode Mode) ([]byte, bool) {
	backslash := false
	for _, c := range s {
		backslash = backslash || c == '\\'
	}
	if backslash && !mode.SQLModeKnown || !safeBytes(s, mode) {
		return dst, false
	}
	dst = append(dst, '\'')
	for _, c := range s {
		if c == '\'' || c == '\\' && !mode.NoBackslashEscapes {
			dst = append(dst, c)
		}
		dst = append(dst, c)
	}
	return append(dst, '\''), true
}

// safeBytes reports whether quotes around b hold under the mode's character set. No NUL: some logs and clients end
// there.
func safeBytes(b []byte, mode Mode) bool {
	high := byte(0)
	for _, c := range b {
		if c == 0 {
			return false
		}
		high |= c
	}
	return high < 0x80 || mode.Charset == SingleByte || mode.Charset == UTF8 && utf8.Valid(b)
}

// AppendLiteral appends the content of the string literal or the quoted name that text is, decoded as mode says: the
// text of a PREPARE, a value of a SET. It reports false if text is none, or if the mode does not decide what it holds.
func AppendLiteral(dst, text []byte, mode Mode) ([]byte, bool) {
	x := newLexer(text, mode)
	x.next()
	if x.kind != kString && x.kind != kQuoted || x.end != len(text) || x.unclear || x.escapes && !mode.SQLModeKnown {
		return dst, false
	}
	return x.appendContent(dst), true
}

// appendContent appends the content of the token, a string or a quoted name, without quotes and escapes.
func (x *lexer) appendContent(dst []byte) []byte {
	b := x.text[x.from:x.to]
	if x.plain {
		return append(dst, b...)
	}
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c == x.b:
			i++
		case c == '\\' && x.kind == kString && !x.noEscape && i+1 < len(b):
			i++
			dst = appendEscaped(dst, b[i])
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// appendEscaped appends what a backslash and c stand for. ("String Literals", "Special Character Escape Sequences")
func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '0':
		return append(dst, 0)
	case 'b':
		return append(dst, '\b')
	case 'n':
		return append(dst, '\n')
	case 'r':
		return append(dst, '\r')
	case 't':
		return append(dst, '\t')
	case 'Z':
		return append(dst, 0x1a)
	case '%', '_': // the backslash stays, for LIKE
		return append(dst, '\\', c)
	}
	return append(dst, c)
}

// AppendAssignment appends the i-th assignment of a, the Analysis of text under the mode from, as it has to be written
// for a session whose mode is to: "@@SESSION.`x` = 1", "@`a` = 'b'", "NAMES utf8mb4" for a list after SET; "SESSION
// TRANSACTION ..." for a SET of its own; "`name`" for USE. It reports false, and dst as it was, if that cannot be done
// with certainty: keep the server connection then.
//
// Bytes are not converted: both sessions must have the same character_set_client if there are any outside of ASCII. The
// character set and the collation of a user variable are those of the session at that time: make
// collation_connection what it was before repeating the assignment.
func (a *Analysis) AppendAssignment(dst, text []byte, from Mode, i int, to Mode) ([]byte, bool) {
	x := &a.assignments[i]
	out, name, ok := dst, a.AssignmentName(i), x.Value != ValueParam
	if !ok {
		return dst, false
	}
	switch x.Kind {
	case AssignSchema:
		return AppendIdentifier(dst, name, to)
	case AssignTransaction:
		return append(append(dst, "SESSION TRANSACTION "...), text[x.From:x.To]...), true
	case AssignNames:
		out = append(out, "NAMES "...)
	case AssignCharacterSet:
		out = append(out, "CHARACTER SET "...)
	case AssignSystem:
		out, ok = AppendIdentifier(append(out, "@@SESSION."...), name, to)
		out = append(out, " = "...)
	case AssignUser:
		out, ok = AppendIdentifier(append(out, '@'), name, to)
		out = append(out, " = "...)
	}
	if !ok {
		return dst, false
	}
	out, ok = appendValue(out, text[x.From:x.To], x.Value == ValueString, from, to)
	if ok && x.CollationTo != 0 {
		c := text[x.CollationFrom:x.CollationTo]
		out, ok = appendValue(append(out, " COLLATE "...), c, !inWord[c[len(c)-1]], from, to)
	}
	if !ok {
		return dst, false
	}
	return out, true
}

// appendValue appends a value as typed or, if it is a string, written anew.
func appendValue(dst, v []byte, isString bool, from, to Mode) ([]byte, bool) {
	if !isString {
		return append(dst, v...), true
	}
	var buf [256]byte
	s, ok := AppendLiteral(buf[:0], v, from)
	if !ok {
		return dst, false
	}
	return AppendString(dst, s, to)
}
