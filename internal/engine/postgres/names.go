package postgres

import "forebay/internal/wire/pgwire"

// Bounds of the named prepared statements that one client may have. Forebay keeps their names and texts for as long as the
// client has them, so that they can be prepared on any server connection.
const (
	maxNamed      = 10_000
	maxNamedBytes = 16 << 20 // of names and texts
)

// names are a session's named prepared statements.
type names struct {
	byName map[string]*namedStmt
	bytes  int
}

func (ref *namedStmt) size() int { return len(ref.name) + len(ref.stmt.text) + len(ref.stmt.types) }

// put adds a statement, in the place of one that has its name.
func (n *names) put(ref *namedStmt) {
	n.remove(ref.name)
	if n.byName == nil {
		n.byName = make(map[string]*namedStmt)
	}
	n.byName[ref.name] = ref
	n.bytes += ref.size()
}

func (n *names) remove(name string) {
	if ref := n.byName[name]; ref != nil {
		delete(n.byName, name)
		n.bytes -= ref.size()
	}
}

// takeBack removes that statement, if its name has no other meaning by now.
func (n *names) takeBack(ref *namedStmt) {
	if n.byName[ref.name] == ref {
		n.remove(ref.name)
	}
}

// full reports whether the session may not have one more prepared statement of that size. What a DEALLOCATE ALL is about
// to drop counts: it may fail.
func (s *session) full(size int) bool {
	return len(s.stmts.byName)+len(s.dropped.byName) >= maxNamed || s.stmts.bytes+s.dropped.bytes+size > maxNamedBytes
}

// fullSQL makes a server fail with a syntax error, in which it quotes this.
const fullSQL = `"forebay: this client has too many prepared statements"`

// fullError is what the client is told.
var fullError = pgwire.Error{
	Severity: "ERROR", Code: "54000", Message: "too many prepared statements",
	Detail: "A client may have 10000, whose names and texts take 16 MiB together.",
	Hint:   "Close those that are not needed any more.",
}
