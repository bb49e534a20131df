package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"forebay/internal/testkit/tdsserver"
)

// goURL is a URL for go-mssqldb, with more of what it takes.
func goURL(p place, more ...string) string {
	q := url.Values{"database": {p.database}, "certificate": {p.ca}, "hostNameInCertificate": {"localhost"}, "dial timeout": {"20"}, "disableRetry": {"true"}, "encrypt": {"false"}}
	for _, m := range more {
		k, v, _ := strings.Cut(m, "=")
		q.Set(k, v)
	}
	u := url.URL{Scheme: "sqlserver", User: url.UserPassword(p.user, p.password), Host: p.addr(), RawQuery: q.Encode()}
	return u.String()
}

// openGo opens a pool of go-mssqldb's, with more of what its URL takes.
func openGo(t *testing.T, p place, more ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlserver", goURL(p, more...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func errNumber(err error) int32 {
	var e mssql.Error
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

func TestGoEncryption(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		server  tdsserver.Encryption
		encrypt string
		whole   bool // everything is encrypted
		fails   bool
	}{
		{tdsserver.EncryptOff, "disable", false, false},
		{tdsserver.EncryptOff, "false", false, false},
		{tdsserver.EncryptOff, "true", true, false},
		{tdsserver.EncryptOff, "strict", true, false},
		{tdsserver.EncryptOn, "false", true, false},
		{tdsserver.EncryptOn, "true", true, false},
		{tdsserver.EncryptRequired, "disable", false, true},
		{tdsserver.EncryptRequired, "false", true, false},
		{tdsserver.EncryptRequired, "true", true, false},
		{tdsserver.EncryptRequired, "strict", true, false},
		{tdsserver.EncryptNotSupported, "disable", false, false},
		{tdsserver.EncryptNotSupported, "false", false, false},
		{tdsserver.EncryptNotSupported, "true", false, true},
	} {
		t.Run(fmt.Sprintf("%d/%s", c.server, c.encrypt), func(t *testing.T) {
			t.Parallel()
			places(t, tdsserver.Options{Encryption: c.server}, func(t *testing.T, p place) {
				if c.encrypt == "strict" && !p.strict {
					t.Skip("TDS 8.0 is not understood here")
				}
				db := openGo(t, p, "encrypt="+c.encrypt)
				var got string
				err := db.QueryRow("SELECT N'a' + N'b'").Scan(&got)
				if c.fails {
					if err == nil {
						t.Fatal("connected; want an error")
					}
					return
				}
				if err != nil || got != "ab" {
					t.Fatalf("got %q, %v", got, err)
				}
			})
		})
	}
}

func TestGoLogin(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{Databases: []string{"app", "other"}}, func(t *testing.T, p place) {
		other := p
		other.database = "other"
		var got string
		if err := openGo(t, other).QueryRow("SELECT DB_NAME()").Scan(&got); err != nil || got != "other" {
			t.Fatalf("database %q, %v", got, err)
		}
		none := p
		none.database = "nowhere"
		if err := openGo(t, none).Ping(); errNumber(err) != 4060 && errNumber(err) != 18456 {
			t.Errorf("a database that is not there: %v", err)
		}
		wrong := p
		wrong.password = "wrong"
		if err := openGo(t, wrong).Ping(); errNumber(err) != 18456 {
			t.Errorf("a wrong password: %v", err)
		}
	})
}

func TestGoPacketSizes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{512, 4096, 8000, 32767} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			places(t, tdsserver.Options{}, func(t *testing.T, p place) {
				db := openGo(t, p, fmt.Sprintf("packet size=%d", size), "encrypt=disable") // with packets of 512 bytes the driver cannot do TLS
				long := strings.Repeat("水x", 40_000)
				var got string
				if err := db.QueryRow("SELECT @p1", long).Scan(&got); err != nil || got != long {
					t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(long))
				}
				n := 0
				rows, err := db.Query("SELECT n FROM dbo.numbers(20000)")
				if err != nil {
					t.Fatal(err)
				}
				defer rows.Close()
				for rows.Next() {
					n++
					var i int
					if err := rows.Scan(&i); err != nil || i != n {
						t.Fatalf("row %d: %d, %v", n, i, err)
					}
				}
				if err := rows.Err(); err != nil || n != 20000 {
					t.Errorf("%d rows, %v", n, err)
				}
			})
		})
	}
}

