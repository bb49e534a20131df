package login

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// errBroken means that the connection was left in the middle of something by an earlier error.
var errBroken = fmt.Errorf("%w: connection is not at a message boundary", ErrProtocol)

// Query runs sql by the simple protocol and returns the rows of the last statement that returned any, in text; a nil
// value is NULL. An error of the server is a *ServerError, and the connection remains usable unless its Severity is
// FATAL; after any other error it is not, and must be closed. COPY is declined in both directions: what a
// statement copies out is dropped.
func (s *Server) Query(ctx context.Context, sql string) ([][]*string, error) {
	if s.broken {
		return nil, errBroken
	}
	if strings.IndexByte(sql, 0) >= 0 {
		return nil, fmt.Errorf("%w: statement contains a zero byte", ErrProtocol)
	}
	stop, err := bindContext(ctx, s.Conn)
	if err != nil {
		return nil, err
	}
	defer stop()
	s.broken = true // until the answer is complete
	rows, err := s.query(sql)
	var failed *ServerError
	if err != nil && !errors.As(err, &failed) {
		return nil, withContext(ctx, err)
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return rows, err
}

func (s *Server) query(sql string) (rows [][]*string, err error) {
	out := binary.BigEndian.AppendUint32([]byte{'Q'}, uint32(4+len(sql)+1))
	out = append(append(out, sql...), 0)
	if _, err := s.Conn.Write(out); err != nil {
		return nil, ioError(err)
	}
	r := newReader(s.Conn)
	defer r.release()
	var failed error
	size := 0
	for {
		typ, body, err := r.message("server message", maxQueryMessage, true)
		if err != nil {
			if failed != nil { // a FATAL error and then the end
				return nil, failed
			}
			return nil, ioError(err)
		}
		switch typ {
		case 'T':
			rows, size = nil, 0
		case 'D':
			if size += len(body); size > maxQueryResult {
				return nil, fmt.Errorf("%w: result of more than %d bytes", ErrProtocol, maxQueryResult)
			}
			row, err := textRow(body)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		case 'E':
			if failed == nil {
				failed = parseServerError(body)
			}
		case 'S':
			if err := s.parameterStatus(body); err != nil {
				return nil, err
			}
		case 'G':
			reply, _ := (&pgproto3.CopyFail{Message: "COPY FROM STDIN is not possible here"}).Encode(nil)
			if _, err := s.Conn.Write(reply); err != nil {
				return nil, ioError(err)
			}
		case 'Z':
			if err := s.ready(r, body); err != nil {
				return nil, err
			}
			s.broken = false
			if failed != nil {
				return nil, failed
			}
			return rows, nil
		case 'C', 'I', 'N', 'A', 'H', 'd', 'c':
		default:
			return nil, fmt.Errorf("%w: message %q in the answer to a query", ErrProtocol, typ)
		}
	}
}

// textRow copies the values of a DataRow.
func textRow(body []byte) ([]*string, error) {
	var m pgproto3.DataRow
	if err := m.Decode(body); err != nil {
		return nil, fmt.Errorf("%w: malformed DataRow", ErrProtocol)
	}
	row := make([]*string, len(m.Values))
	for i, v := range m.Values {
		if v != nil {
			text := string(v)
			row[i] = &text
		}
	}
	return row, nil
}
