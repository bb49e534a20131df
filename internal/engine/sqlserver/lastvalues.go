package sqlserver

import (
	"bytes"
	"strconv"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/engine/sqlserver/sqltext"
	"forebay/internal/wire/tds"
)

// @@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT and @@ERROR may be read in a request behind the one that they are about. While
// nobody else wants the server connection they are there. Where it has gone, they are put back on another one before the
// request runs; where that cannot be, the request is refused: a wrong answer is never given.

// lastValues are what a session's last request has left.
type lastValues struct {
	countTurn     uint32 // counts requests
	count         uint64 // @@ROWCOUNT
	number        int32  // @@ERROR
	lost          bool   // neither is known
	silent        bool   // the count is not known: NOCOUNT keeps it back
	idTurn        uint32 // counts those that may have set an identity
	identityKnown bool
	told          bool   // the client has been told, by the last request, which may have set it
	identity      string // @@IDENTITY, as a literal
	scope         string // SCOPE_IDENTITY()
	before        bool   // until it is known: the two are what they were before, which may still be so
	base          identityBase
	other         string // of baseOther: @@IDENTITY there, as far as it is known
}

// identityBase says what a server connection's identities were when the session's last request that may have set some, and need
// not, came there.
type identityBase uint8

const (
	baseOwn   identityBase = iota // the session's: what it has now is the session's
	baseNull                      // NULL: if it is still, the session's are what they were
	baseOther                     // another session's
)

// writesIdentity takes note of a request on its way that may set an identity.
func (x *lastValues) writesIdentity(s *session) {
	v := s.srv
	switch {
	case v.idOwner == s && v.idTurn == x.idTurn:
		if x.identityKnown {
			x.base = baseOwn
		}
	case v.idNull:
		x.base, x.before = baseNull, x.identityKnown || x.idTurn == 0
	default:
		x.base, x.before, x.other = baseOther, x.identityKnown || x.idTurn == 0, v.idValue
	}
	if x.idTurn == 0 {
		x.identity, x.scope = "NULL", "NULL"
	}
	x.idTurn++
	x.identityKnown = false
	x.told = v.cmd.eff&(sqltext.ReadsOwnIdentity|readsIdentities) != 0
	v.idOwner, v.idTurn = s, x.idTurn
	v.idNull, v.idValue = false, ""
}

// lose forgets what was on a server connection that is gone.
func (x *lastValues) lose() { x.lost = true }

// askIdentity asks for the identities. In texts, since their type is numeric(38, 0).
const askIdentity = "SELECT CAST(@@IDENTITY AS varchar(40)),CAST(SCOPE_IDENTITY() AS varchar(40))"

// Inquire implements engine.Inquirer: the identities are asked for before the server connection is another session's.
func (s *session) Inquire(o *engine.Output) bool {
	if s.gone || s.srv == nil || !s.asksIdentity() {
		return false
	}
	s.next(o)
	return true
}

// asksIdentity has the session's identities asked for, if its server connection alone has them: a request that has read them itself has
// told the client. It reports whether they are. A reset that is due would take them away: adapt comes again for that.
func (s *session) asksIdentity() bool {
	v := s.srv
	x := &s.values
	if x.identityKnown || x.told || x.idTurn == 0 || v.idOwner != s || v.idTurn != x.idTurn {
		return false
	}
	v.resetDue = false
	s.steps = append(s.steps, step{kind: stepIdentity, text: askIdentity})
	return true
}

// identityRead takes over the answer to askIdentity.
func (s *session) identityRead(o *engine.Output) {
	row := s.srv.row
	if len(row) != 2 || !isIdentity(row[0]) || !isIdentity(row[1]) { // they become part of a text, for another server maybe
		o.CloseServer = true
		return
	}
	x := &s.values
	v := s.srv
	id, scope := literal(row[0]), literal(row[1])
	v.idValue = id
	known := true
	switch x.base {
	case baseNull:
		if id == "NULL" {
			id, known = x.identity, x.before
		}
		if scope == "NULL" {
			scope, known = x.scope, known && x.before
		}
	case baseOther: // an identity of another table may have the same value
		known = id != "NULL" && x.other != "" && id != x.other && scope == id
	}
	if !known {
		v.idOwner = nobody
		return
	}
	x.identityKnown, x.identity, x.scope, x.base = true, id, scope, baseOwn
	if id != literal(row[0]) || scope != literal(row[1]) {
		v.idOwner = nobody
	}
	if x.count == 1 && x.number == 0 { // as this has left them, too
		v.lastOwner, v.lastTurn = s, x.countTurn
	}
}

// isIdentity reports whether the cell is NULL or an integer of 38 digits at most.
func isIdentity(cell []byte) bool {
	if cell == nil {
		return true
	}
	digits := bytes.TrimPrefix(cell, []byte("-"))
	return len(digits) > 0 && len(digits) <= 38 && len(bytes.Trim(digits, "0123456789")) == 0
}