func TestGoTypes(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		db := openGo(t, p)
		rows, err := db.Query("SELECT * FROM dbo.alltypes ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		var all []map[string]any
		for rows.Next() {
			vals := make([]any, len(names))
			to := make([]any, len(names))
			for i := range vals {
				to[i] = &vals[i]
			}
			if err := rows.Scan(to...); err != nil {
				t.Fatal(err)
			}
			m := map[string]any{}
			for i, n := range names {
				m[n] = vals[i]
			}
			all = append(all, m)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if len(all) != 3 {
			t.Fatalf("%d rows", len(all))
		}
		for n, v := range all[1] {
			if n != "id" && v != nil {
				t.Errorf("%s of the row of NULLs is %v", n, v)
			}
		}
		want := map[string]any{
			"id": int64(1), "c_bit": true, "c_tinyint": int64(255), "c_smallint": int64(-32768), "c_int": int64(2147483647),
			"c_bigint": int64(-9223372036854775808), "c_real": 1.5, "c_float": 3.141592653589793, "c_decimal": []byte("-1234567890.1234"),
			"c_numeric": []byte("123456789012345678901234567.8901234567"), "c_smallmoney": []byte("-12.3456"), "c_money": []byte("922337203685477.5807"),
			"c_smalldatetime": time.Date(2024, 2, 29, 13, 14, 0, 0, time.UTC), "c_datetime": time.Date(2024, 2, 29, 13, 14, 15, 123_000_000, time.UTC),
			"c_date": time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), "c_datetime2": time.Date(2024, 2, 29, 13, 14, 15, 123_000_000, time.UTC),
			"c_datetimeoffset":   time.Date(2024, 2, 29, 13, 14, 15, 123456700, time.FixedZone("", 5*3600+1800)),
			"c_time":             time.Date(1, 1, 1, 13, 14, 15, 123456700, time.UTC),
			"c_uniqueidentifier": []byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF},
			"c_char":             "char      ", "c_varchar": "varchar é", "c_nchar": "nchar 水   ", "c_nvarchar": "nvarchar 水𝄞",
			"c_varcharmax": strings.Repeat("forebay ", 2500), "c_nvarcharmax": strings.Repeat("forebay ", 2500) + "水",
			"c_binary": []byte{1, 2, 3, 4, 5, 6, 7, 8}, "c_varbinary": []byte{0xDE, 0xAD}, "c_varbinarymax": []byte(strings.Repeat("forebay ", 2500)),
			"c_text": "text é", "c_ntext": "ntext 水", "c_image": []byte{0xCA, 0xFE}, "c_xml": "<a>水</a>", "c_variant": int64(42),
		}
		times := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
		if diff := cmp.Diff(want, all[0], times); diff != "" {
			t.Error(diff)
		}
		if all[2]["c_variant"] != nil && all[2]["c_variant"] != "hello" {
			t.Errorf("the third row's sql_variant is %v", all[2]["c_variant"])
		}
	})
}

// TestGoParameters sends values of all kinds and has them back.
func TestGoParameters(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		db := openGo(t, p)
		at := time.Date(2024, 2, 29, 13, 14, 15, 123456700, time.FixedZone("", -3600))
		for _, v := range []any{int64(-5), true, 2.5, "text", "", "水𝄞", []byte{0, 1, 2}, []byte{}, strings.Repeat("z", 10000), at, mssql.VarChar("only ascii"), nil} {
			var got any
			if err := db.QueryRow("SELECT @p1", v).Scan(&got); err != nil {
				t.Errorf("%T %v: %v", v, v, err)
				continue
			}
			if vc, ok := v.(mssql.VarChar); ok {
				v = string(vc)
			}
			if diff := cmp.Diff(v, got, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
				t.Errorf("%T: %s", v, diff)
			}
		}
		n, s := 21, "ab"
		var rs mssql.ReturnStatus
		if _, err := db.Exec("toy_outputs", sql.Named("n", sql.Out{Dest: &n, In: true}), sql.Named("s", sql.Out{Dest: &s, In: true}), &rs); err != nil || n != 42 || s != "abab" || rs != 7 {
			t.Errorf("outputs %d, %q, %d, %v", n, s, rs, err)
		}
		type pair struct {
			N int64
			S string
		}
		var rows int
		table := mssql.TVP{TypeName: "dbo.pairs", Value: []pair{{1, "a"}, {2, "b"}, {3, "c"}}}
		if err := db.QueryRow("SELECT COUNT(*) FROM @t", sql.Named("t", table)).Scan(&rows); err != nil || rows != 3 {
			t.Errorf("%d rows of a table-valued parameter, %v", rows, err)
		}
	})
}

