package login

import (
	"context"
	"errors"
	"fmt"

	"forebay/internal/wire/mysqlwire"
)

// Bounds on what a Query's answer may have.
const (
	maxQueryPacket = mysqlwire.MaxPayload - 1 // bytes in one packet
	maxQueryResult = 64 << 20                 // bytes, counting what each value costs in memory beside its text
	valueCost      = 24                       // bytes for each value
)

// errBroken means that the connection was left in the middle of something by an earlier error.
var errBroken = fmt.Errorf("%w: connection is not at a message boundary", ErrProtocol)

// Query runs sql by COM_QUERY and returns the rows of the last statement that returned any, as text; a nil value is NULL.
// An error of the server is a *ServerError, and the connection remains usable unless the server closes it; after any
// other error it is not, and must be closed. LOAD DATA LOCAL is given an empty file.
func (s *Server) Query(ctx context.Context, sql string) ([][]*string, error) {
	results, err := s.QueryAll(ctx, sql)
	if err != nil || len(results) == 0 {
		return nil, err
	}
	return results[len(results)-1].Rows, nil
}

// Result is the answer to one statement that returns rows.
type Result struct {
	Columns []string // their names; nil where the server has sent no definitions
	Rows    [][]*string
}

// QueryAll is Query for all statements that return rows, in one round trip. Beside an error of the server are the results of
// the statements before the one that failed.
func (s *Server) QueryAll(ctx context.Context, sql string) ([]Result, error) {
	if s.broken {
		return nil, errBroken
	}
	stop, err := bindContext(ctx, s.Conn)
	if err != nil {
		return nil, err
	}
	defer stop()
	s.broken = true // until the answer is complete
	q := &query{s: s, r: newReader(s.Conn)}
	defer q.r.release()
	results, err := q.run(sql)
	var failed *ServerError
	if err != nil && !errors.As(err, &failed) {
		return nil, withContext(ctx, err)
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	if idle := s.idle(q.r); idle != nil {
		return nil, idle
	}
	s.broken = false
	return results, err
}

// query is one run of Query.
type query struct {
	s    *Server
	r    *reader
	seq  uint8
	size int // bytes of the results so far
}

func (q *query) has(c mysqlwire.Capability) bool { return q.s.Capabilities.Has(c) }

func (q *query) run(sql string) (results []Result, err error) {
	out := []byte{byte(mysqlwire.ComQuery)}
	if q.has(mysqlwire.ClientQueryAttributes) {
		out = append(out, 0, 1) // parameter_count, parameter_set_count
	}
	if err := q.send(append(out, sql...)); err != nil {
		return nil, err
	}
	for {
		payload, err := q.next()
		if err != nil {
			return results, err
		}
		switch {
		case mysqlwire.IsOK(payload, false):
			if err := q.ended(payload); err != nil {
				return results, err
			}
		case len(payload) > 0 && payload[0] == mysqlwire.HeaderLocalInfile:
			if err := q.send(nil); err != nil {
				return results, err
			}
			continue
		default:
			r, err := q.resultSet(payload)
			if err != nil {
				return results, err
			}
			results = append(results, r)
		}
		if !q.s.Status.Has(mysqlwire.StatusMoreResultsExist) {
			return results, nil
		}
	}
}

func (q *query) send(payload []byte) error {
	out, next := mysqlwire.AppendPacket(nil, q.seq, payload)
	q.seq = next
	_, err := q.s.Conn.Write(out)
	return ioError(err)
}

// next returns the next packet that is not a progress report; an ERR packet is returned as error.
func (q *query) next() ([]byte, error) {
	for {
		payload, err := q.r.packet(&q.seq, maxQueryPacket)
		switch {
		case err != nil:
			return nil, ioError(err)
		case mysqlwire.IsProgress(payload):
		case mysqlwire.IsERR(payload):
			return nil, parseServerError(payload)
		default:
			return payload, nil
		}
	}
}

// ended takes the packet that ends an answer or a result set.
func (q *query) ended(payload []byte) error {
	if !q.has(mysqlwire.ClientDeprecateEOF) && mysqlwire.IsEOF(payload) {
		p, err := mysqlwire.ParseEOF(payload)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		q.s.Status = p.Status
		return nil
	}
	p, err := mysqlwire.ParseOK(payload, q.s.Capabilities)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	q.s.Status = p.Status
	return nil
}

// resultSet reads a text result set whose first packet is head.
func (q *query) resultSet(head []byte) (res Result, err error) {
	n, definitions, ok := mysqlwire.ColumnCount(head, q.s.Capabilities)
	if !ok {
		return res, fmt.Errorf("%w: malformed column count", ErrProtocol)
	}
	if definitions {
		for range n {
			payload, err := q.next()
			if err != nil {
				return res, err
			}
			name, ok := mysqlwire.ColumnName(payload)
			if !ok {
				return res, fmt.Errorf("%w: malformed column definition", ErrProtocol)
			}
			res.Columns = append(res.Columns, string(name))
		}
		if !q.has(mysqlwire.ClientDeprecateEOF) {
			if payload, err := q.next(); err != nil {
				return res, err
			} else if !mysqlwire.IsEOF(payload) {
				return res, fmt.Errorf("%w: no end of column definitions", ErrProtocol)
			}
		}
	}
	cols := make([][]byte, 0, n)
	for {
		payload, err := q.next()
		if err != nil {
			return res, err
		}
		// A row may begin with 0xFE too, but then it is longer than any packet read here.
		if len(payload) > 0 && payload[0] == mysqlwire.HeaderEOF {
			return res, q.ended(payload)
		}
		if q.size += len(payload) + n*valueCost; q.size > maxQueryResult {
			return res, fmt.Errorf("%w: result of more than %d bytes", ErrProtocol, maxQueryResult)
		}
		if cols, ok = mysqlwire.TextRow(cols[:0], payload, n); !ok {
			return res, fmt.Errorf("%w: malformed row", ErrProtocol)
		}
		row := make([]*string, n)
		for i, c := range cols {
			if c != nil {
				text := string(c)
				row[i] = &text
			}
		}
		res.Rows = append(res.Rows, row)
	}
}
