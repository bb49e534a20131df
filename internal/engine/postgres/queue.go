package postgres

// expect is what the server still owes: one entry for each message sent to it that has an answer. The kind says which
// message ends the answer and what happens to it on the way to the client.
type expect struct {
	kind     expectKind
	restores bool       // expectQuery: statements of Forebay's own are behind the client's
	ref      *namedStmt // the statement that a Parse makes, or that is used; undone if the server skips the message
	drops    *namedStmt // what a Close, or a DEALLOCATE behind it, takes from the session: given back if the server skips it
	set      *setting   // expectExecute, expectQuery: the plain SET that runs
}

type expectKind uint8

const (
	// Requests of the client; the answer is passed on.
	expectQuery    expectKind = iota + 1 // ends with ReadyForQuery
	expectFunction                       // ends with ReadyForQuery
	expectSync                           // ends with ReadyForQuery
	expectParse                          // ends with ParseComplete
	expectBind                           // ends with BindComplete
	expectClose                          // ends with CloseComplete
	expectDescribe                       // ends with RowDescription or NoData
	expectExecute                        // ends with CommandComplete, EmptyQueryResponse or PortalSuspended
	expectCopyEnd                        // no answer of its own: marks where the client ended its copy data

	// Answers that Forebay gives itself when their turn comes: the server never sees the message.
	localParse
	localClose

	// Requests of Forebay's own; the client never sees the answer.
	hiddenParse // ends with ParseComplete
	hiddenClose // ends with CloseComplete
	hiddenAmid  // a statement amid messages of the extended protocol: Parse, Bind, Execute, Close in one; ends with CloseComplete
	hiddenApply // simple query that makes settings fit; ends with ReadyForQuery
	hiddenProbe // looks at the session's state: Bind, Execute, Sync in one; ends with ReadyForQuery
	hiddenSet   // simple query that changes what cannot fail; ends with ReadyForQuery
	hiddenNamed // makes a statement that SQL names: PREPARE, or Close, Parse, Sync in one; ends with ReadyForQuery
	hiddenAbort // simple query that begins a transaction and fails it; ends with ReadyForQuery
	hiddenReset // simple query that makes the connection clean after its client left; ends with ReadyForQuery
)

func (k expectKind) hidden() bool { return k >= hiddenParse }

// endsCycle reports whether the answer ends with ReadyForQuery.
func (k expectKind) endsCycle() bool {
	return k <= expectSync || k >= hiddenApply
}

// queue is a ring of expectations, oldest first. It keeps its memory: there is one for each server connection.
type queue struct {
	ring []expect // length is a power of two, or 0
	head int
	n    int
	open bool // something was sent since the last message that ends with ReadyForQuery, answered meanwhile or not
}

// maxOutstanding bounds what a client can have under way. Past it the client is read no further until answers came.
const maxOutstanding = 1 << 16

func (q *queue) push(e expect) {
	if q.n == len(q.ring) {
		bigger := make([]expect, max(16, 2*len(q.ring)))
		for i := range q.n {
			bigger[i] = *q.at(i)
		}
		q.ring, q.head = bigger, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = e
	q.n++
	if e.kind != expectCopyEnd {
		q.open = !e.kind.endsCycle()
	}
}

// at returns the i-th oldest entry, which must exist.
func (q *queue) at(i int) *expect { return &q.ring[(q.head+i)&(len(q.ring)-1)] }

// peek is the kind of the oldest entry, 0 when there is none.
func (q *queue) peek() expectKind {
	if q.n == 0 {
		return 0
	}
	return q.ring[q.head].kind
}

func (q *queue) pop() expect {
	e := &q.ring[q.head]
	out := *e
	e.ref, e.drops, e.set = nil, nil, nil
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return out
}

// cycles is how many ReadyForQuery are still due.
func (q *queue) cycles() int {
	n := 0
	for i := range q.n {
		if q.at(i).kind.endsCycle() {
			n++
		}
	}
	return n
}

// drop removes the i-th oldest entry.
func (q *queue) drop(i int) {
	for ; i > 0; i-- {
		*q.at(i) = *q.at(i - 1)
	}
	q.pop()
}

// closed reports whether everything sent so far ends with a ReadyForQuery that is still due or has come: then a simple
// query of our own may follow.
func (q *queue) closed() bool {
	return !q.open && (q.n == 0 || q.at(q.n-1).kind.endsCycle())
}