func TestGoPrepared(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		db := openGo(t, p)
		st, err := db.Prepare("SELECT @p1 + @p2")
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		for i := range 5 {
			var got int
			if err := st.QueryRow(i, 10).Scan(&got); err != nil || got != i+10 {
				t.Errorf("%d: %d, %v", i, got, err)
			}
		}
		c, err := db.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		text := "DECLARE @h int; EXEC sp_prepare @h OUTPUT, N'@a int', N'SELECT @a * 2'; SELECT @h"
		var h, got int
		if err := c.QueryRowContext(context.Background(), text).Scan(&h); err != nil {
			t.Fatal(err)
		}
		if err := c.QueryRowContext(context.Background(), fmt.Sprintf("EXEC sp_execute %d, 21", h)).Scan(&got); err != nil || got != 42 {
			t.Errorf("sp_execute: %d, %v", got, err)
		}
		if _, err := c.ExecContext(context.Background(), fmt.Sprintf("EXEC sp_unprepare %d", h)); err != nil {
			t.Error(err)
		}
		if _, err := c.ExecContext(context.Background(), fmt.Sprintf("EXEC sp_execute %d, 21", h)); errNumber(err) != 8179 {
			t.Errorf("a handle that is gone: %v", err)
		}
	})
}

func TestGoTransactions(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		db := openGo(t, p)
		ctx := context.Background()
		if _, err := db.Exec("CREATE TABLE dbo.t (id int IDENTITY(1,1) PRIMARY KEY, s nvarchar(20) UNIQUE)"); err != nil {
			t.Fatal(err)
		}
		count := func(want int) {
			t.Helper()
			var n int
			if err := db.QueryRow("SELECT COUNT(*) FROM dbo.t").Scan(&n); err != nil || n != want {
				t.Errorf("%d rows, %v; want %d", n, err, want)
			}
		}
		tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
		if err != nil {
			t.Fatal(err)
		}
		var level, open int
		if err := tx.QueryRow("SELECT transaction_isolation_level, open_transaction_count FROM sys.dm_exec_sessions WHERE session_id = @@SPID").Scan(&level, &open); err != nil || level != 4 || open != 1 {
			t.Errorf("level %d, %d transactions, %v", level, open, err)
		}
		res, err := tx.Exec("INSERT INTO dbo.t (s) VALUES (@p1), (@p2)", "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 2 {
			t.Errorf("%d rows affected, %v", n, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		count(0)
		if tx, err = db.Begin(); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("INSERT INTO dbo.t (s) VALUES ('c'); SAVE TRAN x; INSERT INTO dbo.t (s) VALUES ('d'); ROLLBACK TRAN x"); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("INSERT INTO dbo.t (s) VALUES ('c')"); errNumber(err) != 2627 {
			t.Errorf("a key twice: %v", err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		count(1)
		c, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{
			"BEGIN TRAN; BEGIN TRAN", "INSERT INTO dbo.t (s) VALUES ('e')", "COMMIT", "ROLLBACK",
			"SET IMPLICIT_TRANSACTIONS ON", "INSERT INTO dbo.t (s) VALUES ('f')", "IF @@TRANCOUNT > 0 ROLLBACK TRAN", "SET IMPLICIT_TRANSACTIONS OFF",
		} {
			if _, err := c.ExecContext(ctx, text); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
		_, err = c.ExecContext(ctx, "SET XACT_ABORT ON; BEGIN TRAN; INSERT INTO dbo.t (s) VALUES ('g'); SELECT 1/0; COMMIT")
		if errNumber(err) != 8134 {
			t.Errorf("XACT_ABORT: %v", err)
		}
		if err := c.QueryRowContext(ctx, "SELECT @@TRANCOUNT").Scan(&open); err != nil || open != 0 {
			t.Errorf("after XACT_ABORT: %d transactions, %v", open, err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		count(1)
	})
}

// TestGoReset has the driver's pool reset a connection.
func TestGoReset(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		db := openGo(t, p)
		db.SetMaxOpenConns(1)
		ctx := context.Background()
		c, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{
			"CREATE TABLE #t (n int)", "SET LANGUAGE Deutsch", "SET DATEFIRST 3; SET XACT_ABORT ON; SET CONTEXT_INFO 0x0102", "USE master",
			"EXEC sp_set_session_context N'k', N'v'", "BEGIN TRAN",
		} {
			if _, err := c.ExecContext(ctx, text); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
		const look = "SELECT @@DATEFIRST, SESSIONPROPERTY('XACT_ABORT'), DB_NAME(), @@LANGUAGE, ISNULL(OBJECT_ID('tempdb..#t') % 1, -1), @@TRANCOUNT, " +
			"CONTEXT_INFO(), SESSION_CONTEXT(N'k')"
		type state struct {
			First, Abort, Table, Open int
			DB, Lang                  string
			Info                      []byte
			Key                       any
		}
		see := func(q interface {
			QueryRowContext(context.Context, string, ...any) *sql.Row
		},
		) (s state) {
			t.Helper()
			if err := q.QueryRowContext(ctx, look).Scan(&s.First, &s.Abort, &s.DB, &s.Lang, &s.Table, &s.Open, &s.Info, &s.Key); err != nil {
				t.Fatal(err)
			}
			return s
		}
		info := append([]byte{1, 2}, make([]byte, 126)...)
		if diff := cmp.Diff(state{3, 1, 0, 1, "master", "Deutsch", info, "v"}, see(c)); diff != "" {
			t.Errorf("before the reset: %s", diff)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(state{7, 0, -1, 0, p.database, "us_english", nil, nil}, see(db)); diff != "" {
			t.Errorf("after the reset: %s", diff)
		}
	})
}

func TestGoCancel(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		db := openGo(t, p)
		db.SetMaxOpenConns(1)
		c, err := db.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithCancel(context.Background())
		rows, err := c.QueryContext(ctx, "SELECT n FROM dbo.numbers(100000000)")
		if err != nil {
			t.Fatal(err)
		}
		if !rows.Next() {
			t.Fatal(rows.Err())
		}
		cancel()
		for rows.Next() {
		}
		if rows.Err() == nil {
			t.Error("a query that was cancelled ended well")
		}
		_ = rows.Close()
		// A statement that waits.
		// A deadline would not do: the driver takes its error for the network's and gives the connection up.
		ctx, cancel = context.WithCancel(context.Background())
		defer cancel()
		defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
		if _, err := c.ExecContext(ctx, "WAITFOR DELAY '01:00:00'"); err == nil {
			t.Error("an hour passed")
		}
		var one int
		if err := c.QueryRowContext(context.Background(), "SELECT 1").Scan(&one); err != nil || one != 1 {
			t.Errorf("after the attention: %d, %v", one, err)
		}
	})
}

func TestGoBulk(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		db := openGo(t, p)
		if _, err := db.Exec("CREATE TABLE dbo.b (id int NOT NULL, s nvarchar(50), f float, d datetime2(7), m varbinary(max))"); err != nil {
			t.Fatal(err)
		}
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		st, err := tx.Prepare(mssql.CopyIn("dbo.b", mssql.BulkOptions{}, "id", "s", "f", "d", "m"))
		if err != nil {
			t.Fatal(err)
		}
		const n = 3000
		at := time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC)
		for i := range n {
			var s any = fmt.Sprint("row ", i)
			if i%7 == 0 {
				s = nil
			}
			if _, err := st.Exec(i, s, float64(i)/2, at, []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
		res, err := st.Exec()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := res.RowsAffected(); err != nil || got != n {
			t.Errorf("%d rows loaded, %v", got, err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		var count, last int
		if err := db.QueryRow("SELECT COUNT(*), MAX(id) FROM dbo.b").Scan(&count, &last); err != nil || count != n || last != n-1 {
			t.Errorf("%d rows up to %d, %v", count, last, err)
		}
	})
}

func TestGoErrors(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		db := openGo(t, p)
		db.SetMaxOpenConns(1)
		for text, want := range map[string]int32{
			"SELECT * FROM nowhere": 208, "SELECT 1/0": 8134, "SELECT FROM": 102, "SELECT nothing FROM dbo.alltypes": 207, "EXEC nothing": 2812,
			"RAISERROR('mine %d', 16, 3, 5)": 50000, "THROW 51000, 'thrown', 1": 51000, "SELECT CAST('x' AS int)": 245, "COMMIT": 3902, "USE nowhere": 911,
			"SET NOTHING ON": 195, "INSERT INTO dbo.alltypes (id) VALUES (1)": 2627, "FETCH NEXT FROM nothing": 16916,
		} {
			_, err := db.Exec(text)
			if errNumber(err) != want {
				t.Errorf("%s: %v; want %d", text, err, want)
			}
		}
		var n int32
		var msg string
		if err := db.QueryRow("BEGIN TRY SELECT 1/0 END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_MESSAGE() END CATCH").Scan(&n, &msg); err == nil && n != 8134 {
			t.Errorf("caught %d %s", n, msg)
		}
		// Several results, and a message between them.
		rows, err := db.Query("SELECT 1; PRINT 'hello'; SELECT 2, 3")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		sets := 0
		for {
			for rows.Next() {
			}
			sets++
			if !rows.NextResultSet() {
				break
			}
		}
		if err := rows.Err(); err != nil || sets != 2 {
			t.Errorf("%d results, %v", sets, err)
		}
	})
}

func TestGoCursor(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		ctx := context.Background()
		c, err := openGo(t, p).Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.ExecContext(ctx, "DECLARE cur CURSOR GLOBAL STATIC FOR SELECT n FROM dbo.numbers(3); OPEN cur"); err != nil {
			t.Fatal(err)
		}
		for i := 1; i <= 3; i++ {
			var n int
			if err := c.QueryRowContext(ctx, "FETCH NEXT FROM cur").Scan(&n); err != nil || n != i {
				t.Errorf("fetched %d, %v; want %d", n, err, i)
			}
		}
		var n int
		if err := c.QueryRowContext(ctx, "FETCH NEXT FROM cur").Scan(&n); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("beyond the end: %d, %v", n, err)
		}
		if _, err := c.ExecContext(ctx, "CLOSE cur; DEALLOCATE cur"); err != nil {
			t.Error(err)
		}
	})
}

