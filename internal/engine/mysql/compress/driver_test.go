package compress

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/wire/mysqlwire"

	"github.com/go-sql-driver/mysql"
)

// driverCaps is what the server of these tests offers.
const driverCaps = mysqlwire.ClientLongPassword | mysqlwire.ClientProtocol41 | mysqlwire.ClientSecureConnection |
	mysqlwire.ClientPluginAuth | mysqlwire.ClientConnectAttrs | mysqlwire.ClientTransactions | mysqlwire.ClientLocalFiles | mysqlwire.ClientCompress |
	mysqlwire.ClientZstdCompression

// sqlToy answers the few statements of these tests, each once it is here whole:
//
//	repeat N M    N rows of M bytes
//	length ...    a row with the statement's length
//	load          asks for the file "Reader::f"; its OK has as many rows affected as the file had bytes
type sqlToy struct {
	toy
	file  bool
	bytes int
}

var driverOK = (&mysqlwire.OK{Status: mysqlwire.StatusAutocommit}).Append(nil, driverCaps)

func (s *sqlToy) Start(o *engine.Output) bool {
	o.Client.Set(append(o.Client.Grow(), message(2, driverOK)...))
	return false
}

func (s *sqlToy) FromClient(b []byte, o *engine.Output) int {
	n := 0
	for !o.CloseClient && new(frames).whole(b[n:]) {
		var payload []byte
		var number uint8
		for more := true; more; {
			h, _ := mysqlwire.ParseHeader(b[n:])
			n += mysqlwire.HeaderLen
			payload = append(payload, b[n:n+h.Length]...)
			n += h.Length
			number, more = h.Sequence+1, h.Continues()
		}
		if s.file {
			if s.bytes += len(payload); len(payload) == 0 {
				s.file = false
				ok := (&mysqlwire.OK{AffectedRows: uint64(s.bytes), Status: mysqlwire.StatusAutocommit}).Append(nil, driverCaps)
				o.Client.Set(append(o.Client.Grow(), message(number, ok)...))
			}
			continue
		}
		switch mysqlwire.Command(payload[0]) {
		case mysqlwire.ComQuery:
			s.query(number, string(payload[1:]), o)
		case mysqlwire.ComQuit:
			o.CloseClient = true
		default:
			o.Client.Set(append(o.Client.Grow(), message(number, driverOK)...))
		}
	}
	return n
}

func (s *sqlToy) query(number uint8, text string, o *engine.Output) {
	dst := o.Client.Grow()
	send := func(payload []byte) { dst, number = mysqlwire.AppendPacket(dst, number, payload) }
	var rows, size int
	value := "x"
	switch {
	case strings.HasPrefix(text, "repeat "):
		_, _ = fmt.Sscanf(text, "repeat %d %d", &rows, &size)
		value = strings.Repeat("value ", size/6+1)[:size]
	case strings.HasPrefix(text, "length "):
		rows, value = 1, fmt.Sprint(len(text))
	case text == "load":
		s.file, s.bytes = true, 0
		send([]byte("\xfbReader::f"))
	default:
		send(driverOK)
	}
	if rows > 0 {
		send([]byte{1})
		column := []byte("\x03def\x00\x00\x00\x01c\x00\x0c\x2d\x00\xff\xff\xff\x00\xfd\x00\x00\x00\x00\x00")
		send(column)
		eof := []byte{mysqlwire.HeaderEOF, 0, 0, 2, 0}
		send(eof)
		for range rows {
			send(mysqlwire.AppendLenEncString(nil, value))
		}
		send(eof)
	}
	o.Client.Set(dst)
}

// serve is a server that lets everybody in. It returns its address, and the clients that compress as they come; it ends with
// the test.
func serve(t testing.TB) (addr string, compressing *atomic.Int32) {
	compressing = new(atomic.Int32)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				if err := serveOne(c, compressing); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String(), compressing
}

