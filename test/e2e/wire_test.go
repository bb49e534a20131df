package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// wire is a client that sends what messages it likes and notes what comes back.
type wire struct {
	t     *testing.T
	front *pgproto3.Frontend
	log   []string
	conn  net.Conn
}

// wire connects a client of single messages.
func (w *world) wire(params ...string) *wire {
	w.t.Helper()
	c := w.open(params...)
	h, err := c.Hijack()
	if err != nil {
		w.t.Fatal(err)
	}
	_ = h.Conn.SetDeadline(time.Now().Add(watchdog))
	r := &wire{t: w.t, front: h.Frontend, conn: h.Conn}
	w.t.Cleanup(r.close)
	return r
}

func (c *wire) close() { _ = c.conn.Close() }

// send sends messages in one go.
func (c *wire) send(ms ...pgproto3.FrontendMessage) {
	c.t.Helper()
	for _, m := range ms {
		c.front.Send(m)
	}
	if err := c.front.Flush(); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// until notes messages up to the n-th that is of the kind of last.
func (c *wire) until(n int, last pgproto3.BackendMessage) {
	c.t.Helper()
	for n > 0 {
		m, err := c.front.Receive()
		if err != nil {
			c.log = append(c.log, "closed")
			return
		}
		c.log = append(c.log, describe(m))
		if fmt.Sprintf("%T", m) == fmt.Sprintf("%T", last) {
			n--
		}
	}
}

// ready notes messages up to the n-th ReadyForQuery.
func (c *wire) ready(n int) {
	c.t.Helper()
	c.until(n, &pgproto3.ReadyForQuery{})
}

// oids differ between databases.
var oids = regexp.MustCompile(`oid \d+`)

// describe is a line about a message.
func describe(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.ErrorResponse:
		return fmt.Sprintf("ERROR %s %s: %s | %s | %s | %d", m.Severity, m.Code, oids.ReplaceAllString(m.Message, "oid N"), m.Detail, m.Hint, m.Position)
	case *pgproto3.NoticeResponse:
		return fmt.Sprintf("NOTICE %s %s: %s", m.Severity, m.Code, m.Message)
	case *pgproto3.DataRow:
		var cols []string
		for _, v := range m.Values {
			cols = append(cols, string(v))
		}
		return "row " + strings.Join(cols, ",")
	case *pgproto3.RowDescription:
		var cols []string
		for _, f := range m.Fields {
			cols = append(cols, fmt.Sprintf("%s:%d", f.Name, f.DataTypeOID))
		}
		return "columns " + strings.Join(cols, ",")
	case *pgproto3.CommandComplete:
		return "complete " + string(m.CommandTag)
	case *pgproto3.ReadyForQuery:
		return "ready " + string(m.TxStatus)
	case *pgproto3.NotificationResponse:
		return "notification " + m.Channel + " " + m.Payload
	case *pgproto3.ParameterStatus:
		return "parameter " + m.Name + "=" + m.Value
	case *pgproto3.CopyData:
		return "copy " + string(m.Data)
	case *pgproto3.FunctionCallResponse:
		return fmt.Sprintf("function % x", m.Result)
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
}

// Short names for the messages of the scripts.
func query(s string) pgproto3.FrontendMessage       { return &pgproto3.Query{String: s} }
func parse(name, s string) pgproto3.FrontendMessage { return &pgproto3.Parse{Name: name, Query: s} }
func execute(portal string, max uint32) pgproto3.FrontendMessage {
	return &pgproto3.Execute{Portal: portal, MaxRows: max}
}

func bind(portal, name string, args ...string) pgproto3.FrontendMessage {
	m := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: name}
	for _, a := range args {
		m.Parameters = append(m.Parameters, []byte(a))
	}
	return m
}

func describeS(name string) pgproto3.FrontendMessage {
	return &pgproto3.Describe{ObjectType: 'S', Name: name}
}

func describeP(name string) pgproto3.FrontendMessage {
	return &pgproto3.Describe{ObjectType: 'P', Name: name}
}

func closeS(name string) pgproto3.FrontendMessage {
	return &pgproto3.Close{ObjectType: 'S', Name: name}
}

func closeP(name string) pgproto3.FrontendMessage {
	return &pgproto3.Close{ObjectType: 'P', Name: name}
}
func copyData(s string) pgproto3.FrontendMessage { return &pgproto3.CopyData{Data: []byte(s)} }

var (
	syncNow  = &pgproto3.Sync{}
	flushNow = &pgproto3.Flush{}
	copyDone = &pgproto3.CopyDone{}
	copyFail = &pgproto3.CopyFail{Message: "no more"}
)

