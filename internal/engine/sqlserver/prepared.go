package sqlserver

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/engine/sqlserver/sqltext"
	"forebay/internal/wire/tds"
)

// Handles of prepared statements that a client sees are the session's own. Each server connection has handles of its own for
// them, made on demand; a reset takes those away.

// Bounds of prepared statements.
const (
	maxStmts     = 4096    // of a session
	maxStmtBytes = 4 << 20 // of their texts, of a session, in bytes

	// Beyond the above a session is pinned; beyond these it is refused more.
	refusedStmts     = 65536
	refusedStmtBytes = 16 << 20
)

// maxPrepared is how many handles a server connection may have before it is reset for them.
func (d *database) maxPrepared() int { return max(1, d.proxy.Load().Pool.MaxPreparedStatements) }

// stmt is a prepared statement.
type stmt struct {
	key    stmtKey
	db     string // where it was prepared: names in it are of there
	quoted bool   // QUOTED_IDENTIFIER at that time
	params []byte // UTF-16LE; nil: NULL
	text   []byte // UTF-16LE
}

// stmtKey stands for a statement's params and text, and how they are meant: equal statements have equal ones. It is a hash: server connections
// note the statements that they have, whose texts may be a megabyte each, long after the sessions have gone that prepared them.
type stmtKey [sha256.Size]byte

// size is how much of a session's memory the statement counts for, in bytes.
func (t *stmt) size() int { return len(t.params) + len(t.text) + len(t.db) }

// op is what a procedure call of a request does with handles.
type op struct {
	kind   opKind
	handle int32 // the client's
	stmt   *stmt
	at     []byte // where the client's handle stands in the request; nil: nowhere
	value  int32  // what is to stand there
	old    int32  // another handle of the client's that it gives up; 0: none
}

type opKind uint8

const (
	opOther opKind = iota
	opPrepare
	opExecute
	opUnprepare
)

func newStmt(params, text []byte, w *settings.Set) *stmt {
	t := &stmt{
		params: append([]byte(nil), params...), text: append([]byte(nil), text...),
		db: w.Database, quoted: w.Options&settings.QuotedIdentifier != 0,
	}
	h := sha256.New()
	var head [9]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(params)))
	binary.LittleEndian.PutUint32(head[4:], uint32(len(text)))
	if t.quoted {
		head[8] = 1
	}
	_, _ = h.Write(head[:]) // a hash's does not fail
	_, _ = h.Write(params)
	_, _ = h.Write(text)
	_, _ = h.Write([]byte(t.db))
	h.Sum(t.key[:0])
	return t
}

// meant gives settings in which the statement means what it did when it was prepared.
func (t *stmt) meant(w settings.Set) settings.Set {
	w.Database = t.db
	w.SetOption(settings.QuotedIdentifier, t.quoted)
	return w
}

// prepareAgain has the statement prepared on the server connection.
func (s *session) prepareAgain(t *stmt) {
	meant := t.meant(s.want)
	if meant == s.want {
		s.steps = append(s.steps, step{kind: stepPrepare, stmt: t})
		return
	}
	s.steps = append(s.steps,
		step{kind: stepThere, text: string(s.want.Text(meant))},
		step{kind: stepPrepare, stmt: t},
		step{kind: stepThere, text: string(meant.Text(s.want))})
}

// appendPrepare appends a call of sp_prepare.
func (t *stmt) appendPrepare(b []byte, v *server) []byte {
	b = append(b, 0xFF, 0xFF, byte(tds.ProcPrepare), 0, 0, 0)
	if v.features.ColumnEncryption >= 2 {
		b = append(b, 0, 0)
	}
	b = append(b, 0, 1, byte(tds.TypeIntN), 4, 0) // @handle int OUTPUT
	b = v.appendNText(b, t.params, len(t.params) == 0)
	b = v.appendNText(b, t.text, false)
	return append(b, 0, 0, byte(tds.TypeIntN), 4, 4, 1, 0, 0, 0) // @options
}