func serveOne(c net.Conn, compressing *atomic.Int32) error {
	hello, at := mysqlwire.BeginPacket(nil)
	hello = (&mysqlwire.HandshakeV10{
		ServerVersion: "8.4.0-toy", ConnectionID: 1, AuthData: []byte("01234567890123456789"), Capabilities: driverCaps,
		Charset: mysqlwire.UTF8MB4General, Status: mysqlwire.StatusAutocommit, Plugin: mysqlwire.PluginNative,
	}).Append(hello)
	hello, _ = mysqlwire.EndPacket(hello, at, 0)
	if _, err := c.Write(hello); err != nil {
		return err
	}
	header := make([]byte, mysqlwire.HeaderLen)
	if _, err := io.ReadFull(c, header); err != nil {
		return err
	}
	h, _ := mysqlwire.ParseHeader(header)
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(c, payload); err != nil {
		return err
	}
	r, err := mysqlwire.ParseHandshakeResponse41(payload)
	if err != nil {
		return err
	}
	s := engine.Session(&sqlToy{})
	if kind, ok := KindOf(r.Capabilities & driverCaps); ok {
		s = New(s, kind, int(r.ZstdLevel))
		compressing.Add(1)
	}
	var o engine.Output
	var in, buf []byte
	buf = make([]byte, 64<<10)
	s.Start(&o)
	for {
		if _, err := c.Write(o.Client.Bytes()); err != nil || o.CloseClient {
			return err
		}
		if !o.More {
			n, err := c.Read(buf)
			if err != nil {
				return err
			}
			in = append(in, buf[:n]...)
		}
		o.Reset()
		in = in[s.FromClient(in, &o):]
	}
}

// TestGoDriver has go-sql-driver/mysql work through the compressed protocol.
func TestGoDriver(t *testing.T) {
	addr, compressing := serve(t)
	file := bytes.Repeat([]byte("a line of a file\n"), 100_000)
	mysql.RegisterReaderHandler("f", func() io.Reader { return bytes.NewReader(file) })
	defer mysql.DeregisterReaderHandler("f")
	for _, params := range []string{"", "&compress=true"} {
		cfg, err := mysql.ParseDSN("u@tcp(" + addr + ")/?maxAllowedPacket=67108864" + params)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Logger = &mysql.NopLogger{} // it minds the plain packets' numbers, of which servers themselves make nothing
		connector, err := mysql.NewConnector(cfg)
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(connector)
		defer db.Close()
		ctx := context.Background()
		c, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct{ rows, size int }{{1, 1}, {1, 60}, {300, 10}, {1000, 500}, {3, 300_000}, {2, 2 << 20}, {1, 17 << 20}, {2, 3}} {
			rows, err := c.QueryContext(ctx, fmt.Sprintf("repeat %d %d", tt.rows, tt.size))
			if err != nil {
				t.Fatalf("%+v: %v", tt, err)
			}
			n := 0
			for rows.Next() {
				var value string
				if err := rows.Scan(&value); err != nil || len(value) != tt.size {
					t.Fatalf("%+v: row %d: %d bytes, %v", tt, n, len(value), err)
				}
				n++
			}
			if err := rows.Err(); err != nil || n != tt.rows {
				t.Fatalf("%+v: %d rows, %v", tt, n, err)
			}
		}
		for _, n := range []int{10, 200, 100_000, 17 << 20} {
			statement := "length " + strings.Repeat("of a statement ", n/15+1)[:n]
			var got int
			if err := c.QueryRowContext(ctx, statement).Scan(&got); err != nil || got != len(statement) {
				t.Fatalf("a statement of %d bytes: %d, %v", len(statement), got, err)
			}
		}
		res, err := c.ExecContext(ctx, "load")
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := res.RowsAffected(); n != int64(len(file)) {
			t.Errorf("a file of %d bytes: %d", len(file), n)
		}
		if err := c.PingContext(ctx); err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := compressing.Load(); n != 1 {
		t.Errorf("%d clients have compressed", n)
	}
}
