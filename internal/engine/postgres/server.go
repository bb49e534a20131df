package postgres

import (
	"context"
	"encoding/binary"
	"net"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/login"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/wire/pgwire"
)

// server is the protocol state of one server connection. Owned by loop, but for the fields that log-in set.
type server struct {
	// Static after log-in.
	db        *database
	user      string // that was logged in: not the clients' where it has been made for Forebay
	pid       uint32
	secret    []byte
	probeName string
	encoding  string // client_encoding after log-in
	standby   bool   // the server was one at log-in

	// What the connection's session has now.
	fit         engine.Fit // settings that differ from those after log-in
	reported    reported   // ParameterStatus
	prepared    preparedSet
	unclosed    []string // statements whose Close the server has skipped
	named       int      // messages of this cycle, still unanswered, that give or take a session's names
	namedBefore int      // and of earlier cycles
	unnamed     *stmt    // the unnamed prepared statement
	tx          byte     // transaction status in the last ReadyForQuery
	seqOwner    *session // the session whose statements last may have touched a sequence
	sqlOwner    *session // the session whose SQL-level prepared statements are here
	sqlNames    []string // their names
	sqlState    uint64   // the session's sqlState when they were as they should be
	hasProbe    bool     // the probe statement is prepared

	// What is under way.
	q          queue
	skip       int             // bytes still to pass of the message that the server is sending
	effects    sqltext.Effects // of what ran since the session's state was last known
	sets       []setting       // plain SETs that have succeeded in this cycle
	setBytes   int             // what these take
	unseen     bool            // some of effects may be committed: a transaction has ended, with others under way
	digest     []byte          // of the last statement with an effect
	setsSent   int             // plain SETs sent since nothing was under way
	setsSeen   int             // of these, seen to succeed
	cycle      uint64          // the one that is answered now, by local.cycles
	unnamedIn  uint64          // the cycle in which the client was told that its unnamed statement is prepared
	failed     bool            // an error came in this cycle
	copyIn     bool            // the server takes copy data
	restoring  bool            // it answers what is behind a RESET
	fatal      *pgwire.Error   // the server's last words
	probe      probeResult
	probeTries int           // of the present probe, after the first
	hiddenErr  *pgwire.Error // error of the hidden request under way
	applying   engine.Fit    // what hiddenApply makes
	since      int64         // when the cycle's first request was sent, by the loop's clock
	unread     bool          // it has got texts too large to be looked at: see ddl.go
	routineDDL bool          // a command has succeeded that may change routines, though effects do not say so
	oldest     uint64        // schema generation from which on a prepared statement is known to be good
	reused     bool          // the client's bytes just taken use a statement prepared before
	replay     []byte        // the client's bytes of this cycle, if they may be sent once more: see heal.go
	healing    bool          // and they will be, after the ReadyForQuery to come
	answered   bool          // the client has got an answer in this cycle
	tainted    *session      // whose unknown routine may have set custom settings of unknown names here
	retire     bool          // close when given back
}

// Fit implements engine.Server.
func (v *server) Fit() engine.Fit { return v.fit }

// Bye implements engine.Server.
func (v *server) Bye() []byte { return []byte{pgwire.Terminate, 0, 0, 0, 4} }

// Cancel implements engine.Server.
func (v *server) Cancel(ctx context.Context, m engine.Member) error {
	o, err := dialOptions(m.Config())
	if err != nil {
		return err
	}
	o.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return m.Dial(ctx) }
	return login.SendCancel(ctx, o, v.pid, v.secret)
}

// Idle implements engine.Server: nothing was asked, so only reports, notices and last words may come.
func (v *server) Idle(b []byte) (int, bool) {
	i := 0
	for len(b)-i >= pgwire.HeaderLen {
		size, err := pgwire.Size(b[i:])
		if err != nil || size > maxInspected {
			return i, false
		}
		if len(b)-i < size {
			break
		}
		body := b[i+pgwire.HeaderLen : i+size]
		switch b[i] {
		case pgwire.ParameterStatus:
			v.report(body)
		case pgwire.NoticeResponse, pgwire.NotificationResponse:
		default:
			return i, false
		}
		i += size
	}
	return i, true
}

