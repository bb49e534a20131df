package tdsserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// session is a client's connection. Its goroutine owns all of it but for what is said to be otherwise; a second goroutine reads
// what the client sends, so that an attention is seen while a request runs.
type session struct {
	srv  *Server
	conn net.Conn
	w    *wire
	codec

	l         *login7
	user      string
	database  string // written with srv.mu held
	encrypted bool
	requests  atomic.Int64
	resetted  atomic.Int64
	inTran    atomic.Bool // trancount is not 0, for others to see

	msgs chan message  // closed by the reading goroutine
	gone chan struct{} // closed by the reading goroutine
	over chan struct{} // closed by serve
	poke chan struct{} // an attention has come
	seen atomic.Int64  // attentions that have come
	// acked are those that have been acknowledged, skip those of them that are still in msgs.
	acked, skip int64

	set        map[string]string // SET options, by their names in capitals
	first      map[string]string // as they were after the log-in
	trancount  int
	descriptor uint64 // of the transaction; 0: none
	undo       []func()
	saves      map[string]int // savepoints: how long undo was
	doomed     bool

	identity      value // @@IDENTITY
	scopeIdentity value
	rowcount      int64
	errno         int32
	contextInfo   []byte
	context       map[string]value // SESSION_CONTEXT
	readOnly      map[string]bool  // keys of context
	temp          map[string]*table
	tempProcs     map[string]*procedure
	prepared      map[int64]*prepared
	nextHandle    int64
	cursors       map[string]*cursor // by name
	apiCursors    map[int64]*cursor
	bulk          *bulkLoad
	before        uint64 // descriptor before the reset that a request asks for, which it may name
	inside        bool   // the store's mu is held by this session
}

func newSession(srv *Server, c net.Conn) *session {
	s := &session{
		srv: srv, conn: c, w: &wire{size: defaultPacket}, msgs: make(chan message, 4), gone: make(chan struct{}),
		over: make(chan struct{}), poke: make(chan struct{}, 1), nextHandle: 1,
	}
	s.codec = codec{version: v74, collation: srv.collation(), utf8: srv.o.UTF8}
	return s
}

func (s *session) info() Session {
	return Session{
		SPID: int(s.w.spid), User: s.user, Database: s.database, Application: s.l.app, Host: s.l.host, Version: s.version,
		PacketSize: s.w.size, Encrypted: s.encrypted, Requests: int(s.requests.Load()), Resets: int(s.resetted.Load()),
		Transaction: s.inTran.Load(),
	}
}

// start gives the session its state after the log-in.
func (s *session) start(l *login7) {
	s.srv.mu.Lock()
	s.w.spid = s.srv.nextSPID
	s.srv.nextSPID++
	s.srv.mu.Unlock()
	s.set = map[string]string{
		"LANGUAGE": "us_english", "DATEFORMAT": "mdy", "DATEFIRST": "7", "LOCK_TIMEOUT": "-1", "TEXTSIZE": "4096", "ROWCOUNT": "0",
		"TRANSACTION ISOLATION LEVEL": "READ COMMITTED", "DEADLOCK_PRIORITY": "0", "QUERY_GOVERNOR_COST_LIMIT": "0",
		"IDENTITY_INSERT": "",
	}
	for _, o := range options {
		s.set[o.name] = "OFF"
	}
	if l.flags2&0x02 != 0 || l.typeFlags&0x10 != 0 { // as ODBC's or OLE DB's drivers want it
		for _, o := range []string{"ANSI_WARNINGS", "ANSI_PADDING", "ANSI_NULLS", "QUOTED_IDENTIFIER", "ANSI_NULL_DFLT_ON", "CONCAT_NULL_YIELDS_NULL"} {
			s.set[o] = "ON"
		}
		s.set["TEXTSIZE"] = "2147483647"
	}
	if l.language != "" {
		s.set["LANGUAGE"] = l.language
	}
	s.first = maps.Clone(s.set)
	s.fresh()
	s.w.size = defaultPacket
}

// fresh makes all empty that a reset empties, but for the options and the transaction.
func (s *session) fresh() {
	s.identity, s.scopeIdentity = value{t: sqlType{id: tNumeric, size: 17, prec: 38}}, value{t: sqlType{id: tNumeric, size: 17, prec: 38}}
	s.rowcount, s.errno, s.contextInfo, s.doomed = 0, 0, nil, false
	s.context, s.readOnly = map[string]value{}, map[string]bool{}
	s.prepared, s.cursors, s.apiCursors = map[int64]*prepared{}, map[string]*cursor{}, map[int64]*cursor{}
	s.bulk = nil
	if s.saves == nil {
		s.saves = map[string]int{}
	}
	s.temp, s.tempProcs = map[string]*table{}, map[string]*procedure{}
	s.srv.store.forget(s)
}