// appendNText appends a parameter that is a Unicode text.
func (v *server) appendNText(b, text []byte, null bool) []byte {
	if !v.version.AtLeast(tds.V72) { // there are no chunks: ntext
		b = append(b, 0, 0, byte(tds.TypeNText))
		b = binary.LittleEndian.AppendUint32(b, 0x7FFFFFFE)
		b = append(b, v.collation[:]...)
		if null {
			return append(b, 0xFF, 0xFF, 0xFF, 0xFF)
		}
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...)
	}
	b = append(b, 0, 0, byte(tds.TypeNVarChar), 0xFF, 0xFF)
	b = append(b, v.collation[:]...)
	if null {
		return append(b, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(len(text)))
	if len(text) > 0 {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...)
	}
	return append(b, 0, 0, 0, 0)
}

// handleCall looks into a call that has to do with a handle, and puts the server connection's in the place of the client's.
// It reports false when steps go first.
func (s *session) handleCall(r *tds.RPC, first bool, o *engine.Output) (op, bool) {
	v := s.srv
	c := &v.cmd
	switch r.ID {
	case tds.ProcPrepare, tds.ProcPrepExec:
		params, ok1 := r.Param(1).Text(s.l.text[:0])
		text, ok2 := r.Param(2).Text(s.l.more[:0])
		if !ok1 || !ok2 {
			return s.strange(r)
		}
		if r.ID == tds.ProcPrepExec && !s.within(text, first, o) {
			return op{}, false
		}
		n, size := len(s.stmts), s.stmtBytes+len(params)+len(text)
		for i := range c.ops { // of the same request
			if t := c.ops[i].stmt; t != nil && c.ops[i].kind == opPrepare {
				n, size = n+1, size+t.size()
			}
		}
		if n >= refusedStmts || size > refusedStmtBytes {
			s.refuse = errTooManyHandles()
			return op{}, false
		}
		if n >= maxStmts || size > maxStmtBytes {
			s.pin(pinPrepared, "(too many)")
		}
		s.lastStmt++
		p := op{kind: opPrepare, handle: s.lastStmt, stmt: newStmt(params, text, &s.want)}
		s.oldHandle(r, &p)
		return p, true
	case tds.ProcPrepExecRPC:
		p, ok := s.strange(r)
		s.oldHandle(r, &p)
		return p, ok
	}
	h, at, ok := r.Param(0).Int()
	if h != int64(int32(h)) {
		h = 0 // of nobody's
	}
	t := s.stmts[int32(h)]
	if !ok || t == nil {
		if !ok || at == nil {
			return s.strange(r)
		}
		c.eff |= sqltext.Exec
		return op{kind: opExecute, handle: int32(h), at: at, value: -1}, true // it must not be somebody else's
	}
	if at == nil {
		return s.strange(r)
	}
	own, ok := v.prepared[t.key]
	if !ok || v.resetDue { // the reset, which goes with the step, takes away what there is
		if v.resetDue && v.isOf(s) && s.asksIdentity() {
			return op{}, false
		}
		s.prepareAgain(t)
		return op{}, false
	}
	if r.ID == tds.ProcUnprepare {
		return op{kind: opUnprepare, handle: int32(h), stmt: t, at: at, value: own}, true
	}
	if !s.within(t.text, first, o) {
		return op{}, false
	}
	s.l.counters.PreparedHits++
	return op{kind: opExecute, handle: int32(h), stmt: t, at: at, value: own}, true
}

// rewrite puts the server connection's handles in the place of the client's: the request is sent now.
func (s *session) rewrite() {
	v := s.srv
	for i := range v.cmd.ops {
		p := &v.cmd.ops[i]
		if p.at != nil {
			putHandle(p.at, p.value)
			p.at = nil
		}
		if p.old == 0 {
			continue
		}
		if t := s.stmts[p.old]; t != nil {
			delete(v.prepared, t.key)
			s.forgetStmt(p.old)
		}
	}
}

// putHandle writes a handle as the integer that stands there. A handle that does not fit becomes 0, which is none.
func putHandle(at []byte, h int32) {
	switch {
	case len(at) == 8:
		binary.LittleEndian.PutUint64(at, uint64(int64(h)))
	case len(at) == 4:
		binary.LittleEndian.PutUint32(at, uint32(h))
	case len(at) == 2 && int32(int16(h)) == h:
		binary.LittleEndian.PutUint16(at, uint16(h))
	case len(at) == 1 && int32(uint8(h)) == h:
		at[0] = byte(h)
	default:
		clear(at)
	}
}