func TestGoIdentity(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		ctx := context.Background()
		c, err := openGo(t, p).Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.ExecContext(ctx, "CREATE TABLE dbo.i (id int IDENTITY(5,10), s nvarchar(10)); INSERT INTO dbo.i VALUES (N'a'), (N'b')"); err != nil {
			t.Fatal(err)
		}
		var id, count, scope int
		if err := c.QueryRowContext(ctx, "SELECT @@ROWCOUNT, CAST(@@IDENTITY AS int), CAST(SCOPE_IDENTITY() AS int)").Scan(&count, &id, &scope); err != nil || id != 15 || scope != 15 || count != 2 {
			t.Errorf("@@IDENTITY %d, SCOPE_IDENTITY() %d, @@ROWCOUNT %d, %v", id, scope, count, err)
		}
		if err := c.QueryRowContext(ctx, "INSERT INTO dbo.i OUTPUT inserted.id VALUES (N'c')").Scan(&id); err != nil || id != 25 {
			t.Errorf("OUTPUT %d, %v", id, err)
		}
		if _, err := c.ExecContext(ctx, "UPDATE dbo.i SET s = s + N'!' WHERE id = 15; DELETE FROM dbo.i WHERE s = N'a'"); err != nil {
			t.Fatal(err)
		}
		var s string
		if err := c.QueryRowContext(ctx, "SELECT TOP 1 s FROM dbo.i ORDER BY id").Scan(&s); err != nil || s != "b!" {
			t.Errorf("%q, %v", s, err)
		}
	})
}