// reset does what RESETCONNECTION asks for.
func (s *session) reset(keepTransaction bool) {
	if !keepTransaction {
		s.rollbackAll()
	}
	level, info, context, readOnly := s.set["TRANSACTION ISOLATION LEVEL"], s.contextInfo, s.context, s.readOnly
	s.set = maps.Clone(s.first)
	if s.srv.o.KeepsIsolation {
		s.set["TRANSACTION ISOLATION LEVEL"] = level
	}
	s.fresh()
	if s.srv.o.KeepsContext {
		s.contextInfo, s.context, s.readOnly = info, context, readOnly
	}
	if !s.srv.o.KeepsDatabase {
		db := s.l.database
		if db == "" {
			db = s.srv.o.Databases[0]
		}
		s.use(s.srv.store.find(db))
	}
	s.resetted.Add(1)
	s.srv.mu.Lock()
	s.srv.resets++
	s.srv.mu.Unlock()
}

func (s *session) use(db string) {
	s.srv.mu.Lock()
	s.database = db
	s.srv.mu.Unlock()
}

// serve is the session from its first byte to its last.
func (s *session) serve() {
	if err := s.login(); err != nil {
		return
	}
	s.srv.mu.Lock()
	s.srv.sessions[s.w.spid] = s
	s.srv.change()
	s.srv.mu.Unlock()
	s.srv.wg.Go(s.read)
	for m := range s.msgs {
		if err := s.handle(m); err != nil {
			break
		}
	}
	_ = s.conn.Close()
	close(s.over)
	s.rollbackAll()
	s.srv.store.forget(s)
	s.srv.mu.Lock()
	delete(s.srv.sessions, s.w.spid)
	s.srv.ended++
	s.srv.change()
	s.srv.mu.Unlock()
}

func (s *session) read() {
	defer close(s.msgs)
	defer close(s.gone)
	for {
		m, err := s.w.readMessage(max(s.w.size, defaultPacket))
		if err != nil {
			return
		}
		if m.kind == packetAttention {
			s.seen.Add(1)
			select {
			case s.poke <- struct{}{}:
			default:
			}
		}
		select {
		case s.msgs <- m:
		case <-s.over:
			return
		}
	}
}

// interrupted says whether an attention has come that is not acknowledged yet.
func (s *session) interrupted() bool { return s.seen.Load() > s.acked }

var (
	errAttention = errors.New("attention")
	errGone      = errors.New("the client has gone")
)

// wait waits for a time, or for a channel, or for an attention.
func (s *session) wait(d time.Duration, until <-chan struct{}) error {
	var timer <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	for {
		if s.interrupted() {
			return errAttention
		}
		select {
		case <-timer:
			return nil
		case <-until:
			return nil
		case <-s.poke:
		case <-s.gone:
			return errGone
		}
	}
}

// handle answers one message. An error ends the connection.
func (s *session) handle(m message) error {
	if m.kind == packetAttention {
		if s.skip > 0 { // acknowledged in the answer that it ended
			s.skip--
			return nil
		}
		s.acked++
		r := s.w.newReply()
		r.token(s.doneToken(tokenDone, doneAttn, 0, 0))
		return r.end()
	}
	s.requests.Add(1)
	r := s.w.newReply()
	if m.status&statusIgnore != 0 {
		r.token(s.doneToken(tokenDone, doneError, 0, 0))
		return r.end()
	}
	err := s.held()
	if err == nil {
		if err = s.resetBits(m, r); err == nil {
			err = s.dispatch(m, r)
		}
	}
	var fatal *Error
	switch {
	case errors.Is(err, errAttention):
		if s.set["XACT_ABORT"] == "ON" {
			s.rollbackEnv(r)
		}
		if !s.srv.o.AttentionInside {
			r.token(s.doneToken(tokenDone, doneError, 0, 0))
			if err := r.end(); err != nil {
				return err
			}
			r = s.w.newReply()
		}
		s.acked++
		s.skip++
		r.token(s.doneToken(tokenDone, doneAttn, 0, 0))
		return r.end()
	case errors.As(err, &fatal):
		r.token(s.messageToken(tokenError, fatal))
		r.token(s.doneToken(tokenDone, doneError, 0, 0))
		if err := r.end(); err != nil {
			return err
		}
		if fatal.Class >= 20 {
			return fatal
		}
		return nil
	case err != nil:
		return err
	}
	if r.done == nil { // the last statement has none of its own
		r.token(s.doneToken(tokenDone, 0, 0, 0))
	}
	return r.end()
}

