package mysql

import (
	"bytes"
	"hash/maphash"
	"slices"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/sqltext"
)

// stmt is the text of a prepared statement with the settings that it was prepared under, shared by all sessions of a loop
// that prepared the same. Immutable.
type stmt struct {
	text    []byte
	context engine.Fit   // the settings that decide what the text means
	mode    sqltext.Mode // how it was read, under them
	effects sqltext.Effects
	hash    uint64
}

// clientStmt is a session's prepared statement.
type clientStmt struct {
	id      uint32 // as the client knows it
	stmt    *stmt
	params  int
	types   []byte // of the parameters, as the client has sent them last; never changed in place
	isLong  bool   // the server holds long data for it
	cursor  bool   // its cursor is open
	private bool   // it shares no server statement: another of the same text has a cursor or long data, or see ownTypes
}

// Limits of what is kept of statements on one loop. When either is reached the table starts anew: statements in use live
// on through the sessions that hold them.
const (
	maxInterned      = 8192
	maxInternedBytes = 32 << 20
	maxInternedText  = 64 << 10 // larger texts are kept by their sessions alone
)

// Limits of what one client can have prepared.
const (
	maxClientStmts     = 16 << 10
	maxClientStmtBytes = 16 << 20
)

// interned finds equal statements, so that sessions share them and server connections know which they have.
type interned struct {
	seed   maphash.Seed
	byHash map[uint64]*stmt
	bytes  int
}

func newInterned() interned {
	return interned{seed: maphash.MakeSeed(), byHash: make(map[uint64]*stmt)}
}

// intern returns the statement with that text and context, the same for all sessions of the loop; analyze finds its
// effects when it is new.
func (t *interned) intern(text []byte, context engine.Fit, mode sqltext.Mode, analyze func() sqltext.Effects) *stmt {
	h := maphash.Bytes(t.seed, text) ^ maphash.Comparable(t.seed, context)
	if s := t.byHash[h]; s != nil && s.context == context && s.mode == mode && bytes.Equal(s.text, text) {
		return s
	}
	s := &stmt{text: slices.Clone(text), context: context, mode: mode, effects: analyze(), hash: h}
	if len(text) > maxInternedText {
		return s
	}
	if len(t.byHash) >= maxInterned || t.bytes > maxInternedBytes {
		clear(t.byHash)
		t.bytes = 0
	}
	t.byHash[h] = s
	t.bytes += len(text) + 200
	return s
}

// preparedSet is what one server connection has prepared, least recently used first out.
type preparedSet struct {
	byStmt     map[preparedKey]*prepared
	head, tail *prepared // most, least recently used
}

// preparedKey tells server statements apart. of is set where one client statement has its server statement for itself.
type preparedKey struct {
	stmt *stmt
	of   *clientStmt
}

// prepared is a statement on a server connection.
type prepared struct {
	key         preparedKey
	id          uint32 // the server's
	params      int
	columns     int
	warnings    uint16
	generation  uint64
	at          int64       // when it was prepared, by the loop's clock
	definitions []byte      // the packets behind the first one of the answer; nil: not kept
	bound       []byte      // types of the parameters that the server knows; nil: none, or not known
	busy        *clientStmt // who has a cursor or long data here
	prev, next  *prepared
}

// maxDefinitions is how much of a prepared statement's metadata is kept to answer the next client that prepares it, in
// bytes.
const maxDefinitions = 16 << 10

// maxDefinitionsAge is how long it answers, in nanoseconds: the table may be altered where Forebay does not see it.
const maxDefinitionsAge = 30e9

func (p *preparedSet) get(k preparedKey) *prepared {
	e := p.byStmt[k]
	if e != nil && p.head != e {
		p.unlink(e)
		p.link(e)
	}
	return e
}

func (p *preparedSet) add(e *prepared) {
	if p.byStmt == nil {
		p.byStmt = make(map[preparedKey]*prepared)
	}
	p.byStmt[e.key] = e
	p.link(e)
}

func (p *preparedSet) remove(e *prepared) {
	if p.byStmt[e.key] == e {
		delete(p.byStmt, e.key)
		p.unlink(e)
	}
}

// oldest is the least recently used one that nobody needs now; nil if there is none.
func (p *preparedSet) oldest() *prepared {
	e := p.tail
	for e != nil && e.busy != nil {
		e = e.prev
	}
	return e
}

func (p *preparedSet) len() int { return len(p.byStmt) }

func (p *preparedSet) clear() {
	clear(p.byStmt)
	p.head, p.tail = nil, nil
}

func (p *preparedSet) link(e *prepared) {
	e.prev, e.next = nil, p.head
	if p.head != nil {
		p.head.prev = e
	}
	p.head = e
	if p.tail == nil {
		p.tail = e
	}
}

func (p *preparedSet) unlink(e *prepared) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		p.head = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		p.tail = e.prev
	}
	e.prev, e.next = nil, nil
}
