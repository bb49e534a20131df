package postgres

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"strconv"

	"forebay/internal/engine/postgres/sqltext"
)

// stmt is a protocol-level prepared statement: its text and parameter types, shared by all sessions of a loop that
// prepared the same. Its text and types never change; what it may leave behind follows the catalog of routines.
type stmt struct {
	text     []byte
	types    []byte // the Parse message's own encoding
	effects  sqltext.Effects
	prepared bool              // it has to do with SQL-level prepared statements
	set      *setting          // the text is a plain SET or RESET
	reset    *reset            // the text is a RESET
	catalog  *sqltext.Routines // that effects were found with
	hash     uint64
}

// namedStmt is a session's name for a statement.
type namedStmt struct {
	name   string
	stmt   *stmt
	dup    bool // the name was taken: the server is made to say so
	full   bool // dup, for another reason: the client has too many
	bySQL  bool // SQL has named it: a server connection has had it under the client's name, too
	proven bool // it has been described or bound since

	generation uint64 // of the database's schema when the client prepared it
	cycle      uint64 // in which the client was told that it is prepared
}

// Limits of what is kept of statements on one loop. When either is reached the table starts anew: statements in use live
// on through the sessions that hold them.
const (
	maxInterned      = 8192
	maxInternedBytes = 32 << 20
	maxInternedText  = 64 << 10 // larger texts are kept by their sessions alone
)

// interned finds equal statements, so that sessions share them and server connections know which they have.
type interned struct {
	seed  maphash.Seed
	byKey map[uint64]*stmt
	bytes int
}

func newInterned() interned {
	return interned{seed: maphash.MakeSeed(), byKey: make(map[uint64]*stmt)}
}

func (t *interned) hash(text, types []byte) uint64 {
	h := maphash.Bytes(t.seed, text)
	for i := 2; i+4 <= len(types); i += 4 { // the count follows from the length
		h = h*0x9e3779b97f4a7c15 + uint64(binary.BigEndian.Uint32(types[i:])) + 1
	}
	return h
}

// find returns the statement with that text and those parameter types, or nil.
func (t *interned) find(h uint64, text, types []byte) *stmt {
	s := t.byKey[h]
	if s != nil && bytes.Equal(s.text, text) && bytes.Equal(s.types, types) {
		return s
	}
	return nil
}

func (t *interned) add(s *stmt) {
	if len(t.byKey) >= maxInterned || t.bytes > maxInternedBytes {
		clear(t.byKey)
		t.bytes = 0
	}
	t.byKey[s.hash] = s
	t.bytes += len(s.text) + len(s.types) + 200
}

// preparedSet is what one server connection has prepared under Forebay's names, least recently used first out.
type preparedSet struct {
	byStmt     map[*stmt]*prepared
	head, tail *prepared // most, least recently used
	next       uint64    // names are never used twice on a connection
}

type prepared struct {
	stmt       *stmt
	name       string
	generation uint64 // of the database's schema when it was prepared
	prev, next *prepared
}

// namePrefix starts the names of prepared statements that Forebay makes on server connections.
const namePrefix = "forebay_"

func (p *preparedSet) get(s *stmt) *prepared {
	e := p.byStmt[s]
	if e != nil && p.head != e {
		p.unlink(e)
		p.link(e)
	}
	return e
}

func (p *preparedSet) add(s *stmt, generation uint64) *prepared {
	if p.byStmt == nil {
		p.byStmt = make(map[*stmt]*prepared)
	}
	p.next++
	e := &prepared{stmt: s, name: namePrefix + strconv.FormatUint(p.next, 10), generation: generation}
	p.byStmt[s] = e
	p.link(e)
	return e
}

func (p *preparedSet) remove(e *prepared) {
	if p.byStmt[e.stmt] == e {
		delete(p.byStmt, e.stmt)
		p.unlink(e)
	}
}

func (p *preparedSet) oldest() *prepared { return p.tail }

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
