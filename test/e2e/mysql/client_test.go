package mysql

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"time"

	"forebay/internal/engine/mysql/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/wire/mysqlwire"
)

// watchdog ends a command that hangs. Nothing takes nearly so long.
const watchdog = 60 * time.Second

// client is one session, in plain bytes, so that tests see all that the server says.
type client struct {
	s      *login.Server
	conn   net.Conn
	r      *bufio.Reader
	caps   mysqlwire.Capability
	seq    uint8
	status mysqlwire.Status // of the last OK or EOF packet
}

// result is one result of a command.
type result struct {
	columns []string
	types   []mysqlwire.Type
	rows    [][]string // "NULL" is NULL
	ok      mysqlwire.OK
	told    map[string]string // of session state: variables, "schema", "state"
}

// dial logs in.
func dial(address, user, password, database string, caps mysqlwire.Capability) (*client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	s, err := login.Dial(ctx, nil, login.DialOptions{
		Address: address, TLSMode: resource.TLSDisable, Database: database, Capabilities: caps,
		Credentials: login.NewCredentials(user, secret.Password(password)),
	})
	if err != nil {
		return nil, err
	}
	return &client{s: s, conn: s.Conn, r: bufio.NewReader(s.Conn), caps: s.Capabilities, status: s.Status}, nil
}

// leave says good-bye.
func (c *client) leave() {
	_ = c.send(mysqlwire.ComQuit)
	_ = c.conn.Close()
}

// encode makes the packet of a command.
func encode(kind mysqlwire.Command, body ...byte) []byte {
	b, _ := mysqlwire.AppendPacket(nil, 0, append([]byte{byte(kind)}, body...))
	return b
}

// queryBody is the body of a COM_QUERY.
func (c *client) queryBody(sql string) []byte {
	var b []byte
	if c.caps.Has(mysqlwire.ClientQueryAttributes) {
		b = []byte{0, 1}
	}
	return append(b, sql...)
}

func (c *client) send(kind mysqlwire.Command, body ...byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(watchdog)); err != nil {
		return err
	}
	c.seq = 1
	_, err := c.conn.Write(encode(kind, body...))
	return err
}

// packet reads one packet's payload; an ERR packet is returned as error.
func (c *client) packet() ([]byte, error) {
	var all []byte
	for {
		var head [mysqlwire.HeaderLen]byte
		if _, err := io.ReadFull(c.r, head[:]); err != nil {
			return nil, err
		}
		h, _ := mysqlwire.ParseHeader(head[:])
		if h.Sequence != c.seq {
			return nil, fmt.Errorf("packet number %d where %d is due", h.Sequence, c.seq)
		}
		c.seq++
		b := make([]byte, h.Length)
		if _, err := io.ReadFull(c.r, b); err != nil {
			return nil, err
		}
		all = append(all, b...)
		if !h.Continues() {
			break
		}
	}
	if mysqlwire.IsERR(all) {
		e, err := mysqlwire.ParseError(all)
		if err != nil {
			return nil, err
		}
		return nil, e
	}
	return all, nil
}

// simple runs a command that is answered with results, OK or an error.
func (c *client) simple(kind mysqlwire.Command, body ...byte) ([]result, error) {
	if err := c.send(kind, body...); err != nil {
		return nil, err
	}
	return c.results(kind == mysqlwire.ComStmtExecute)
}

// query runs statements.
func (c *client) query(sql string) ([]result, error) {
	return c.simple(mysqlwire.ComQuery, c.queryBody(sql)...)
}

func (c *client) results(binary bool) (all []result, err error) {
	for {
		p, err := c.packet()
		if err != nil {
			return all, err
		}
		var r result
		switch {
		case p[0] == mysqlwire.HeaderOK:
			err = c.ended(p, &r)
		case p[0] == mysqlwire.HeaderEOF && len(p) < 9: // COM_SET_OPTION
			err = c.ended(p, &r)
		default:
			err = c.rows(p, binary, &r)
		}
		if err != nil {
			return all, err
		}
		all = append(all, r)
		if !c.status.Has(mysqlwire.StatusMoreResultsExist) {
			return all, nil
		}
	}
}

