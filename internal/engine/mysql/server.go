package mysql

import (
	"context"
	"fmt"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/wire/mysqlwire"
)

// server is the protocol state of one server connection. Owned by loop, but for the fields that log-in set.
type server struct {
	// Static after log-in.
	db      *database
	thread  uint32 // its id on the server
	caps    mysqlwire.Capability
	mariaDB bool
	number  uint32             // the server's version, as in an executable comment
	sqlMode string             // sql_mode after log-in
	leased  *login.Credentials // of the user that was logged in, where that ends with a lease; else nil
	role    string             // what SET ROLE takes to go back to the role after log-in; empty: unknown to the server

	// What the connection's session has now.
	fit        engine.Fit
	status     mysqlwire.Status // of the last OK or EOF packet
	prepared   preparedSet
	idOwner    *session // whose LAST_INSERT_ID() this is: insertid.go
	idTurn     uint32   // and which of its values
	diagOwner  *session // whose statement was the last, so that its warnings and ROW_COUNT() are here; nil: nobody's
	countOwner *session // the same with no command of Forebay's since, so that ROW_COUNT() is here: rowcount.go
	rowsOwner  *session // whose SELECT was the last, so that FOUND_ROWS() is here; nil: nobody's
	diagTurn   uint32   // which of its statements that was
	rowsTurn   uint32   // and which of those with rows

	unseen        *session // whose statements may have left what is not known: unseen.go; nil: nobody's
	sequenceOwner *session // who has last drawn from a sequence (MariaDB); nil: nobody
	retire        bool     // it must not be used again

	// What is under way.
	r     reply
	cmd   command
	step  stepKind         // the command of Forebay's own under way; 0: none
	err   *mysqlwire.Error // how it failed
	again bool             // it was interrupted before, and is made once more
	row   []string         // the first row of its answer
	last  *mysqlwire.Error // the server's last words
	since int64            // when the command was sent, by the loop's clock
}

// Fit implements engine.Server.
func (v *server) Fit() engine.Fit { return v.fit }

// Idle implements engine.Server: nothing was asked, so only last words may come.
func (v *server) Idle(b []byte) (int, bool) { return 0, len(b) == 0 }

// Bye implements engine.Server.
func (v *server) Bye() []byte { return []byte{1, 0, 0, 0, byte(mysqlwire.ComQuit)} }

// Cancel implements engine.Server. A user may end its own statements alone: it is to be that of the connection.
func (v *server) Cancel(ctx context.Context, m engine.Member) error {
	var s *login.Server
	var err error
	if v.leased != nil {
		s, err = v.db.loginAs(ctx, m.Config(), m.Dial, v.leased)
	} else {
		s, _, err = v.db.login(ctx, m.Config(), m.Dial)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.Query(ctx, fmt.Sprintf("KILL QUERY %d", v.thread))
	return err
}

// inTransaction reports whether a transaction is open, as far as the last packet told.
func (v *server) inTransaction() bool { return v.status.Has(mysqlwire.StatusInTrans) }

// idle reports that nothing is under way and no transaction is open.
func (v *server) idle() bool { return v.r.state == replyNone && !v.inTransaction() }

// replyState says which packet comes next.
type replyState uint8

const (
	replyNone        replyState = iota // nothing is asked
	replyFirst                         // OK, ERR, LOCAL INFILE or the number of columns
	replyColumns                       // definitions of columns, then rows
	replyRows                          // rows, or what ends them
	replyPrepared                      // the first packet of the answer to COM_STMT_PREPARE
	replyParams                        // definitions of parameters
	replyPrepColumns                   // definitions of a prepared statement's columns
	replyFields                        // definitions up to their end: COM_FIELD_LIST
	replyText                          // one packet that is a text: COM_STATISTICS
	replyInfile                        // the client sends a file
)

// reply reads the answer to the command under way.
type reply struct {
	state     replyState
	seq       uint8 // number of the next packet, whoever sends it
	skip      int   // bytes still to come of the packet
	continued bool  // the next packet goes on with the last one's payload
	ending    bool  // the answer is complete with this packet
	defsEnd   bool  // an EOF packet ends the definitions that are being sent
	definitions,
	columns int // definitions still to come; how many columns there are
	prepared mysqlwire.PrepareOK
	results  int  // result sets and OK packets so far
	binary   bool // rows are those of the binary protocol
	fetch    bool // rows come without definitions
}

// begin says that a command has been sent.
func (r *reply) begin(c mysqlwire.Command) {
	*r = reply{state: replyFirst, seq: 1}
	switch c {
	case mysqlwire.ComStmtPrepare:
		r.state = replyPrepared
	case mysqlwire.ComFieldList:
		r.state = replyFields
	case mysqlwire.ComStatistics:
		r.state = replyText
	case mysqlwire.ComStmtExecute, mysqlwire.ComStmtBulkExecute:
		r.binary = true
	case mysqlwire.ComStmtFetch:
		r.state, r.fetch, r.binary = replyRows, true, true
	}
}