// strange pins for a call that is not understood.
func (s *session) strange(r *tds.RPC) (op, bool) {
	s.srv.cmd.eff |= sqltext.Unknown | sqltext.Prepared
	s.columns = nil
	s.pin(pinPrepared, fmt.Sprintf("procedure %d", r.ID))
	return op{}, true
}

// oldHandle has the server connection's handle, or none, put in the place of one that a call gives up.
func (s *session) oldHandle(r *tds.RPC, p *op) {
	h, at, ok := r.Param(0).Int()
	if !ok || at == nil {
		return
	}
	p.at = at
	if t := s.stmts[int32(h)]; t != nil {
		if p.old = int32(h); !s.srv.resetDue {
			p.value = s.srv.prepared[t.key]
		}
	}
}

func (s *session) forgetStmt(h int32) {
	if t := s.stmts[h]; t != nil {
		s.stmtBytes -= t.size()
		delete(s.stmts, h)
	}
}

// unprepares answers a call that gives up a handle, which the server need not know: another session may use what it stands
// for. It reports false where the call is another.
func (s *session) unprepares(r *tds.RPC, o *engine.Output) bool {
	if r.ID != tds.ProcUnprepare || s.pinnedFor(pinPrepared) {
		return false
	}
	h, _, ok := r.Param(0).Int()
	if !ok || s.stmts[int32(h)] == nil {
		return false
	}
	if v := s.srv; v != nil && len(s.pins) > 0 && v.handles > v.db.maxPrepared() {
		if _, there := v.prepared[s.stmts[int32(h)].key]; there {
			return false // no reset will give it up: the server is to
		}
	}
	s.forgetStmt(int32(h))
	data := append([]byte{returnStatusToken}, 0, 0, 0, 0)
	s.message(appendDone(data, s.version, doneProcToken, 0), o)
	return true
}

// arm has the handle that comes next in the answer replaced with the client's.
func (s *session) arm() {
	v := s.srv
	c := &v.cmd
	v.scan.PatchNext = false
	v.scan.Known = c.known
	if c.at < len(c.ops) && c.ops[c.at].kind == opPrepare {
		v.scan.Patch, v.scan.PatchNext = c.ops[c.at].handle, true
	}
}

// returned takes notice of a value that a call has returned.
func (s *session) returned() {
	v := s.srv
	r := v.scan.Return
	if v.step == stepPrepare {
		if r.Integer && !r.Null {
			v.keep(s.steps[0].stmt, int32(r.Value))
			s.l.counters.Reprepares++
		}
		return
	}
	c := &v.cmd
	if c.opens > 0 {
		s.cursorReturned()
		return
	}
	if !r.Patched || c.at >= len(c.ops) {
		return
	}
	p := c.ops[c.at]
	v.keep(p.stmt, int32(r.Value))
	if s.stmts == nil {
		s.stmts = make(map[int32]*stmt)
	}
	s.stmts[p.handle] = p.stmt
	s.stmtBytes += p.stmt.size()
}

// keep notes the server connection's handle of a statement.
func (v *server) keep(t *stmt, handle int32) {
	if v.prepared == nil {
		v.prepared = make(map[stmtKey]int32)
	}
	v.prepared[t.key] = handle
	v.handles++
}

// callEnds handles the end of one of several calls in a request.
func (s *session) callEnds() {
	c := &s.srv.cmd
	s.opEnds()
	c.at++
	s.arm()
}

// opEnds takes over what a call did with a handle.
func (s *session) opEnds() {
	v := s.srv
	c := &v.cmd
	if c.at >= len(c.ops) {
		return
	}
	switch p := c.ops[c.at]; p.kind {
	case opUnprepare:
		if h, there := v.prepared[p.stmt.key]; there && h == p.value { // not given up by the same request before
			delete(v.prepared, p.stmt.key)
			v.handles--
		}
		s.forgetStmt(p.handle)
	case opExecute:
		if c.failed && c.number == errorNoHandle && p.stmt != nil {
			delete(v.prepared, p.stmt.key)
		}
	}
}

// errorNoHandle is SQL Server's error of a handle that there is not.
const errorNoHandle = 8179
