package login

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"forebay/internal/wire/tds"
)

// maxQueryAnswer bounds the answer to a Query, in bytes.
const maxQueryAnswer = 1 << 20

// maxLargeAnswer bounds that to a QueryLarge.
const maxLargeAnswer = 64 << 20

// errBroken means that an earlier Query has failed in a way that leaves the connection useless.
var errBroken = fmt.Errorf("%w: connection is broken", ErrProtocol)

// Query runs a batch whose columns are all of the type nvarchar(n), with n up to 4000, and returns the rows of all its results;
// NULL is nil. ctx bounds it. Errors are those of Dial; after a *ServerError the connection is in order.
func (s *Server) Query(ctx context.Context, sql string) ([][]*string, error) {
	return s.query(ctx, sql, maxQueryAnswer)
}

// QueryLarge is Query for answers of up to 64 MiB.
func (s *Server) QueryLarge(ctx context.Context, sql string) ([][]*string, error) {
	return s.query(ctx, sql, maxLargeAnswer)
}

func (s *Server) query(ctx context.Context, sql string, limit int) ([][]*string, error) {
	answer, err := s.ask(ctx, sql, limit)
	if err != nil {
		return nil, err
	}
	a := answerReader{s: s, b: answer}
	if err := a.run(); err != nil {
		return nil, err
	}
	if a.failed != nil {
		return nil, a.failed
	}
	return a.rows, nil
}