// TestGoToken logs in with tokens: one that is in LOGIN7, and one that the server asks for.
func TestGoToken(t *testing.T) {
	t.Parallel()
	o := tdsserver.Options{Token: func(token string) (string, bool) { return "alice", token == "good" }}
	places(t, o, func(t *testing.T, p place) {
		u := url.URL{Scheme: "sqlserver", Host: p.addr(), RawQuery: url.Values{"database": {p.database}, "certificate": {p.ca}, "hostNameInCertificate": {"localhost"}, "encrypt": {"true"}}.Encode()}
		config, err := msdsn.Parse(u.String())
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{"good", "bad"} {
			security, err := mssql.NewSecurityTokenConnector(config, func(context.Context) (string, error) { return token, nil })
			if err != nil {
				t.Fatal(err)
			}
			asked, err := mssql.NewActiveDirectoryTokenConnector(config, mssql.FedAuthADALWorkflowPassword, func(_ context.Context, spn, sts string) (string, error) {
				if spn == "" || sts == "" {
					return "", errors.New("FEDAUTHINFO names no service")
				}
				return token, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for name, c := range map[string]*mssql.Connector{"in LOGIN7": security, "asked for": asked} {
				db := sql.OpenDB(c)
				var user string
				err := db.QueryRow("SELECT SUSER_SNAME()").Scan(&user)
				switch {
				case token == "good" && (err != nil || user != "alice"):
					t.Errorf("%s: user %q, %v", name, user, err)
				case token == "bad" && errNumber(err) != 18456:
					t.Errorf("%s, a bad token: %v", name, err)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// TestGoRoute is sent elsewhere when it logs in.
func TestGoRoute(t *testing.T) {
	t.Parallel()
	to := direct(t, tdsserver.Options{Name: "there"})
	from := direct(t, tdsserver.Options{Name: "here", RouteTo: to.addr()})
	var name string
	// The certificate is the other server's.
	from.ca = to.ca
	if err := openGo(t, from, "encrypt=disable").QueryRow("SELECT @@SERVERNAME").Scan(&name); err != nil || name != "there" {
		t.Errorf("at %q, %v", name, err)
	}
}

func TestGoAppLock(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		db := openGo(t, p)
		ctx := context.Background()
		take := func(c *sql.Conn, owner string) (n int) {
			t.Helper()
			text := "DECLARE @r int; EXEC @r = sp_getapplock 'job', 'Exclusive', '" + owner + "', 0; SELECT @r"
			if err := c.QueryRowContext(ctx, text).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		a, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		b, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if n := take(a, "Session"); n != 0 {
			t.Errorf("taken: %d", n)
		}
		if n := take(b, "Session"); n != -1 {
			t.Errorf("taken twice: %d", n)
		}
		if _, err := a.ExecContext(ctx, "EXEC sp_releaseapplock 'job', 'Session'"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.ExecContext(ctx, "BEGIN TRAN"); err != nil {
			t.Fatal(err)
		}
		if n := take(b, "Transaction"); n != 0 {
			t.Errorf("taken by a transaction: %d", n)
		}
		if n := take(a, "Session"); n != -1 {
			t.Errorf("taken beside a transaction: %d", n)
		}
		if _, err := b.ExecContext(ctx, "COMMIT"); err != nil {
			t.Fatal(err)
		}
		if n := take(a, "Session"); n != 0 {
			t.Errorf("taken after the transaction: %d", n)
		}
	})
}

// TestGoCursorProcedures uses the cursors of sp_cursoropen.
func TestGoCursorProcedures(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		ctx := context.Background()
		c, err := openGo(t, p).Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var handle, rows int
		text := "DECLARE @c int, @n int; EXEC sp_cursoropen @c OUTPUT, N'SELECT n FROM dbo.numbers(5)', 8, 1, @n OUTPUT; SELECT @c, @n"
		all, err := c.QueryContext(ctx, text)
		if err != nil {
			t.Fatal(err)
		}
		if all.Next() || !all.NextResultSet() || !all.Next() {
			t.Fatal("the cursor's columns and the answer are wanted")
		}
		if err := all.Scan(&handle, &rows); err != nil || rows != 5 {
			t.Fatalf("cursor %d of %d rows, %v", handle, rows, err)
		}
		if err := all.Close(); err != nil {
			t.Fatal(err)
		}
		var got []int
		for range 3 {
			r, err := c.QueryContext(ctx, "sp_cursorfetch", handle, 2, 0, 2)
			if err != nil {
				t.Fatal(err)
			}
			for r.Next() {
				var n int
				if err := r.Scan(&n); err != nil {
					t.Fatal(err)
				}
				got = append(got, n)
			}
			if err := r.Err(); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]int{1, 2, 3, 4, 5}, got); diff != "" {
			t.Error(diff)
		}
		if _, err := c.ExecContext(ctx, "sp_cursorclose", handle); err != nil {
			t.Error(err)
		}
		if _, err := c.ExecContext(ctx, "sp_cursorfetch", handle, 2, 0, 2); errNumber(err) != 16909 {
			t.Errorf("a cursor that is closed: %v", err)
		}
	})
}

// TestGoScopes changes a session inside of dynamic SQL, where most of it ends.
func TestGoScopes(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		ctx := context.Background()
		c, err := openGo(t, p).Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.ExecContext(ctx, "CREATE TABLE dbo.s (id int IDENTITY(9,1), n int); CREATE TABLE #mine (n int)"); err != nil {
			t.Fatal(err)
		}
		text := "SET DATEFIRST 2; SET XACT_ABORT ON; USE master; CREATE TABLE #t (n int); INSERT INTO #mine VALUES (@p1); SET CONTEXT_INFO 0x07; " +
			"INSERT INTO " + p.database + ".dbo.s (n) VALUES (@p1)"
		if _, err := c.ExecContext(ctx, text, 5); err != nil {
			t.Fatal(err)
		}
		var first, abort, identity, mine int
		var scope, temp sql.NullInt64
		var db string
		var info []byte
		look := "SELECT @@DATEFIRST, SESSIONPROPERTY('XACT_ABORT'), DB_NAME(), OBJECT_ID('tempdb..#t'), CAST(@@IDENTITY AS int), SCOPE_IDENTITY(), CONTEXT_INFO(), (SELECT COUNT(*) FROM #mine)"
		if err := c.QueryRowContext(ctx, look).Scan(&first, &abort, &db, &temp, &identity, &scope, &info, &mine); err != nil {
			t.Fatal(err)
		}
		if first != 7 || abort != 0 || db != p.database || temp.Valid || scope.Valid {
			t.Errorf("left behind: DATEFIRST %d, XACT_ABORT %d, database %s, #t %v, SCOPE_IDENTITY() %v", first, abort, db, temp, scope)
		}
		if identity != 9 || mine != 1 || len(info) == 0 || info[0] != 7 {
			t.Errorf("lost: @@IDENTITY %d, %d rows, CONTEXT_INFO %x", identity, mine, info)
		}
	})
}

// TestGoOdd has the options that keep statements from running.
func TestGoOdd(t *testing.T) {
	t.Parallel()
	places(t, tdsserver.Options{}, func(t *testing.T, p place) {
		ctx := context.Background()
		c, err := openGo(t, p).Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.ExecContext(ctx, "CREATE TABLE dbo.o (n int)"); err != nil {
			t.Fatal(err)
		}
		for _, option := range []string{"NOEXEC", "PARSEONLY", "SHOWPLAN_ALL", "SHOWPLAN_TEXT"} {
			for _, text := range []string{"SET " + option + " ON", "INSERT INTO dbo.o VALUES (1)", "SET " + option + " OFF"} {
				if _, err := c.ExecContext(ctx, text); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			}
		}
		var n int
		if err := c.QueryRowContext(ctx, "SELECT COUNT(*) FROM dbo.o").Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows, %v", n, err)
		}
		if _, err := c.ExecContext(ctx, "SET SHOWPLAN_ALL ON; SELECT 1"); errNumber(err) != 1067 {
			t.Errorf("SHOWPLAN_ALL beside another statement: %v", err)
		}
		if _, err := c.ExecContext(ctx, "SET FMTONLY ON"); err != nil {
			t.Fatal(err)
		}
		if err := c.QueryRowContext(ctx, "SELECT 1").Scan(&n); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("FMTONLY: %d, %v", n, err)
		}
	})
}
