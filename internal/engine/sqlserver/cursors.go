package sqlserver

import (
	"forebay/internal/engine/sqlserver/sqltext"
	"forebay/internal/wire/tds"
)

// Drivers fetch from a cursor of sp_cursoropen without having its columns told again (fNoMetaData). The session notes them when the
// cursor is opened: to ask the server for them instead would do, but Babelfish then describes rows as they are not (it leaves
// ROWSTAT out, which its rows have).

// Bounds of the columns of cursors that a session notes. With more, the server is asked for them.
const (
	maxCursors       = 64
	maxCursorColumns = 1024 // of one of them
)

// knowsColumns reports whether the rows that the call fetches can be read without the server telling their columns.
func (s *session) knowsColumns(r *tds.RPC) bool {
	if r.ID != tds.ProcCursorFetch || !r.WithoutColumns() || s.features.ColumnEncryption != 0 {
		return false
	}
	h, _, ok := r.Param(0).Int()
	if !ok {
		return false
	}
	s.srv.cmd.known = s.columns[h]
	return s.srv.cmd.known != nil
}

// cursorReturned takes notice of a value that a call has returned which opens a cursor.
func (s *session) cursorReturned() {
	v := s.srv
	c, r := &v.cmd, v.scan.Return
	c.opens--
	if !r.Integer || r.Null || r.Value == 0 {
		c.cursor-- // there is none
		return
	}
	if c.opens > 0 {
		return
	}
	delete(s.columns, r.Value)
	cols := v.scan.Columns()
	if len(cols) == 0 || len(cols) > maxCursorColumns || len(s.columns) >= maxCursors {
		return
	}
	if s.columns == nil {
		s.columns = make(map[int64]tds.Columns)
	}
	s.columns[r.Value] = cols
}

// cursorCloses takes notice of a call that closes a cursor.
func (s *session) cursorCloses(r *tds.RPC) {
	if h, _, ok := r.Param(0).Int(); ok && s.columns[h] != nil {
		delete(s.columns, h)
		return
	}
	s.columns = nil
}

// cursorsEnd counts what handles of cursors a request has left. One that has failed has given up none, and has made those alone that it
// has told.
func (s *session) cursorsEnd() {
	c := &s.srv.cmd
	switch {
	case c.failed && c.cursor < 0:
		c.cursor = 0
	case c.failed:
		c.cursor -= c.opens
	}
	if s.cursors += c.cursor; s.cursors <= 0 {
		s.cursors, s.columns = 0, nil
	}
}

// opensCursors are the effects of texts that may close cursors and open others, of the same handles.
const opensCursors = sqltext.Prepared | sqltext.Exec | sqltext.Dynamic | sqltext.Unknown
