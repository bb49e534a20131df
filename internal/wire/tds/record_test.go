package tds

import (
	"context"
	"database/sql"
	"encoding/binary"
	"flag"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
)

var record = flag.Bool("record", false, "record the conversations in "+conversationDir+" anew, with the server that "+recordDSN+" names")

const recordDSN = "FOREBAY_TEST_SQLSERVER_DSN"

// recorder relays one connection and notes its packets.
type recorder struct {
	mu      sync.Mutex
	packets []packet
}

// relay notes the packets that come from one side and passes them on to the other.
func (r *recorder) relay(from, to net.Conn, fromClient bool) {
	for {
		b := make([]byte, HeaderSize)
		if _, err := io.ReadFull(from, b); err != nil {
			break
		}
		h, err := ParseHeader(b)
		if err != nil {
			break
		}
		b = append(b, make([]byte, h.Length-HeaderSize)...)
		if _, err := io.ReadFull(from, b[HeaderSize:]); err != nil {
			break
		}
		r.mu.Lock()
		r.packets = append(r.packets, packet{fromClient, b})
		r.mu.Unlock()
		if _, err := to.Write(b); err != nil {
			break
		}
	}
	_ = from.Close()
	_ = to.Close()
}

// recordOne has talk speak with the server over a single connection, and returns the packets.
func recordOne(t *testing.T, dsn *url.URL, talk func(ctx context.Context, relay *url.URL)) []packet {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := new(recorder)
	var wait sync.WaitGroup
	wait.Go(func() {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", dsn.Host)
		if err != nil {
			_ = client.Close()
			return
		}
		wait.Go(func() { r.relay(client, server, true) })
		r.relay(server, client, false)
	})
	through := *dsn
	through.Host = l.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	talk(ctx, &through)
	_ = l.Close()
	wait.Wait()
	return r.packets
}

// behindLogin leaves the log-in out.
func behindLogin(packets []packet) []packet {
	login := false
	for i, p := range packets {
		if login = login || PacketType(p.b[0]) == PacketLogin7; login && !p.fromClient && PacketStatus(p.b[1])&StatusEOM != 0 {
			return packets[i+1:]
		}
	}
	return nil
}

// scrub puts x in place of what a LOGIN7 has of the client, the user and the password.
func scrub(b []byte) {
	if PacketType(b[0]) != PacketLogin7 {
		return
	}
	data := b[HeaderSize:]
	clear(data[16:20]) // of the client: its process
	clear(data[72:78]) // its network card
	for i, x := range map[int][]byte{36: {'x', 0}, 40: {'x', 0}, 44: obscure("x")} {
		at, n := int(binary.LittleEndian.Uint16(data[i:])), int(binary.LittleEndian.Uint16(data[i+2:]))
		for j := range n {
			copy(data[at+2*j:], x)
		}
	}
}

// rawConn is a client of our own making.
type rawConn struct {
	t testing.TB
	c net.Conn
}

func rawLogin(t testing.TB, u *url.URL) *rawConn {
	t.Helper()
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r := &rawConn{t, c}
	password, _ := u.User.Password()
	l := &Login7{
		Version: V74, PacketSize: DefaultPacketSize, HostName: "client", UserName: u.User.Username(), Password: password,
		AppName: "record", Library: "record", Database: u.Query().Get("database"), Flags1: 0xE0, Flags2: 0x03,
	}
	b, err := l.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.send(PacketPreLogin, 0, []byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, 0, 0, 0, 0, 0, 0, 2}) // encryption: not supported
	r.reply()
	r.send(PacketLogin7, 0, b)
	r.reply()
	return r
}

func (r *rawConn) send(kind PacketType, status PacketStatus, data []byte) {
	if _, err := r.c.Write(AppendMessage(nil, kind, status, DefaultPacketSize, 0, data)); err != nil {
		r.t.Error(err)
	}
}

// reply reads a message and returns its data.
func (r *rawConn) reply() (data []byte) {
	for {
		b := make([]byte, HeaderSize)
		if _, err := io.ReadFull(r.c, b); err != nil {
			r.t.Error(err)
			return data
		}
		h, err := ParseHeader(b)
		if err != nil {
			r.t.Error(err)
			return data
		}
		p := make([]byte, h.Length-HeaderSize)
		if _, err := io.ReadFull(r.c, p); err != nil {
			r.t.Error(err)
			return data
		}
		if data = append(data, p...); h.Status&StatusEOM != 0 {
			return data
		}
	}
}