// TestWire compares, message by message, what a client receives through Forebay with what the server itself sends.
func TestWire(t *testing.T) {
	t.Parallel()
	type script struct {
		name string
		run  func(c *wire)
	}
	all := []script{
		{"several statements in a query", func(c *wire) {
			c.send(query("SELECT 1; SELECT 2; ; SELECT 3"))
			c.ready(1)
			c.send(query(""))
			c.ready(1)
			c.send(query("SELECT 1; SELECT 1/0; SELECT 2"))
			c.ready(1)
		}},
		{"notice", func(c *wire) {
			c.send(query("DO $$BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'again'; END$$"))
			c.ready(1)
			c.send(query("COMMIT"))
			c.ready(1)
		}},
		{"notification while pinned and idle", func(c *wire) {
			c.send(query("LISTEN ch"))
			c.ready(1)
			c.send(query("NOTIFY ch, 'a'"))
			c.ready(1)
			c.send(query("UNLISTEN *"), query("NOTIFY ch, 'b'"))
			c.ready(2)
		}},
		{"pipelined queries", func(c *wire) {
			c.send(query("SELECT 1"), query("BEGIN"), query("SELECT 1/0"), query("SELECT 2"), query("ROLLBACK"), query("SELECT 3"))
			c.ready(6)
		}},
		{"pipelined syncs", func(c *wire) {
			c.send(parse("", "SELECT $1::int"), bind("", "", "1"), execute("", 0), syncNow,
				parse("", "SELECT $1::int"), bind("", "", "x"), execute("", 0), parse("a", "SELECT 1"), syncNow,
				bind("", "a"), execute("", 0), syncNow, syncNow,
				parse("a", "SELECT 'a'"), bind("", "a"), describeP(""), execute("", 0), syncNow)
			c.ready(5)
		}},
		{"flush", func(c *wire) {
			c.send(parse("f", "SELECT $1::text"), flushNow)
			c.until(1, &pgproto3.ParseComplete{})
			c.send(describeS("f"), flushNow)
			c.until(1, &pgproto3.RowDescription{})
			c.send(bind("", "f", "x"), execute("", 0), flushNow)
			c.until(1, &pgproto3.CommandComplete{})
			c.send(closeS("f"), flushNow)
			c.until(1, &pgproto3.CloseComplete{})
			c.send(syncNow)
			c.ready(1)
			c.send(parse("f", "SELECT 7"), flushNow)
			c.until(1, &pgproto3.ParseComplete{})
			c.send(syncNow)
			c.ready(1)
			c.send(bind("", "f"), execute("", 0), syncNow)
			c.ready(1)
		}},
		{"portals with row limits", func(c *wire) {
			c.send(query("BEGIN"))
			c.ready(1)
			c.send(parse("", "SELECT generate_series(1, 5)"), bind("p", ""), bind("q", ""), describeP("p"), execute("p", 2), execute("q", 1), execute("p", 2), syncNow)
			c.ready(1)
			c.send(execute("p", 2), execute("q", 0), closeP("p"), execute("p", 1), execute("q", 0), syncNow)
			c.ready(1)
			c.send(query("ROLLBACK"))
			c.ready(1)
			c.send(parse("", "SELECT generate_series(1, 5)"), bind("", ""), execute("", 2), execute("", 2), syncNow, execute("", 2), syncNow)
			c.ready(2)
		}},
		{"duplicate and unknown statement names", func(c *wire) {
			c.send(parse("d", "SELECT 1"), syncNow)
			c.ready(1)
			c.send(parse("d", "SELECT 2"), syncNow)
			c.ready(1)
			c.send(parse("d", "SELEKT"), bind("", "d"), execute("", 0), syncNow)
			c.ready(1)
			c.send(bind("", "d"), execute("", 0), syncNow, closeS("d"), closeS("never"), syncNow)
			c.ready(2)
			c.send(bind("", "d"), execute("", 0), syncNow, describeS("d"), syncNow, execute("never", 0), syncNow, describeP("never"), syncNow)
			c.ready(4)
			c.send(query("EXECUTE nothing"), query("DEALLOCATE nothing"))
			c.ready(2)
		}},
		{"unnamed statement", func(c *wire) {
			c.send(bind("", ""), syncNow)
			c.ready(1)
			c.send(parse("", "SELECT 1"), syncNow)
			c.ready(1)
			c.send(bind("", ""), execute("", 0), syncNow, query("SELECT 2"))
			c.ready(2)
			c.send(bind("", ""), syncNow)
			c.ready(1)
			c.send(parse("", "SELECT 1"), closeS(""), bind("", ""), syncNow)
			c.ready(1)
			c.send(parse("", "SELECT 3"), syncNow, parse("", "SELEKT"), syncNow)
			c.ready(2)
			c.send(bind("", ""), execute("", 0), syncNow)
			c.ready(1)
		}},
		{"protocol-level and SQL-level names", func(c *wire) {
			c.send(parse("m", "SELECT 'm'::text"), syncNow, query("EXECUTE m"), query("DEALLOCATE m"), bind("", "m"), syncNow)
			c.ready(4)
			c.send(query("PREPARE s(int) AS SELECT $1 + 1"))
			c.ready(1)
			c.send(bind("", "s", "41"), describeP(""), execute("", 0), syncNow, describeS("s"), syncNow)
			c.ready(2)
			c.send(parse("x", "EXECUTE s(1)"), describeS("x"), bind("", "x"), execute("", 0), syncNow)
			c.ready(1)
			c.send(parse("s", "SELECT 1"), syncNow)
			c.ready(1)
			c.send(closeS("s"), syncNow, query("EXECUTE s(2)"))
			c.ready(2)
			c.send(parse("k", "SELECT 5"), syncNow, query("DEALLOCATE ALL"), bind("", "k"), syncNow)
			c.ready(3)
			c.send(query("BEGIN"), query("SELECT 1/0"), query("DEALLOCATE ALL"), query("ROLLBACK"))
			c.ready(4)
		}},
		{"protocol-level statements that SQL names", func(c *wire) {
			c.send(parse("a", "SELECT 'a'::text"), parse("b", "SELECT 'b'::text"), parse("c", "SELECT 'c'::text"), syncNow)
			c.ready(1)
			c.send(query("EXECUTE a; DEALLOCATE a"))
			c.ready(1)
			c.send(parse("d", "DEALLOCATE b"), describeS("d"), syncNow)
			c.ready(1)
			c.send(bind("", "b"), execute("", 0), syncNow)
			c.ready(1)
			c.send(bind("", "d"), execute("", 0), syncNow, bind("", "b"), syncNow)
			c.ready(2)
			c.send(query("BEGIN"), query("SELECT 1/0"), query("DEALLOCATE c"), query("EXECUTE c"))
			c.ready(4)
			c.send(query("ROLLBACK"), query("EXECUTE c"), query("PREPARE c AS SELECT 4"))
			c.ready(3)
			c.send(query("BEGIN"), query("EXECUTE c"))
			c.ready(2)
			c.send(closeS("c"), syncNow, query("PREPARE c AS SELECT 'new'::text"), query("EXECUTE c"), query("COMMIT"))
			c.ready(4)
			c.send(parse("x", "EXECUTE c"), syncNow)
			c.ready(1)
			c.send(describeS("x"), syncNow)
			c.ready(1)
			c.send(bind("", "x"), execute("", 0), syncNow)
			c.ready(1)
		}},
		{"failed DISCARD ALL keeps statements", func(c *wire) {
			c.send(parse("k", "SELECT 5"), syncNow, query("BEGIN"), query("DISCARD ALL"), query("ROLLBACK"))
			c.ready(4)
			c.send(bind("", "k"), execute("", 0), syncNow)
			c.ready(1)
			c.send(query("DISCARD ALL"), bind("", "k"), syncNow)
			c.ready(2)
		}},
		{"errors in a failed transaction", func(c *wire) {
			c.send(query("BEGIN"), query("SELECT 1/0"))
			c.ready(2)
			c.send(parse("z", "SELECT 1"), syncNow, bind("", "z"), syncNow, query("SELECT 1"), parse("", "ROLLBACK"), bind("", ""), execute("", 0), syncNow)
			c.ready(4)
			c.send(bind("", "z"), syncNow, query("SAVEPOINT a"), query("SELECT 1"))
			c.ready(3)
		}},
		{"error after parse keeps the statement", func(c *wire) {
			c.send(parse("e", "SELECT 1/$1::int"), bind("", "e", "0"), execute("", 0), parse("g", "SELECT 1"), syncNow)
			c.ready(1)
			c.send(bind("", "e", "1"), execute("", 0), syncNow, bind("", "g"), syncNow)
			c.ready(2)
			c.send(closeS("e"), bind("", "none"), closeS("e"), syncNow, bind("", "e", "1"), syncNow)
			c.ready(2)
		}},
		{"copy in", func(c *wire) {
			c.send(query("CREATE TEMP TABLE c (i int)"))
			c.ready(1)
			c.send(query("COPY c FROM STDIN"))
			c.until(1, &pgproto3.CopyInResponse{})
			c.send(copyData("1\n2\n"), copyData("3\n"), copyDone)
			c.ready(1)
			c.send(query("COPY c FROM STDIN"), copyData("4\n"), copyDone, query("SELECT count(*) FROM c"))
			c.ready(2)
			c.send(query("COPY c FROM STDIN"), copyData("5\n"), copyFail, query("SELECT count(*) FROM c"))
			c.ready(2)
			c.send(query("COPY c FROM STDIN"), copyData("x\n"), copyData("7\n"), copyDone, query("SELECT count(*) FROM c"))
			c.ready(2)
			c.send(query("COPY nowhere FROM STDIN"), copyData("x\n"), copyDone, query("SELECT count(*) FROM c"))
			c.ready(2)
			c.send(query("COPY c FROM STDIN; SELECT 8"), copyData("8\n"), copyDone)
			c.ready(1)
			c.send(query("COPY c FROM STDIN"), copyData("9\n"), syncNow, flushNow, copyData("10\n"), copyDone, query("SELECT count(*) FROM c"))
			c.ready(2)
		}},
		{"copy in, extended", func(c *wire) {
			c.send(query("CREATE TEMP TABLE c (i int)"))
			c.ready(1)
			c.send(parse("", "COPY c FROM STDIN"), bind("", ""), execute("", 0), syncNow)
			c.until(1, &pgproto3.CopyInResponse{})
			c.send(copyData("1\n"), copyDone, syncNow)
			c.ready(1)
			c.send(parse("", "COPY c FROM STDIN"), bind("", ""), execute("", 0), syncNow, copyData("2\n"), copyDone, syncNow, query("SELECT count(*) FROM c"))
			c.ready(2)
			c.send(parse("", "COPY c FROM STDIN"), bind("", ""), execute("", 0), flushNow)
			c.until(1, &pgproto3.CopyInResponse{})
			c.send(copyData("x\n"), copyDone, syncNow)
			c.ready(1)
			c.send(parse("", "COPY c FROM STDIN"), bind("", ""), execute("", 0), flushNow)
			c.until(1, &pgproto3.CopyInResponse{})
			c.send(copyData("3\n"), copyFail, syncNow)
			c.ready(1)
			c.send(query("SELECT count(*) FROM c"))
			c.ready(1)
		}},
		{"copy out", func(c *wire) {
			c.send(query("COPY (SELECT generate_series(1, 3)) TO STDOUT"), query("COPY (SELECT 1/0) TO STDOUT"))
			c.ready(2)
			c.send(parse("", "COPY (SELECT generate_series(1, 3)) TO STDOUT"), bind("", ""), execute("", 0), syncNow)
			c.ready(1)
			c.send(query("COPY (SELECT 1/(3 - g) FROM generate_series(1, 5) g) TO STDOUT"))
			c.ready(1)
		}},
		{"function call", func(c *wire) {
			arg := make([]byte, 4)
			binary.BigEndian.PutUint32(arg, 42)
			c.send(&pgproto3.FunctionCall{Function: 77, ArgFormatCodes: []uint16{1}, Arguments: [][]byte{arg}, ResultFormatCode: 1}) // int4->char
			c.ready(1)
			c.send(&pgproto3.FunctionCall{Function: 1, Arguments: nil})
			c.ready(1)
			c.send(query("BEGIN"), &pgproto3.FunctionCall{Function: 1}, query("SELECT 1"), query("ROLLBACK"))
			c.ready(4)
		}},
		{"parameter status", func(c *wire) {
			c.send(query("SET application_name = 'x'"), query("SET TimeZone = 'Asia/Tokyo'"), query("RESET ALL"), query("BEGIN"), query("SET DateStyle = German"), query("ROLLBACK"))
			c.ready(6)
		}},
		{"set in a pipeline", func(c *wire) {
			c.send(parse("", "SET work_mem = '7MB'"), bind("", ""), execute("", 0), parse("", "SELECT 1/0"), bind("", ""), execute("", 0), syncNow,
				query("SHOW work_mem"), parse("", "SET work_mem = '8MB'"), bind("", ""), execute("", 0), syncNow, query("SHOW work_mem"))
			c.ready(4)
			c.send(query("SHOW work_mem"))
			c.ready(1)
		}},
		{"malformed", func(c *wire) {
			c.send(&pgproto3.Bind{PreparedStatement: "", ParameterFormatCodes: []int16{1, 1}, Parameters: [][]byte{nil}}, syncNow)
			c.ready(1)
			c.send(parse("", "SELECT $1::int"), bind("", ""), syncNow)
			c.ready(1)
		}},
	}
	db := newWorld(t, options{}).db
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			straight := (&world{t: t, db: db}).wire()
			s.run(straight)
			through := newWorld(t, options{pool: 2, db: &db}).wire()
			s.run(through)
			if diff := cmp.Diff(straight.log, through.log); diff != "" {
				t.Errorf("direct (-) and through Forebay (+):\n%s", diff)
			}
		})
	}
}
