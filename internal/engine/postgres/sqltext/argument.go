package sqltext

// argumentEffects adds what the arguments of a routine decide, whose opening parenthesis is the token: the setting that
// set_config sets, or the SQL that query_to_xml runs. It notes custom settings. The scan does not move.
func (s *scan) argumentEffects(e Effects) Effects {
	x := s.lexer
	if e&isSetConfig != 0 {
		name, local, ok := readSetConfig(x)
		if !ok {
			return Look | UnknownSetting
		}
		var buf [settingLen]byte
		n, e := setConfigEffects(&buf, name, local)
		s.a.addSetting(buf[:n])
		return e
	}
	for depth := 1; ; {
		x.next()
		switch x.kind {
		case kEOF:
			return Look
		case kString, kDollar:
			if x.kind == kString && x.mode != Standard && !x.plain {
				return unknownSQL
			}
			s.merge(readLiteral(&x))
		case kNumber:
		case kPunct:
			switch x.b {
			case '(':
				depth++
			case ')':
				if depth--; depth == 0 {
					return 0
				}
			case ',':
			case ':': // ::text
				if x.next(); x.kind == kPunct && x.b == ':' {
					x.next()
				}
			default:
				return unknownSQL
			}
		case kWord:
			if !equalFold(x.text[x.from:x.to], "true") && !equalFold(x.text[x.from:x.to], "false") {
				return unknownSQL
			}
		default:
			return unknownSQL
		}
	}
}

// unknownSQL is what SQL that is not in the text may do.
const unknownSQL = Look | SequenceWrite | SequenceRead | UnknownSetting

// readSetConfig reads the arguments of set_config; x is a copy of the lexer at the opening parenthesis. name is the
// content of the first argument if that is one literal, local whether the third is the literal true.
func readSetConfig(x lexer) (name []byte, local, ok bool) {
	x.next()
	if x.kind != kString && x.kind != kDollar || !x.plain {
		return nil, false, false
	}
	name = x.text[x.from:x.to]
	if x.next(); x.kind == kPunct && x.b == ':' { // 'a.b'::text
		if x.next(); x.kind != kPunct || x.b != ':' {
			return nil, false, false
		}
		if x.next(); x.kind != kWord || !equalFold(x.text[x.from:x.to], "text") {
			return nil, false, false
		}
		x.next()
	}
	if x.kind != kPunct || x.b != ',' {
		return nil, false, false
	}
	for depth := 0; ; {
		x.next()
		switch {
		case x.kind == kEOF:
			return name, false, true
		case x.kind != kPunct:
		case x.b == '(' || x.b == '[':
			depth++
		case x.b == ')' || x.b == ']':
			if depth == 0 {
				return name, false, true
			}
			depth--
		case x.b == ',' && depth == 0:
			x.next()
			local = x.kind == kWord && x.kw.id == wTrue
			x.next()
			return name, local && x.kind == kPunct && x.b == ')', true
		}
	}
}

// setConfigEffects returns what set_config does with a setting of this name. If it may be a custom setting that outlives
// the transaction, its folded name is in the first n bytes of buf.
func setConfigEffects(buf *[settingLen]byte, name []byte, local bool) (n int, e Effects) {
	if len(name) > settingLen {
		return 0, Look | UnknownSetting
	}
	for i, c := range name {
		if c >= 0x80 {
			return 0, Look | UnknownSetting
		}
		buf[i] = lower(c)
	}
	switch string(buf[:len(name)]) {
	case "seed":
		return 0, Look | Opaque
	case "search_path", "client_encoding", "standard_conforming_strings":
		return 0, Look // even if local: what follows may be read, or created, elsewhere; see assign
	}
	if local {
		return 0, 0
	}
	return len(name), Look
}

// readLiteral reads the content of the string at the token as SQL.
func readLiteral(x *lexer) Body {
	b := x.text[x.from:x.to]
	if x.kind == kString && !x.plain {
		b = unquoteString(b)
	}
	return ReadBody(b)
}

// language looks at the LANGUAGE of code: only SQL and PL/pgSQL can be read.
func (s *scan) language() {
	if !equalFold(s.text[s.from:s.to], "language") {
		return
	}
	x := s.lexer
	x.next()
	if l := x.text[x.from:max(x.from, x.to)]; !equalFold(l, "sql") && !equalFold(l, "plpgsql") {
		s.calls |= unknownSQL
	}
}

// code reads the string at the token as the source of a routine.
func (s *scan) code() {
	if s.kind != kString && s.kind != kDollar || s.kind == kString && s.mode != Standard && !s.plain {
		s.calls |= unknownSQL
		return
	}
	s.merge(readLiteral(&s.lexer))
}

// merge adds what code in a string does.
func (s *scan) merge(b Body) {
	s.calls |= b.Effects
	if b.Writes {
		s.calls |= s.r.dml
	}
	if b.Effects&DDL != 0 {
		s.calls |= s.r.ddl
	}
	for _, n := range b.Calls {
		if e, ok := s.r.names[n]; ok {
			s.calls |= e &^ internal
			continue
		}
		if !isSoft(n) {
			s.calls |= Look // often a table with columns, but this is looked at anyway
		}
	}
	for _, n := range b.Fields {
		s.calls |= s.r.attributes[n]
	}
	for _, n := range b.Settings {
		s.a.addSetting([]byte(n))
	}
}