// held waits as long as a test wants a request to wait.
func (s *session) held() error {
	s.srv.mu.Lock()
	gate, delay := s.srv.gate, s.srv.delay
	s.srv.mu.Unlock()
	if gate != nil {
		if err := s.wait(-1, gate); err != nil {
			return err
		}
	}
	if delay > 0 {
		return s.wait(delay, nil)
	}
	return nil
}

func (s *session) resetBits(m message, r *reply) error {
	s.before = 0
	if m.status&(statusReset|statusResetSkip) == 0 {
		return nil
	}
	skip := m.status&statusResetSkip != 0
	if skip && s.srv.o.SkipTransactionBad {
		return &Error{Number: 33557097, Class: 20, State: 1, Message: "RESETCONNECTIONSKIPTRAN is not supported."}
	}
	s.before = s.descriptor
	if s.srv.o.ResetAfterDone {
		r.token(s.doneToken(tokenDone, doneMore, 0, 0))
	}
	if !skip {
		s.rollbackEnv(r)
	}
	database, language := s.database, s.set["LANGUAGE"]
	s.reset(skip)
	tell := func() {
		if s.database != database {
			s.tellDatabase(r, s.database, database)
		}
		if s.set["LANGUAGE"] != language {
			s.tellLanguage(r, s.set["LANGUAGE"], language)
		}
	}
	if s.srv.o.ResetTells == ResetTellsBefore {
		tell()
	}
	r.token(sized(tokenEnvChange, []byte{envReset, 0, 0}))
	if s.srv.o.ResetTells == ResetTellsBehind {
		tell()
	}
	return nil
}

// tellDatabase says that the database has changed.
func (s *session) tellDatabase(r *reply, now, was string) {
	r.token(envStrings(envDatabase, now, was))
	r.token(s.messageToken(tokenInfo, &Error{Number: 5701, State: 2, Message: "Changed database context to '" + now + "'."}))
}

// tellLanguage says that the language has changed.
func (s *session) tellLanguage(r *reply, now, was string) {
	r.token(envStrings(envLanguage, now, was))
	r.token(s.messageToken(tokenInfo, &Error{Number: 5703, State: 1, Message: "Changed language setting to " + now + "."}))
}

// headers takes ALL_HEADERS off a request and checks the transaction's descriptor ([MS-TDS] 2.2.5.3).
func (s *session) headers(data []byte) ([]byte, error) {
	if rank(s.version) < 72 {
		return data, nil
	}
	if len(data) < 4 {
		return nil, errors.New("tdsserver: request without ALL_HEADERS")
	}
	total := int(binary.LittleEndian.Uint32(data))
	if total < 4 || total > len(data) {
		return nil, errors.New("tdsserver: ALL_HEADERS with a wrong length")
	}
	found := false
	for b := data[4:total]; len(b) > 0; {
		if len(b) < 6 {
			return nil, errors.New("tdsserver: header is short")
		}
		n := int(binary.LittleEndian.Uint32(b))
		if n < 6 || n > len(b) {
			return nil, errors.New("tdsserver: header with a wrong length")
		}
		if binary.LittleEndian.Uint16(b[4:]) == 2 {
			if n != 18 {
				return nil, errors.New("tdsserver: transaction descriptor with a wrong length")
			}
			found = true
			if d := binary.LittleEndian.Uint64(b[6:]); d != s.descriptor && (d != s.before || d == 0) && !s.srv.o.NoTransactionEnv {
				return nil, &Error{Number: 3989, Class: 16, State: 1, Message: "New request is not allowed to start because it should come with valid transaction descriptor."}
			}
		}
		b = b[n:]
	}
	if !found {
		return nil, errors.New("tdsserver: request without a transaction descriptor")
	}
	return data[total:], nil
}

func (s *session) dispatch(m message, r *reply) error {
	data := m.data
	if m.kind != packetBulk {
		var err error
		if data, err = s.headers(data); err != nil {
			return err
		}
	}
	x := &exec{s: s, r: r, vars: map[string]*value{}}
	switch m.kind {
	case packetBatch:
		return x.batch(fromUCS2(data))
	case packetRPC:
		return s.rpc(data, r)
	case packetTransaction:
		return s.transaction(data, r)
	case packetBulk:
		return s.bulkRows(data, r)
	}
	return fmt.Errorf("tdsserver: message of type %d is not for a session", m.kind)
}