// ended takes an OK or EOF packet.
func (c *client) ended(p []byte, r *result) error {
	if p[0] == mysqlwire.HeaderEOF && !c.caps.Has(mysqlwire.ClientDeprecateEOF) {
		e, err := mysqlwire.ParseEOF(p)
		c.status, r.ok.Status, r.ok.Warnings = e.Status, e.Status, e.Warnings
		return err
	}
	ok, err := mysqlwire.ParseOK(p, c.caps)
	if err != nil {
		return err
	}
	c.status, r.ok = ok.Status, ok
	r.told = map[string]string{}
	for state := ok.SessionState; len(state) > 0; {
		e, rest, err := mysqlwire.NextStateChange(state)
		if err != nil {
			return err
		}
		state = rest
		switch e.Type {
		case mysqlwire.TrackSystemVariables:
			r.told[string(e.Name)] = string(e.Value)
		case mysqlwire.TrackSchema:
			r.told["schema"] = string(e.Value)
		case mysqlwire.TrackStateChange:
			r.told["state"] = string(e.Value)
		}
	}
	return nil
}

// rows reads a result set that begins with p.
func (c *client) rows(p []byte, binary bool, r *result) error {
	n, definitions, ok := mysqlwire.ColumnCount(p, c.caps)
	if !ok || !definitions {
		return fmt.Errorf("%q is no number of columns", p)
	}
	if err := c.definitions(n, r); err != nil {
		return err
	}
	if c.status.Has(mysqlwire.StatusCursorExists) && !c.caps.Has(mysqlwire.ClientDeprecateEOF) {
		return nil
	}
	return c.rowsOf(binary, r)
}

func (c *client) definitions(n int, r *result) error {
	c.status &^= mysqlwire.StatusCursorExists
	for range n {
		p, err := c.packet()
		if err != nil {
			return err
		}
		name, kind, err := definition(p)
		if err != nil {
			return err
		}
		r.columns, r.types = append(r.columns, name), append(r.types, kind)
	}
	if c.caps.Has(mysqlwire.ClientDeprecateEOF) {
		return nil
	}
	p, err := c.packet()
	if err != nil {
		return err
	}
	return c.ended(p, &result{})
}

// definition reads the name and the type of a column.
func definition(p []byte) (name string, kind mysqlwire.Type, err error) {
	var s []byte
	ok := true
	for i := 0; i < 6 && ok; i++ {
		if s, p, ok = mysqlwire.LenEncString(p); i == 4 {
			name = string(s)
		}
	}
	if !ok || len(p) < 8 {
		return "", 0, errors.New("malformed column definition")
	}
	return name, mysqlwire.Type(p[7]), nil
}

// rowsOf reads rows and their end.
func (c *client) rowsOf(binary bool, r *result) error {
	for {
		p, err := c.packet()
		if err != nil {
			return err
		}
		if p[0] == mysqlwire.HeaderEOF && (len(p) < 9 || c.caps.Has(mysqlwire.ClientDeprecateEOF)) {
			return c.ended(p, r)
		}
		row := make([]string, len(r.columns))
		if binary {
			if err := binaryRow(row, p, r.types); err != nil {
				return err
			}
		} else {
			cols, ok := mysqlwire.TextRow(nil, p, len(row))
			if !ok {
				return fmt.Errorf("malformed row %q", p)
			}
			for i, v := range cols {
				if row[i] = string(v); v == nil {
					row[i] = "NULL"
				}
			}
		}
		r.rows = append(r.rows, row)
	}
}

func binaryRow(row []string, p []byte, types []mysqlwire.Type) error {
	bitmap := (len(row) + 9) / 8
	if len(p) < 1+bitmap {
		return errors.New("short row")
	}
	nulls := p[1 : 1+bitmap]
	p = p[1+bitmap:]
	for i, t := range types {
		if nulls[(i+2)/8]&(1<<((i+2)%8)) != 0 {
			row[i] = "NULL"
			continue
		}
		var err error
		if row[i], p, err = binaryValue(p, t); err != nil {
			return err
		}
	}
	return nil
}