// report takes over a ParameterStatus message.
func (v *server) report(body []byte) {
	name, rest, ok := pgwire.CString(body)
	if !ok {
		return
	}
	value, _, ok := pgwire.CString(rest)
	if !ok {
		return
	}
	v.reported = settingsOf(v.reported).with(setting{name: string(name), value: string(value)}).fit()
}

// hiding reports whether what the server answers now is for Forebay alone.
func (v *server) hiding() bool { return v.q.n > 0 && v.q.ring[v.q.head].kind >= hiddenParse }

// idle reports that nothing is under way and no transaction is open.
func (v *server) idle() bool {
	return v.q.n == 0 && !v.q.open && v.tx == pgwire.Idle && v.skip == 0 && !v.copyIn
}

// visible reports whether something of the client's is outstanding.
func (v *server) visible() bool {
	for i := range v.q.n {
		if !v.q.at(i).kind.hidden() {
			return true
		}
	}
	return false
}

// simple sends a simple query of Forebay's own. It destroys the unnamed statement.
func (v *server) simple(sql string, kind expectKind, o *engine.Output) {
	o.Server.Set(pgwire.AppendQuery(o.Server.Grow(), sql))
	v.q.push(expect{kind: kind})
	v.unnamed = nil
}

// skippedParse stands for an unnamed statement of which nothing is known: a Parse of one, or what was to destroy one, was
// skipped, so that the last one, maybe another session's, is still there.
var skippedParse = &stmt{}

// undo takes back what the messages that the server will skip did to the session's statements and to what is known of the
// connection: after an error the server ignores everything up to the next Sync. Newest first, so that a name closed and
// made anew gets its old meaning back. It returns false if that Sync has not been sent yet.
func (v *server) undo(s *session) (synced bool) {
	last := v.q.n
	for i := range v.q.n {
		if v.q.at(i).kind == expectSync {
			last, synced = i, true
			break
		}
	}
	for i := last - 1; i >= 0; i-- {
		e := v.q.at(i)
		s.takeBack(e)
		switch e.kind {
		case expectParse, localParse:
			switch {
			case e.ref == nil:
				v.unnamed = skippedParse
			case e.kind == expectParse && !e.ref.dup:
				v.forget(e.ref.stmt)
			}
		case hiddenClose:
			if e.ref != nil {
				v.unclosed = append(v.unclosed, e.ref.name)
			}
		case hiddenAmid:
			v.forgetSQL(e.ref)
		case hiddenParse:
			if e.ref != nil && e.ref.stmt != nil {
				v.forget(e.ref.stmt)
			} else {
				v.unnamed = skippedParse
			}
		}
	}
	for range last {
		v.q.pop()
	}
	if v.unnamed == nil {
		v.unnamed = skippedParse // what was to destroy it was skipped as well, maybe
	}
	return synced
}

// skipsQuery reports whether the server, which has found an error of Forebay's making, will skip a simple query for it, rather than
// answer that: the client has not sent Sync before.
func (v *server) skipsQuery() bool {
	for i := range v.q.n {
		switch v.q.at(i).kind {
		case expectQuery, expectFunction:
			return true
		case expectSync:
			return false
		}
	}
	return false
}

// begin starts a cycle: the answers up to the next ReadyForQuery.
func (v *server) begin(l *local) {
	l.cycles++
	v.cycle, v.unnamedIn = l.cycles, 0 // which another loop may have counted
}

// parsed notes that the client has been told that a statement is prepared: ref, or the unnamed one.
func (v *server) parsed(ref *namedStmt) {
	if ref == nil {
		v.unnamedIn = v.cycle
	} else {
		ref.cycle = v.cycle
	}
}