func literal(cell []byte) string {
	if cell == nil {
		return "NULL"
	}
	return string(cell)
}

// reads are the effects of a text that reads what the last request has left.
const readsIdentities = sqltext.ReadsIdentity | sqltext.ReadsScopeIdentity

const readsCounts = sqltext.ReadsRowCount | sqltext.ReadsError

// maxRestored is the largest @@ROWCOUNT that is put back.
const maxRestored = 1 << 20

// maxUnion is the largest one that is put back without reading a table, which may begin a transaction.
const maxUnion = 64

// readsLast has what a text reads of the last request be right. It reports false when steps go first, or the request is
// refused.
func (s *session) readsLast(e sqltext.Effects, _ *engine.Output) bool {
	if e&(readsIdentities|readsCounts) == 0 {
		return true
	}
	v := s.srv
	x := &s.values
	if v.resetDue && v.isOf(s) && v.fit == s.fit {
		v.resetDue = false // it is for the handles alone: the next request may have it
	}
	if s.restored {
		return true
	}
	here := v.lastOwner == s && v.lastTurn == x.countTurn && !v.resetDue // which would take away what is there
	if e&readsCounts != 0 && x.countTurn == 0 {
		here = true // it has run nothing yet: whatever there is
		if v.owner != nil && v.owner != s {
			here = false
		}
	}
	needCounts := e&readsCounts != 0 && !here
	hasID := v.idOwner == s && v.idTurn == x.idTurn && !v.resetDue || x.idTurn == 0 && v.idOwner == nil
	needID := e&readsIdentities != 0 && !hasID
	if e&readsIdentities != 0 && hasID && x.base != baseOwn {
		s.steps = append(s.steps, step{kind: stepIdentity, text: askIdentity})
		return false
	}
	if !needCounts && !needID {
		return true
	}
	var b strings.Builder
	ids := noIDs
	implicit := s.want.Options&settings.ImplicitTransactions != 0 && !v.inTx
	if needID {
		if s.l.forgets {
			return s.cannotRestore()
		}
		id := "NULL"
		ids = allIDs
		if x.idTurn > 0 {
			if !x.identityKnown || x.identity != x.scope && e&readsIdentities == readsIdentities {
				return s.cannotRestore()
			}
			if id = x.identity; e&sqltext.ReadsScopeIdentity != 0 {
				id = x.scope
			}
			if x.identity != x.scope {
				ids = oneID
			}
		}
		if implicit { // an INSERT would begin a transaction
			b.WriteString("SET IMPLICIT_TRANSACTIONS OFF;")
		}
		if id == "NULL" {
			b.WriteString("DECLARE @t TABLE(a int);INSERT @t VALUES(1);IF @@IDENTITY IS NOT NULL RAISERROR('',16,1);")
		} else {
			// No more digits than need be: Babelfish has identities of 18.
			b.WriteString("DECLARE @t TABLE(a numeric(" + strconv.Itoa(max(18, len(id))) + ",0) IDENTITY(" + id + ",1));INSERT @t DEFAULT VALUES;")
			// On Babelfish a table variable's identity is lost again.
			b.WriteString("IF @@IDENTITY IS NULL OR @@IDENTITY<>" + id + " RAISERROR('',16,1);")
		}
		if implicit {
			b.WriteString("SET IMPLICIT_TRANSACTIONS ON;")
		}
	}
	if e&readsCounts != 0 { // what has been written above changes them
		if x.lost || x.silent && e&sqltext.ReadsRowCount != 0 || e&sqltext.ReadsError != 0 && x.number != 0 || x.count > maxRestored || implicit && x.count > maxUnion || s.want.RowCount != 0 && int64(x.count) > s.want.RowCount {
			return s.cannotRestore()
		}
		switch {
		case x.count == 0:
			b.WriteString("DECLARE @i int;SELECT @i=1 WHERE 1=0")
		case x.count <= maxUnion:
			b.WriteString("SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", int(x.count)-1))
		default:
			b.WriteString("DECLARE @i int;SELECT TOP(" + strconv.FormatUint(x.count, 10) + ")@i=1 FROM sys.all_columns a CROSS JOIN sys.all_columns b")
		}
	}
	s.steps = append(s.steps, step{kind: stepRestore, text: b.String(), ids: ids})
	return false
}

// numberRaised is that of RAISERROR with a text: what has been put back is not there.
const numberRaised = 50000

// cannotRestore refuses the request.
func (s *session) cannotRestore() bool {
	if s.refuse == nil {
		s.refuse = &tds.Message{
			Number: numberLost, State: 2, Class: 16, Line: 1,
			Text: "What the last request has left (@@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT or @@ERROR) is not known any more: read it in the same batch or transaction.",
		}
	}
	return false
}