// Exec runs a batch whose results are of no interest. The first error of its statements is a *ServerError; its text is not
// kept.
func (s *Server) Exec(ctx context.Context, sql string) error {
	answer, err := s.ask(ctx, sql, maxQueryAnswer)
	if err != nil {
		return err
	}
	scan := tds.Scanner{Version: s.Version, Features: s.Features}
	var failed *ServerError
	for {
		n, event, err := scan.Scan(answer)
		if err != nil {
			s.broken = true
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		answer = answer[n:]
		switch {
		case event == tds.EventError && failed == nil:
			m := scan.Message
			failed = &ServerError{Number: m.Number, State: m.State, Class: m.Class, Text: "a statement has failed"}
		case event == tds.EventEnvChange && len(scan.Env) > 1:
			s.transacts(tds.EnvType(scan.Env[0]), scan.Env[2:min(len(scan.Env), 2+int(scan.Env[1]))])
		case event != tds.EventNone:
		case failed != nil:
			return failed
		default:
			return scan.End()
		}
	}
}

// ask sends a batch and returns the data of the answer.
func (s *Server) ask(ctx context.Context, sql string, limit int) ([]byte, error) {
	if s.broken {
		return nil, errBroken
	}
	stop, err := bindContext(ctx, s.Conn)
	if err != nil {
		return nil, err
	}
	defer stop()
	s.broken = true // until the answer is complete
	var data []byte
	if s.Version.AtLeast(tds.V72) {
		data = tds.AppendAllHeaders(data, s.Version, s.transaction)
	}
	out := tds.AppendMessage(nil, tds.PacketSQLBatch, 0, s.PacketSize, 0, tds.AppendText(data, sql))
	if _, err := s.Conn.Write(out); err != nil {
		return nil, withContext(ctx, ioError(err))
	}
	r := newReader(s.Conn)
	defer r.release()
	_, answer, err := r.message(limit, tds.PacketReply)
	if err != nil {
		return nil, withContext(ctx, ioError(err))
	}
	if len(r.buffered()) > 0 {
		return nil, fmt.Errorf("%w: data while idle", ErrProtocol)
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	s.broken = false
	return answer, nil
}

// answerReader goes through the answer to a batch.
type answerReader struct {
	s       *Server
	b       []byte
	columns int
	max     []bool // which of them have chunks: nvarchar(max)
	rows    [][]*string
	cells   int
	failed  *ServerError
}

func (a *answerReader) run() error {
	for len(a.b) > 0 {
		n := 0
		var err error
		switch a.b[0] {
		case tokenColMetadata:
			n, err = a.metadata()
		case tokenRow, tokenNBCRow:
			n, err = a.row()
		case tokenError, tokenInfo:
			var m *tds.Message
			if m, n, err = tds.ParseMessage(a.b, a.s.Version); err == nil && !m.Info && a.failed == nil {
				a.failed = (*ServerError)(m)
			}
		case tokenEnvChange:
			var e tds.EnvChange
			if e, n, err = tds.ParseEnvChange(a.b); err == nil {
				err = a.s.change(e)
			}
		case tokenOrder:
			if n = 3; len(a.b) >= n {
				n += int(binary.LittleEndian.Uint16(a.b[1:]))
			}
		case tokenDone, tokenDoneProc, tokenDoneInProc:
			n = doneLen(a.s.Version)
		case tokenReturnStatus:
			n = 5
		default:
			return fmt.Errorf("%w: token 0x%02x in an answer", ErrProtocol, a.b[0])
		}
		if n > len(a.b) {
			err = tds.ErrShort
		}
		if err != nil {
			if errors.Is(err, tds.ErrShort) {
				err = errors.New("an answer ends within a token")
			}
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		a.b = a.b[n:]
	}
	return nil
}

const (
	tokenReturnStatus = 0x79
	typeNVarChar      = 0xE7
	maxColumns        = 64

	// maxCells bounds the values of an answer, which may be NULL: then they take more memory than bytes of the answer.
	maxCells = 8 << 20
)

// metadata takes the columns of a result.
func (a *answerReader) metadata() (int, error) {
	b := a.b
	if len(b) < 3 {
		return 0, tds.ErrShort
	}
	count := int(binary.LittleEndian.Uint16(b[1:]))
	at := 3
	if count > maxColumns { // 0xFFFF: none, which no query of ours asks for
		return 0, &tds.MalformedError{Structure: "COLMETADATA", Field: "Count"}
	}
	if a.s.Features.ColumnEncryption > 0 { // the table of keys, which is empty where nothing is encrypted
		if at += 2; len(b) < at {
			return 0, tds.ErrShort
		}
		if binary.LittleEndian.Uint16(b[at-2:]) != 0 {
			return 0, &tds.MalformedError{Structure: "COLMETADATA", Field: "CekTable"}
		}
	}
	fixed := 2 + 2 // UserType, Flags
	if a.s.Version.AtLeast(tds.V72) {
		fixed = 4 + 2
	}
	a.max = make([]bool, count)
	for i := range count {
		at += fixed
		const info = 1 + 2 + 5 // type, length, collation
		if len(b) < at+info+1 {
			return 0, tds.ErrShort
		}
		a.max[i] = binary.LittleEndian.Uint16(b[at+1:]) == 0xFFFF
		if b[at] != typeNVarChar {
			return 0, &tds.MalformedError{Structure: "COLMETADATA", Field: "TYPE_INFO"}
		}
		at += info
		at += 1 + 2*int(b[at]) // the name
	}
	if len(b) < at {
		return 0, tds.ErrShort
	}
	a.columns = count
	return at, nil
}

// row takes one row.
func (a *answerReader) row() (int, error) {
	b, at := a.b, 1
	if a.cells += a.columns; a.columns == 0 || a.cells > maxCells {
		return 0, &tds.MalformedError{Structure: "ROW", Field: "count"}
	}
	var nulls []byte
	if b[0] == tokenNBCRow {
		n := (a.columns + 7) / 8
		if len(b) < at+n {
			return 0, tds.ErrShort
		}
		nulls, at = b[at:at+n], at+n
	}
	row := make([]*string, a.columns)
	for i := range row {
		if nulls != nil && nulls[i/8]>>(i%8)&1 != 0 {
			continue
		}
		if a.max[i] {
			var err error
			if row[i], at, err = chunks(b, at); err != nil {
				return 0, err
			}
			continue
		}
		if len(b) < at+2 {
			return 0, tds.ErrShort
		}
		size := int(binary.LittleEndian.Uint16(b[at:]))
		at += 2
		if size == 0xFFFF {
			continue
		}
		if len(b) < at+size {
			return 0, tds.ErrShort
		}
		text := tds.DecodeText(b[at : at+size])
		row[i] = &text
		at += size
	}
	a.rows = append(a.rows, row)
	return at, nil
}

// chunks takes a value of nvarchar(max) at a place of b, and returns the one behind it.
func chunks(b []byte, at int) (*string, int, error) {
	if len(b)-at < 8 {
		return nil, 0, tds.ErrShort
	}
	total := binary.LittleEndian.Uint64(b[at:])
	if at += 8; total == 1<<64-1 {
		return nil, at, nil
	}
	var data []byte
	for {
		if len(b)-at < 4 {
			return nil, 0, tds.ErrShort
		}
		size := uint64(binary.LittleEndian.Uint32(b[at:]))
		if at += 4; size == 0 {
			text := tds.DecodeText(data)
			return &text, at, nil
		}
		if uint64(len(b)-at) < size {
			return nil, 0, tds.ErrShort
		}
		data = append(data, b[at:at+int(size)]...)
		at += int(size)
	}
}
