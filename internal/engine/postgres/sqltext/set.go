package sqltext

// settingLen bounds the name of a setting, in bytes: two identifiers and a dot.
const settingLen = 2*nameLen + 1

// settingName reads a setting's name, which may have dots, into buf. The token after it is the current one then. It
// reports false for a name that this package does not claim to know.
func (s *scan) settingName(buf *[settingLen]byte) (int, bool) {
	n := 0
	for {
		var part [nameLen]byte
		k, ok := s.name(&part)
		if !ok || n+k > settingLen {
			return 0, false
		}
		for _, c := range part[:k] {
			buf[n] = lower(c) // settings compare without case, also quoted ones
			n++
		}
		if s.next(); !s.is('.') {
			return n, true
		}
		if n == settingLen {
			return 0, false
		}
		buf[n] = '.'
		n++
		s.next()
	}
}

// assigned reports whether the token ends the name of a setting. Keywords can be such names: in "SET local.a = 1" and
// "SET role TO x" no keyword is meant.
func (s *scan) assigned() bool {
	return s.is('.') || s.is('=') || s.word(wTo) || s.word(wFrom)
}

// set reads SET up to its end.
func (s *scan) set() {
	s.next()
	local := false
	if s.word(wLocal) || s.word(wSession) {
		peek := s.lexer
		if s.next(); s.assigned() {
			s.lexer = peek
		} else {
			local = peek.kw.id == wLocal
			if peek.kw.id == wSession && s.word(wAuthorization) {
				s.eff |= Look
				s.setSpecial(wSession, nil, false)
				return
			}
		}
	}
	if s.kind == kWord {
		peek := s.lexer
		if s.next(); !s.assigned() {
			if s.setSpecial(peek.kw.id, peek.text[peek.from:peek.to], local) {
				return
			}
		}
		s.lexer = peek
	}
	var buf [settingLen]byte
	n, ok := s.settingName(&buf)
	if !ok || !(s.is('=') || s.word(wTo)) {
		// Also SET x FROM CURRENT, which is for functions only.
		s.eff |= Look | UnknownSetting
		s.skip()
		return
	}
	s.next()
	s.assign(buf[:n], local, true)
}

// setSpecial reads the forms of SET that have words of their own; id and word are the first, the token is the next. It
// reports false if it read nothing.
func (s *scan) setSpecial(id kwid, word []byte, local bool) bool {
	switch id {
	case wConstraints, wTransaction: // end with the transaction
		s.skip()
		return true
	case wTime:
		if s.kind != kWord || !equalFold(s.text[s.from:s.to], "zone") {
			return false
		}
		s.next()
		s.assign([]byte("timezone"), local, !(s.kind == kWord && equalFold(s.text[s.from:s.to], "interval")))
		return true
	case wNames:
		s.assign([]byte("client_encoding"), local, true)
		return true
	case wSchema:
		s.assign([]byte("search_path"), local, true)
		return true
	}
	if !local {
		s.eff |= Look // ROLE, SESSION AUTHORIZATION, SESSION CHARACTERISTICS, XML OPTION, new ones
	}
	if id == wSession || id == wNone && !equalFold(word, "xml") {
		s.eff |= Look
	}
	if id == wSession && s.word(wAuthorization) {
		if s.next(); s.word(wDefault) {
			s.resets("session_authorization", local)
		}
	}
	s.skip()
	return true
}

// assign reads the value of a setting, up to the end of the statement. plain says that the form of SET may fill
// Analysis.Set.
func (s *scan) assign(name []byte, local, plain bool) {
	from, to, tokens := s.start, s.start, 0
	isDefault := s.ends() || s.word(wDefault) || string(name) == "timezone" && s.word(wLocal)
	temp := false
	for ; !s.ends(); s.next() {
		tokens++
		to = s.end
		switch s.kind {
		case kString, kDollar, kWord, kQuoted:
			temp = temp || s.kind == kString && !s.plain || containsFold(s.text[s.from:s.to], "pg_temp")
		case kNumber:
		case kPunct:
			plain = plain && (s.b == ',' || s.b == '-' || s.b == '+')
		case kEString, kUString, kUQuoted:
			temp = true // may spell it with escapes
		default:
			plain = false
		}
	}
	if isDefault {
		s.resets(string(name), local)
	}
	if isDefault && tokens > 1 {
		plain = false
	}
	switch string(name) {
	case "seed":
		s.eff |= Look | Opaque // not even the end of the transaction takes it back
		return
	case "role", "session_authorization", "transaction_isolation", "transaction_read_only",
		"transaction_deferrable":
		plain = false
	case "client_encoding", "standard_conforming_strings":
		s.eff |= Look // SET LOCAL too: decides how the texts that follow are read
	}
	if temp && string(name) == "search_path" {
		s.eff |= Look // what is created from here on may be temporary
	}
	if local {
		return
	}
	s.eff |= Look
	s.a.addSetting(name)
	if !plain {
		return
	}
	r, ok := s.a.keep(name)
	if !ok {
		return
	}
	s.a.Set = Set{Kind: SetValue, name: r, From: from, To: to}
	if isDefault {
		s.a.Set = Set{Kind: SetDefault, name: r}
	}
}

// resets notes that a setting gets its default.
func (s *scan) resets(name string, local bool) {
	if r, ok := s.a.keep([]byte(name)); ok {
		s.a.Reset = Reset{Kind: ResetOne, Local: local, name: r}
	}
}

// resetSetting reads RESET up to its end.
func (s *scan) resetSetting() {
	s.eff |= Look
	s.next()
	if s.kind == kWord {
		peek := s.lexer
		if s.next(); !s.is('.') {
			switch {
			case s.ends() && peek.kw.id == wAll:
				s.a.Reset = Reset{Kind: ResetAll}
				return
			case s.ends():
			case peek.kw.id == wTime:
				if s.next(); s.ends() {
					s.plainReset([]byte("timezone"))
				}
				s.skip()
				return
			default: // SESSION AUTHORIZATION, TRANSACTION ISOLATION LEVEL
				if peek.kw.id == wSession && s.word(wAuthorization) {
					s.resets("session_authorization", false)
				}
				s.skip()
				return
			}
		}
		s.lexer = peek
	}
	var buf [settingLen]byte
	n, ok := s.settingName(&buf)
	if !ok {
		s.eff |= UnknownSetting
		s.skip()
		return
	}
	if s.ends() {
		s.plainReset(buf[:n])
	}
	s.skip()
}

// plainReset notes that a setting gets its default.
func (s *scan) plainReset(name []byte) {
	s.resets(string(name), false)
	s.a.addSetting(name)
	switch string(name) {
	case "role", "session_authorization", "seed", "transaction_isolation", "transaction_read_only",
		"transaction_deferrable":
		return
	}
	if r, ok := s.a.keep(name); ok {
		s.a.Set = Set{Kind: SetDefault, name: r}
	}
}
