package sqlserver

import (
	"strconv"
	"strings"

	"forebay/internal/engine"
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
	identity      string // @@IDENTITY, as a literal
	scope         string // SCOPE_IDENTITY()
	scopeLost     bool   // that is not known, whatever the server connection says
}

// lose forgets what was on a server connection that is gone.
func (x *lastValues) lose() { x.lost = true }

// askIdentity asks for the identities. In texts, since their type is numeric(38, 0).
const askIdentity = "SELECT CAST(@@IDENTITY AS varchar(40)),CAST(SCOPE_IDENTITY() AS varchar(40))"

// wantsIdentity reports whether the identities are to be asked for now: the server connection may soon be another session's.
// A request that has read them itself has told the client.
func (s *session) wantsIdentity() bool {
	v := s.srv
	x := &s.values
	return !x.identityKnown && x.idTurn > 0 && v.idOwner == s && v.idTurn == x.idTurn && !v.inTx && len(s.pins) == 0 && !v.bulk &&
		v.cmd.eff&(sqltext.ReadsOwnIdentity|sqltext.ReadsIdentity|sqltext.ReadsScopeIdentity) == 0
}

// identityRead takes over the answer to askIdentity.
func (s *session) identityRead(o *engine.Output) {
	row := s.srv.row
	if len(row) != 2 {
		o.CloseServer = true
		return
	}
	x := &s.values
	x.identityKnown, x.identity, x.scope = true, literal(row[0]), literal(row[1])
	if x.count == 1 && x.number == 0 { // as this has left them, too
		s.srv.lastOwner, s.srv.lastTurn = s, x.countTurn
	}
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

// readsLast has what a text reads of the last request be right. It reports false when steps go first, or the request is
// refused.
func (s *session) readsLast(e sqltext.Effects, _ *engine.Output) bool {
	if e&(readsIdentities|readsCounts) == 0 || s.restored {
		return true
	}
	v := s.srv
	x := &s.values
	here := v.lastOwner == s && v.lastTurn == x.countTurn
	if e&readsCounts != 0 && x.countTurn == 0 {
		here = true // it has run nothing yet: whatever there is
		if v.owner != nil && v.owner != s {
			here = false
		}
	}
	needCounts := e&readsCounts != 0 && !here
	hasID := v.idOwner == s && v.idTurn == x.idTurn || x.idTurn == 0 && v.idOwner == nil
	needID := e&readsIdentities != 0 && !hasID
	if e&sqltext.ReadsScopeIdentity != 0 && x.scopeLost {
		return s.cannotRestore()
	}
	if !needCounts && !needID {
		return true
	}
	var b strings.Builder
	if needID {
		id := "NULL"
		if x.idTurn > 0 {
			if !x.identityKnown || x.identity != x.scope && e&readsIdentities == readsIdentities {
				return s.cannotRestore()
			}
			if id = x.identity; e&sqltext.ReadsScopeIdentity != 0 {
				id = x.scope
			}
		}
		if id == "NULL" {
			b.WriteString("DECLARE @t TABLE(a int);INSERT @t VALUES(1);")
		} else {
			b.WriteString("DECLARE @t TABLE(a numeric(38,0) IDENTITY(" + id + ",1));INSERT @t DEFAULT VALUES;")
		}
	}
	if e&readsCounts != 0 { // what has been written above changes them
		if x.lost || x.silent && e&sqltext.ReadsRowCount != 0 || e&sqltext.ReadsError != 0 && x.number != 0 || x.count > maxRestored || s.want.RowCount != 0 && int64(x.count) > s.want.RowCount {
			return s.cannotRestore()
		}
		switch {
		case x.count == 0:
			b.WriteString("DECLARE @i int;SELECT @i=1 WHERE 1=0")
		case x.count <= 64:
			b.WriteString("SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", int(x.count)-1))
		default:
			b.WriteString("DECLARE @i int;SELECT TOP(" + strconv.FormatUint(x.count, 10) + ")@i=1 FROM sys.all_columns a CROSS JOIN sys.all_columns b")
		}
	}
	s.steps = append(s.steps, step{kind: stepRestore, text: b.String()})
	return false
}

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