// takeBackCycle drops the statements of whose making the client was told in a cycle that ends in an error: clients look at
// the whole, PQprepare for one.
func (s *session) takeBackCycle() {
	if s.srv.unnamedIn == s.srv.cycle {
		s.unnamed = nil
	}
	for _, n := range []*names{&s.stmts, &s.dropped} {
		for name, ref := range n.byName {
			if ref.cycle == s.srv.cycle {
				n.remove(name)
			}
		}
	}
}

// takeBack undoes what a message that has come to nothing did to the session's statements.
func (s *session) takeBack(e *expect) {
	switch {
	case e.drops != nil:
		if s.stmts.byName[e.drops.name] == nil {
			s.stmts.put(e.drops)
		}
	case e.kind != expectParse && e.kind != localParse:
	case e.ref == nil:
		s.unnamed = nil
	case !e.ref.dup:
		s.stmts.takeBack(e.ref)
		s.dropped.takeBack(e.ref)
	}
}

// forget drops a statement from what the connection has prepared.
func (v *server) forget(st *stmt) {
	if e := v.prepared.byStmt[st]; e != nil {
		v.prepared.remove(e)
	}
}

// ensure makes the statement prepared on this connection, with a Parse of Forebay's own if need be, and returns its name.
// A copy older than the given schema generation is made anew.
func (v *server) ensure(l *local, st *stmt, generation uint64, o *engine.Output) string {
	e := v.prepared.get(st)
	if e != nil && e.generation >= max(generation, v.oldest) {
		l.counters.PreparedHits++
		v.reused = true
		return e.name
	}
	dst := o.Server.Grow()
	if e != nil {
		dst = v.unprepare(dst, e)
	}
	dst, e = v.prepare(dst, l, st)
	dst = pgwire.AppendParse(dst, e.name, string(st.text), st.types)
	v.q.push(expect{kind: hiddenParse, ref: &namedStmt{stmt: st}})
	o.Server.Set(dst)
	l.counters.Reprepares++
	return e.name
}

// prepare gives the statement a name on this connection, making room for it.
func (v *server) prepare(dst []byte, l *local, st *stmt) ([]byte, *prepared) {
	for _, name := range v.unclosed {
		dst = v.closeStatement(dst, name)
	}
	v.unclosed = v.unclosed[:0]
	for v.prepared.len() >= max(1, l.db.maxPrepared()) {
		dst = v.unprepare(dst, v.prepared.oldest())
	}
	return dst, v.prepared.add(st, l.db.generation.Load())
}

func (v *server) unprepare(dst []byte, e *prepared) []byte {
	v.prepared.remove(e)
	return v.closeStatement(dst, e.name)
}

// closeStatement closes a statement of Forebay's own making. Should the server skip that, it is tried again later.
func (v *server) closeStatement(dst []byte, name string) []byte {
	v.q.push(expect{kind: hiddenClose, ref: &namedStmt{name: name}})
	return pgwire.AppendClose(dst, 'S', name)
}

// statusOf is the transaction status in the body of ReadyForQuery.
func statusOf(body []byte) byte {
	if len(body) != 1 {
		return 0
	}
	return body[0]
}

// typesOf splits a Parse message's parameter types off; ok is false when the message is malformed.
func typesOf(b []byte) (types []byte, ok bool) {
	if len(b) < 2 || len(b) != 2+4*int(binary.BigEndian.Uint16(b)) {
		return nil, false
	}
	return b, true
}

// resetAll undoes every setting, also custom ones that nobody knows the names of. Roles stay.
func (v *server) resetAll(o *engine.Output) {
	v.simple("RESET ALL", hiddenSet, o)
	var roles settings
	for _, e := range settingsOf(v.fit) {
		if e.name == settingRole || e.name == settingSession {
			roles = roles.with(e)
		}
	}
	v.fit = roles.fit()
	v.tainted = nil
}