func binaryValue(p []byte, t mysqlwire.Type) (string, []byte, error) {
	size := map[mysqlwire.Type]int{
		mysqlwire.TypeTiny: 1, mysqlwire.TypeShort: 2, mysqlwire.TypeYear: 2, mysqlwire.TypeLong: 4, mysqlwire.TypeInt24: 4,
		mysqlwire.TypeLongLong: 8, mysqlwire.TypeFloat: 4, mysqlwire.TypeDouble: 8,
	}[t]
	if size == 0 {
		s, rest, ok := mysqlwire.LenEncString(p)
		if !ok {
			return "", nil, errors.New("malformed value")
		}
		return string(s), rest, nil
	}
	if len(p) < size {
		return "", nil, errors.New("short value")
	}
	var wide [8]byte
	copy(wide[:], p[:size])
	n := binary.LittleEndian.Uint64(wide[:])
	switch t {
	case mysqlwire.TypeDouble:
		return strconv.FormatFloat(math.Float64frombits(n), 'g', -1, 64), p[size:], nil
	case mysqlwire.TypeFloat:
		return strconv.FormatFloat(float64(math.Float32frombits(uint32(n))), 'g', -1, 32), p[size:], nil
	}
	if shift := 64 - 8*size; int64(n<<shift)>>shift < 0 && size < 8 {
		return strconv.FormatInt(int64(n<<shift)>>shift, 10), p[size:], nil
	}
	return strconv.FormatUint(n, 10), p[size:], nil
}

// statement is a prepared statement.
type statement struct {
	id      uint32
	params  int
	columns result
}

// prepare prepares a statement.
func (c *client) prepare(sql string) (*statement, error) {
	if err := c.send(mysqlwire.ComStmtPrepare, []byte(sql)...); err != nil {
		return nil, err
	}
	p, err := c.packet()
	if err != nil {
		return nil, err
	}
	ok, err := mysqlwire.ParsePrepareOK(p, c.caps)
	if err != nil {
		return nil, err
	}
	st := &statement{id: ok.StatementID, params: int(ok.Params)}
	if ok.Params > 0 {
		if err := c.definitions(int(ok.Params), &result{}); err != nil {
			return nil, err
		}
	}
	if ok.Columns > 0 {
		if err := c.definitions(int(ok.Columns), &st.columns); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// named makes the body of a command about a prepared statement.
func named(id uint32, more ...byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, id), more...)
}

// long stands for a value sent by COM_STMT_SEND_LONG_DATA.
type long struct{}

// executeBody makes the body of COM_STMT_EXECUTE. Values are strings, int64 or nil.
func (c *client) executeBody(id uint32, flags byte, types bool, values ...any) []byte {
	b := named(id, flags, 1, 0, 0, 0)
	if len(values) == 0 {
		return b
	}
	nulls := make([]byte, (len(values)+7)/8)
	var kinds, data []byte
	for i, v := range values {
		kind := mysqlwire.TypeVarString
		switch v := v.(type) {
		case nil:
			nulls[i/8] |= 1 << (i % 8)
		case int64:
			kind = mysqlwire.TypeLongLong
			data = binary.LittleEndian.AppendUint64(data, uint64(v))
		case string:
			data = mysqlwire.AppendLenEncString(data, v)
		case long:
		}
		if kinds = append(kinds, byte(kind), 0); c.caps.Has(mysqlwire.ClientQueryAttributes) {
			kinds = append(kinds, 0)
		}
	}
	b = append(b, nulls...)
	if !types {
		return append(append(b, 0), data...)
	}
	return append(append(append(b, 1), kinds...), data...)
}

// execute runs a prepared statement.
func (c *client) execute(st *statement, types bool, values ...any) ([]result, error) {
	return c.simple(mysqlwire.ComStmtExecute, c.executeBody(st.id, 0, types, values...)...)
}

// close closes a prepared statement.
func (c *client) close(st *statement) error { return c.send(mysqlwire.ComStmtClose, named(st.id)...) }
