package mysql

// Triggers and views may run that Forebay does not know: those that the user may not see (MySQL shows triggers to those with
// the privilege TRIGGER alone), and those that were made a moment ago. What they leave in a session, such as a user variable
// or a named lock, session tracking does not always tell. So a server connection remembers whose statements may have reached
// one. That session may have it again as it is; it is reset before another has it, and when that session ends that has it.

// changed reports whether routines, triggers or views may be others than they were when changes was knew, or are just being
// changed.
func (t *target) changed(knew uint64) bool {
	// In this order: programEnds counts the other way round.
	return t.underway.Load() != 0 || t.changes.Load() != knew
}

// programBegins says that a statement is on its way that makes or drops routines, triggers or views. Other sessions may reach
// what it has made before it is known that it has ended.
func (s *session) programBegins() {
	if !s.cmd.underway {
		s.cmd.underway = true
		s.l.db.target.underway.Add(1)
	}
}

// programEnds says that such a statement has ended, which schemaChanged has been told before.
func (s *session) programEnds() {
	if s.cmd.underway {
		s.cmd.underway = false
		s.l.db.target.underway.Add(-1)
	}
}
