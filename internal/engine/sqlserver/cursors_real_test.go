package sqlserver_test

import (
	"encoding/binary"
	"net"
	"net/url"
	"os"
	"strconv"
	"testing"

	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit"
	"forebay/internal/wire/tds"
)

// TestRealCursorFetch fetches from a cursor as drivers do (JDBC, FreeTDS), without its columns, straight from a server and through
// Forebay. It runs where FOREBAY_TEST_SQLSERVER_DSN names a server, as the tests of test/e2e/sqlserver do.
func TestRealCursorFetch(t *testing.T) {
	t.Parallel()
	const env = "FOREBAY_TEST_SQLSERVER_DSN"
	u, err := url.Parse(os.Getenv(env))
	if err != nil || u.User == nil {
		t.Skip(env + " names no server (sqlserver://user:password@host:port?database=...)") // not err: it has the password
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(env + " names no port")
	}
	user := u.User.Username()
	password, _ := u.User.Password()
	f := testkit.StartForebaySQLServer(t, u.Hostname(), port, testkit.ForebayOptions{Users: map[string]string{user: password}})
	for _, at := range []struct {
		name string
		host string
		port int
	}{{"direct", u.Hostname(), port}, {"through", f.Host, f.Port}} {
		t.Run(at.name, func(t *testing.T) {
			s, err := login.Dial(t.Context(), nil, login.DialOptions{
				Address: net.JoinHostPort(at.host, strconv.Itoa(at.port)), TLSMode: resource.TLSDisable,
				Credentials: login.NewCredentials(user, secret.Password(password)), Database: u.Query().Get("database"), ODBC: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			c := &cursorClient{t: t, s: s}
			c.call(2, 0, []byte{0, 1, 0x26, 4, 0}, text("SELECT 7 AS a, N'seven' AS b UNION ALL SELECT 8, NULL ORDER BY a"), intOut(8), intOut(1), intOut(0))
			if c.handle == 0 || len(c.opened) == 0 {
				t.Fatalf("opening a cursor is answered with handle %d and %d columns", c.handle, len(c.opened))
			}
			for range 3 {
				c.call(7, 2, intIn(c.handle), intIn(2), intIn(0), intIn(1))
			}
			c.call(9, 0, intIn(c.handle))
			if c.rows != 2 || len(c.errs) > 0 {
				t.Errorf("%d rows, want 2; errors %v", c.rows, c.errs)
			}
		})
	}
}

// cursorClient is a client of raw requests.
type cursorClient struct {
	t      *testing.T
	s      *login.Server
	opened tds.Columns
	handle int
	rows   int
	errs   []int32
}

func intIn(n int) []byte {
	return binary.LittleEndian.AppendUint32([]byte{0, 0, 0x26, 4, 4}, uint32(n))
}

func intOut(n int) []byte {
	return binary.LittleEndian.AppendUint32([]byte{0, 1, 0x26, 4, 4}, uint32(n))
}

func text(s string) []byte {
	b := []byte{0, 0, 0xE7, 0x40, 0x1F, 9, 4, 0xD0, 0, 0x34}
	return tds.AppendText(binary.LittleEndian.AppendUint16(b, uint16(2*len(s))), s)
}

// call calls a numbered procedure with options and parameters, and reads the answer.
func (c *cursorClient) call(id, options byte, params ...[]byte) {
	c.t.Helper()
	b := append(tds.AppendAllHeaders(nil, c.s.Version, [8]byte{}), 0xFF, 0xFF, id, 0, options, 0)
	for _, p := range params {
		b = append(b, p...)
	}
	if _, err := c.s.Conn.Write(tds.AppendMessage(nil, tds.PacketRPC, 0, c.s.PacketSize, 0, b)); err != nil {
		c.t.Fatal(err)
	}
	scan := &tds.Scanner{Version: c.s.Version, Features: c.s.Features, Capture: true, Known: c.opened}
	for last := false; !last; {
		head := make([]byte, tds.HeaderSize)
		c.read(head)
		h, err := tds.ParseHeader(head)
		if err != nil {
			c.t.Fatal(err)
		}
		last = h.Status&tds.StatusEOM != 0
		data := make([]byte, h.Length-tds.HeaderSize)
		for c.read(data); len(data) > 0; {
			n, ev, err := scan.Scan(data)
			if err != nil {
				c.t.Fatalf("%v at %x", err, data)
			}
			data = data[n:]
			switch ev {
			case tds.EventColumns:
				if id == 2 {
					c.opened = scan.Columns()
				} else if len(scan.Columns()) != len(c.opened) {
					c.t.Errorf("rows of %d columns, of a cursor that was opened with %d", len(scan.Columns()), len(c.opened))
				}
			case tds.EventReturnValue:
				if id == 2 && c.handle == 0 {
					c.handle = int(scan.Return.Value)
				}
			case tds.EventRow:
				c.rows++
				if want := []string{"\x07\x00\x00\x00 s\x00e\x00v\x00e\x00n\x00", "\x08\x00\x00\x00 "}; c.rows > 2 || string(scan.Cells[0])+" "+string(scan.Cells[1]) != want[c.rows-1] {
					c.t.Errorf("row %d is %q", c.rows, scan.Cells)
				}
			case tds.EventError:
				c.errs = append(c.errs, scan.Message.Number)
			}
		}
	}
	if err := scan.End(); err != nil {
		c.t.Error(err)
	}
}

func (c *cursorClient) read(b []byte) {
	c.t.Helper()
	for at := 0; at < len(b); {
		n, err := c.s.Conn.Read(b[at:])
		if err != nil {
			c.t.Fatal(err)
		}
		at += n
	}
}
