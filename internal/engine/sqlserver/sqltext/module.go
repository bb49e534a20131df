package sqltext

// Body returns what runs of the definition of a procedure or a trigger, or of a view what its rows are: what follows AS. It is
// a piece of text. ok is false where there is none, as in a module of the CLR.
func Body(text []byte, quotedIdentifier bool) (body []byte, ok bool) {
	x := lexer{}
	x.init(text)
	x.double = quotedIdentifier
	parens, prev, prevKw := 0, kEOF, wNone
	for x.next(); x.kind != kEOF; x.next() {
		switch {
		case x.is('('):
			parens++
		case x.is(')'):
			parens--
		case x.word(wAs) && parens == 0 && prev != kVar && prevKw != wExec: // @a AS int, WITH EXECUTE AS OWNER
			return text[2*x.end:], !x.unclear
		}
		prev, prevKw = x.kind, x.kw.id
		if x.kind != kWord {
			prevKw = wNone
		}
	}
	return nil, false
}

// balance moves what a module takes away again to Failing: all things of a kind, each made and then taken away where both run
// or neither does.
func (a *Analysis) balance() {
	if a.MoreObjects {
		return
	}
	var left Effects
	for i := range a.nObjects {
		x := &a.objects[i]
		end, makes := x.Op.ends()
		if makes == 0 {
			continue
		}
		taken := false
		for j := i + 1; j < a.nObjects && !taken; j++ {
			y := &a.objects[j]
			taken = y.Op == end && (y.Name == x.Name || end == closesKey && y.Name == "all") && y.region == x.region && !x.tried && !y.tried
		}
		if !taken {
			left |= makes
		}
	}
	for _, e := range [...]Effects{TempTable, TempProcedure, Cursor, Key, AppLock} {
		if a.Effects&e != 0 && left&e == 0 && a.made(e) {
			a.Effects &^= e
			a.Failing |= e
		}
	}
}

// made reports whether an object stands for an effect.
func (a *Analysis) made(e Effects) bool {
	for i := range a.nObjects {
		if _, makes := a.objects[i].Op.ends(); makes == e {
			return true
		}
	}
	return false
}

// Call returns the name of the i-th procedure as it stands in the text, in UTF-16LE.
func (a *Analysis) Call(text []byte, i int) []byte { return text[2*a.calls[i].from : 2*a.calls[i].to] }

// Makes returns the effect that the object stands for where it is made.
func (o Object) Makes() Effects {
	_, e := o.Op.ends()
	return e
}

// ContextInfoAlone reports whether CONTEXT_INFO is all that the text assigns.
func (a *Analysis) ContextInfoAlone() bool {
	for i := range a.nAssignments {
		if a.assignments[i].kind != setContextInfo {
			return false
		}
	}
	return true
}