// begin begins a transaction, or goes one deeper.
func (s *session) begin(r *reply, env bool) {
	s.trancount++
	if s.trancount > 1 {
		return
	}
	s.inTran.Store(true)
	s.descriptor = s.srv.store.descriptor()
	s.saves = map[string]int{}
	if env {
		r.token(envBytes(envBegin, s.descriptorBytes(), nil))
	}
}

func (s *session) descriptorBytes() []byte {
	return binary.LittleEndian.AppendUint64(nil, s.descriptor)
}

func (s *session) commit(r *reply, env bool) error {
	if s.trancount == 0 {
		return &Error{Number: 3902, Class: 16, State: 1, Message: "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION."}
	}
	if s.doomed {
		return &Error{Number: 3930, Class: 16, State: 1, Message: "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction."}
	}
	s.trancount--
	if s.trancount > 0 {
		return nil
	}
	was := s.descriptorBytes()
	s.endTran()
	if env {
		r.token(envBytes(envCommit, nil, was))
	}
	return nil
}

func (s *session) endTran() {
	s.trancount, s.descriptor, s.undo, s.saves, s.doomed = 0, 0, nil, map[string]int{}, false
	s.inTran.Store(false)
	s.srv.store.release(s, true)
}

// rollbackAll undoes what the transaction has done.
func (s *session) rollbackAll() {
	if s.trancount == 0 {
		return
	}
	s.srv.store.undo(s.undo)
	s.endTran()
}

// rollbackEnv rolls back and says so, if there is a transaction.
func (s *session) rollbackEnv(r *reply) {
	if s.trancount == 0 {
		return
	}
	was := s.descriptorBytes()
	s.rollbackAll()
	r.token(envBytes(envRollback, nil, was))
}

func (s *session) rollback(r *reply, name string, env bool) error {
	if s.trancount == 0 {
		return &Error{Number: 3903, Class: 16, State: 1, Message: "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION."}
	}
	if n, ok := s.saves[strings.ToLower(name)]; ok && name != "" {
		s.srv.store.undo(s.undo[n:])
		s.undo = s.undo[:n]
		return nil
	}
	if !env {
		s.rollbackAll()
		return nil
	}
	s.rollbackEnv(r)
	return nil
}

func (s *session) save(name string) error {
	if s.trancount == 0 {
		return &Error{Number: 628, Class: 16, State: 0, Message: "Cannot issue SAVE TRANSACTION when there is no active transaction."}
	}
	s.saves[strings.ToLower(name)] = len(s.undo)
	return nil
}

var levels = map[byte]string{1: "READ UNCOMMITTED", 2: "READ COMMITTED", 3: "REPEATABLE READ", 4: "SERIALIZABLE", 5: "SNAPSHOT"}

// transaction answers a transaction manager request ([MS-TDS] 2.2.6.9).
func (s *session) transaction(data []byte, r *reply) error {
	in := &reader{b: data}
	kind := in.short()
	name := func() string { return fromUCS2(in.take(int(in.byte()))) }
	begin := func() error {
		level := in.byte()
		name()
		if in.bad {
			return errors.New("tdsserver: transaction manager request is short")
		}
		if l, ok := levels[level]; ok {
			s.set["TRANSACTION ISOLATION LEVEL"] = l
		} else if level != 0 {
			return fmt.Errorf("tdsserver: isolation level %d", level)
		}
		s.begin(r, true)
		return nil
	}
	var err error
	cmd := uint16(cmdBegin)
	switch kind {
	case 0, 1:
		err = &Error{Number: 8501, Class: 16, State: 1, Message: "MSDTC on server '" + s.srv.o.Name + "' is unavailable."}
	case 5:
		if err := begin(); err != nil {
			return err
		}
	case 7, 8:
		n := name()
		flags := in.byte()
		if in.bad {
			return errors.New("tdsserver: transaction manager request is short")
		}
		if cmd = cmdCommit; kind == 7 {
			err = s.commit(r, true)
		} else {
			cmd = cmdRollback
			err = s.rollback(r, n, true)
		}
		if err == nil && flags&1 != 0 {
			if err := begin(); err != nil {
				return err
			}
		}
	case 9:
		cmd = cmdSave
		err = s.save(name())
	default:
		return fmt.Errorf("tdsserver: transaction manager request %d", kind)
	}
	if err != nil {
		return err
	}
	r.last(s.doneToken(tokenDone, 0, cmd, 0))
	return nil
}