// call sends a request outside a transaction, and returns the first integer that comes back as a value.
func (r *rawConn) call(kind PacketType, status PacketStatus, data []byte) int {
	r.send(kind, status, append(AppendAllHeaders(nil, V74, [8]byte{}), data...))
	reply, s, value := r.reply(), &Scanner{Version: V74}, 0
	for len(reply) > 0 {
		n, ev, err := s.Scan(reply)
		if err != nil {
			r.t.Log(err) // TestConversations judges it
			return 0
		}
		if reply = reply[n:]; ev == EventReturnValue && s.Return.Integer && value == 0 {
			value = int(s.Return.Value)
		}
	}
	return value
}

func (r *rawConn) batch(status PacketStatus, text string) {
	r.call(PacketSQLBatch, status, AppendText(nil, text))
}

func intParam(t *tokens, output byte, v int) *tokens {
	return t.name("").u8(output).u8(0x26, 4).u8(4).u32(v)
}

func nullParam(t *tokens) *tokens { return t.name("").u8(1).u8(0x26, 4).u8(0) }

// TestRecord records the conversations.
func TestRecord(t *testing.T) {
	if !*record {
		t.Skip("records with -record alone, from the server that " + recordDSN + " names")
	}
	u, err := url.Parse(os.Getenv(recordDSN))
	if err != nil || u.User == nil || u.Port() == "" {
		t.Fatal(recordDSN + " is no URL of the form sqlserver://user:password@host:port?database=...&encrypt=disable") // not err: it has the password
	}
	version := ""
	driver := func(talk func(ctx context.Context, db *sql.Conn, pool *sql.DB)) func(context.Context, *url.URL) {
		return func(ctx context.Context, relay *url.URL) {
			pool, err := sql.Open("sqlserver", relay.String())
			if err != nil {
				t.Error("the URL is not go-mssqldb's") // not err: it could quote the password
				return
			}
			defer func() { _ = pool.Close() }()
			pool.SetMaxOpenConns(1)
			c, err := pool.Conn(ctx)
			if err != nil {
				t.Error("no connection to the server")
				return
			}
			defer func() { _ = c.Close() }()
			talk(ctx, c, pool)
		}
	}
	raw := func(talk func(r *rawConn)) func(context.Context, *url.URL) {
		return func(_ context.Context, relay *url.URL) {
			r := rawLogin(t, relay)
			defer func() { _ = r.c.Close() }()
			talk(r)
		}
	}
	recordOne(t, u, driver(func(ctx context.Context, c *sql.Conn, _ *sql.DB) {
		if err := c.QueryRowContext(ctx, "SELECT @@VERSION").Scan(&version); err != nil {
			t.Error(err)
		}
	}))
	version, _, _ = strings.Cut(version, "\n")
	for _, k := range []struct {
		name, client string
		talk         func(context.Context, *url.URL)
	}{
		{"login", "go-mssqldb", driver(func(context.Context, *sql.Conn, *sql.DB) {})},
		{"batch_types", "raw", raw(func(r *rawConn) {
			const row = "CAST(%1 AS int), CAST(%1 AS tinyint), CAST(%1 AS smallint), CAST(%1 AS bigint), CAST(%1 AS bit), CAST(%1 AS float), CAST(%1 AS real), " +
				"CAST(%1 AS decimal(18,4)), CAST(%1 AS numeric(38,0)), CAST(%1 AS money), CAST(%1 AS smallmoney)"
			for _, v := range []string{"1", "NULL"} {
				r.batch(0, "SELECT "+strings.ReplaceAll(row, "%1", v))
			}
			for _, v := range []string{"'2024-02-29 12:34:56'", "NULL"} {
				r.batch(0, strings.ReplaceAll("SELECT CAST(%1 AS date), CAST(%1 AS time), CAST(%1 AS datetime), CAST(%1 AS smalldatetime), CAST(%1 AS datetime2), CAST(%1 AS datetimeoffset)", "%1", v))
			}
			for _, v := range []string{"'abc'", "NULL"} {
				r.batch(0, strings.ReplaceAll("SELECT CAST(%1 AS char(5)), CAST(%1 AS varchar(9)), CAST(%1 AS nchar(5)), CAST(%1 AS nvarchar(9)), CAST(CAST(%1 AS varchar(9)) AS binary(4)), CAST(CAST(%1 AS varchar(9)) AS varbinary(9))", "%1", v))
				r.batch(0, strings.ReplaceAll("SELECT CAST(%1 AS text), CAST(%1 AS ntext), CAST(CAST(%1 AS varchar(9)) AS image)", "%1", v))
				r.batch(0, strings.ReplaceAll("SELECT CAST(%1 AS xml), CAST(%1 AS sql_variant)", "%1", v))
			}
			r.batch(0, "SELECT CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier), CAST(NULL AS uniqueidentifier)")
		})},
		{"batch_plp", "raw", raw(func(r *rawConn) {
			r.batch(0, "SELECT CAST(REPLICATE('a', 5000) AS varchar(max)), CAST(N'' AS nvarchar(max)), CAST(NULL AS varbinary(max)), CAST(0x0102 AS varbinary(max)) UNION ALL SELECT NULL, N'x', 0x, NULL")
		})},
		{"batch_results", "raw", raw(func(r *rawConn) {
			r.batch(0, "CREATE TABLE #r (a int, b varchar(10)); INSERT #r VALUES (1, 'x'), (2, NULL); SELECT * FROM #r; UPDATE #r SET a = 3; SELECT a FROM #r WHERE a = 0; DELETE #r; DROP TABLE #r")
			r.batch(0, "SET NOCOUNT ON; SELECT 1 AS a; SELECT 2 AS b")
		})},
		{"batch_messages", "raw", raw(func(r *rawConn) {
			r.batch(0, "PRINT 'hello'; RAISERROR('low', 10, 1); RAISERROR('high', 16, 2); SELECT 1")
			r.batch(0, "SELECT * FROM no_such_table")
			r.batch(0, "SELECT 1/0")
			r.batch(0, "SELEC 1")
		})},
		{"batch_session", "raw", raw(func(r *rawConn) {
			r.batch(0, "USE tempdb")
			r.batch(0, "SET LANGUAGE us_english")
			r.batch(0, "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; SET DATEFORMAT dmy; SET LOCK_TIMEOUT 5")
			r.batch(0, "SET IMPLICIT_TRANSACTIONS ON")
			r.batch(0, "CREATE TABLE #i (a int)")
			r.batch(0, "SELECT @@TRANCOUNT; COMMIT; SET IMPLICIT_TRANSACTIONS OFF")
			r.batch(0, "BEGIN TRANSACTION; SAVE TRANSACTION s; ROLLBACK TRANSACTION s; COMMIT")
		})},
		{"rpc_executesql", "go-mssqldb", driver(func(ctx context.Context, c *sql.Conn, _ *sql.DB) {
			out, text := 0, strings.Repeat("y", 5000)
			if _, err := c.ExecContext(ctx, "SELECT @out = @a + 1; SELECT @long", sql.Named("a", 41), sql.Named("out", sql.Out{Dest: &out}), sql.Named("long", text)); err != nil || out != 42 {
				t.Error(out, err)
			}
			if _, err := c.ExecContext(ctx, "SELECT @a, @b, @c, @d, @e", sql.Named("a", []byte(nil)), sql.Named("b", 1.5), sql.Named("c", []byte{1}), sql.Named("d", time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC)), sql.Named("e", true)); err != nil {
				t.Error(err)
			}
		})},
		{"rpc_prepared", "raw", raw(func(r *rawConn) {
			b := nvarchar(nvarchar(nullParam(rpc(new(tokens), 11)), "", "@a int"), "", "SELECT @a AS a")
			h := r.call(PacketRPC, 0, intParam(b, 0, 1).b)
			r.call(PacketRPC, 0, intParam(intParam(rpc(new(tokens), 12), 0, h), 0, 7).b)
			r.call(PacketRPC, 0, intParam(rpc(new(tokens), 15), 0, h).b)
			h = r.call(PacketRPC, 0, nvarchar(nvarchar(nullParam(rpc(new(tokens), 13)), "", "@a int"), "", "SELECT @a AS b").name("@a").u8(0).u8(0x26, 4).u8(4).u32(5).b)
			execute := intParam(intParam(new(tokens).nameU("sp_execute").u16(0), 0, h), 0, 9) // by its name
			r.call(PacketRPC, 0, execute.b)
			r.call(PacketRPC, 0, intParam(rpc(new(tokens), 15), 0, h).b)
			r.call(PacketRPC, 0, intParam(rpc(new(tokens), 12), 0, 99999).b) // no such handle
		})},
		{"rpc_cursor", "raw", raw(func(r *rawConn) {
			b := nvarchar(nullParam(rpc(new(tokens), 2)), "", "SELECT name FROM sys.databases")
			h := r.call(PacketRPC, 0, intParam(intParam(intParam(b, 1, 8), 1, 1), 1, 0).b)
			r.call(PacketRPC, 0, intParam(intParam(intParam(intParam(rpc(new(tokens), 7), 0, h), 0, 2), 0, 0), 0, 1).b)
			r.call(PacketRPC, 0, intParam(rpc(new(tokens), 9), 0, h).b)
		})},
		{"transaction_manager", "raw", raw(func(r *rawConn) {
			for _, end := range [][]byte{{7, 0, 0, 0}, {8, 0, 0, 0}} { // COMMIT, ROLLBACK
				var x [8]byte
				request := func(data ...byte) {
					r.send(PacketTransaction, 0, append(AppendAllHeaders(nil, V74, x), data...))
					reply, s := r.reply(), &Scanner{Version: V74}
					for len(reply) > 0 {
						n, ev, err := s.Scan(reply)
						if err != nil {
							t.Error(err)
							return
						}
						if reply = reply[n:]; ev == EventEnvChange && s.Env[0] == 8 {
							copy(x[:], s.Env[2:])
						}
					}
				}
				request(5, 0, 2, 0)         // begin, READ COMMITTED
				request(9, 0, 2, 's', 0)    // save
				request(8, 0, 2, 's', 0, 0) // to there
				r.send(PacketSQLBatch, 0, append(AppendAllHeaders(nil, V74, x), AppendText(nil, "SELECT @@TRANCOUNT")...))
				r.reply()
				request(end...)
			}
		})},
		{"transactions", "go-mssqldb", driver(func(ctx context.Context, c *sql.Conn, _ *sql.DB) {
			tx, err := c.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSnapshot})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := tx.ExecContext(ctx, "SELECT 1"); err != nil {
				t.Error(err)
			}
			if err := tx.Rollback(); err != nil {
				t.Error(err)
			}
		})},
		{"attention", "raw", raw(func(r *rawConn) {
			r.send(PacketSQLBatch, 0, append(AppendAllHeaders(nil, V74, [8]byte{}), AppendText(nil, "SELECT REPLICATE('a', 6000) AS a; SELECT COUNT(*) FROM sys.all_columns a, sys.all_objects b")...))
			time.Sleep(100 * time.Millisecond)
			r.send(PacketAttention, 0, nil)
			for acknowledged, n := false, 0; !acknowledged && n < 3; n++ {
				reply, s := r.reply(), &Scanner{Version: V74}
				for len(reply) > 0 {
					n, ev, err := s.Scan(reply)
					if err != nil {
						t.Error(err)
						return
					}
					reply = reply[n:]
					acknowledged = acknowledged || ev == EventDone && s.Done.Status&DoneAttention != 0
				}
			}
			r.batch(0, "SELECT 1")
		})},
		{"bulk_load", "go-mssqldb", driver(func(ctx context.Context, c *sql.Conn, _ *sql.DB) {
			if _, err := c.ExecContext(ctx, "CREATE TABLE #b (a int, b varchar(20), c nvarchar(max))"); err != nil {
				t.Error(err)
				return
			}
			s, err := c.PrepareContext(ctx, mssql.CopyIn("#b", mssql.BulkOptions{}, "a", "b", "c"))
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 3 {
				if _, err := s.ExecContext(ctx, i, "text", nil); err != nil {
					t.Error(err)
				}
			}
			if _, err := s.ExecContext(ctx); err != nil {
				t.Error(err)
			}
			_ = s.Close()
		})},
		{"reset", "raw", raw(func(r *rawConn) {
			r.batch(0, "SET DATEFORMAT dmy; CREATE TABLE #t (a int)")
			r.batch(StatusResetConnection, "SELECT OBJECT_ID('tempdb..#t')")
			r.call(PacketRPC, StatusResetConnection, nvarchar(rpc(new(tokens), 10), "", "SELECT 3").b)
			r.batch(StatusResetConnectionSkip, "SELECT 1")
		})},
	} {
		packets := recordOne(t, u, k.talk)
		if k.name != "login" {
			packets = behindLogin(packets)
		}
		for _, p := range packets {
			scrub(p.b)
		}
		if len(packets) == 0 {
			t.Errorf("%s: nothing was recorded", k.name)
			continue
		}
		conversation{k.name, packets}.write(t, "server: "+version+"\nclient: "+k.client+"\ndate: "+time.Now().UTC().Format(time.DateOnly)+"\n")
	}
}
