package sqltext_test

import (
	"testing"

	. "forebay/internal/engine/mysql/sqltext"
)

var everyday = []string{
	"BEGIN",
	"COMMIT",
	"SELECT c FROM sbtest1 WHERE id=5047",
	"UPDATE sbtest1 SET k=k+1 WHERE id=5047",
	"DELETE FROM sbtest1 WHERE id=5047",
	"INSERT INTO sbtest1 (id, k, c, pad) VALUES (5047, 4711, '68487932199-96439406143', '22195207048-70116052123')",
	"SELECT count(*), coalesce(sum(o.total), 0) FROM orders o JOIN customers c ON (c.id = o.customer_id) WHERE c.region = ? AND o.created_at > now() - interval 1 day",
	"SET NAMES utf8mb4, autocommit = 1, sql_mode = 'STRICT_TRANS_TABLES'",
	"SET @a = 'x'",
}

func TestNoAllocations(t *testing.T) {
	var a Analysis
	for _, sql := range everyday {
		text := []byte(sql)
		for _, mode := range []Mode{mysql8, maria, {}} {
			if n := testing.AllocsPerRun(100, func() { Analyze(text, mode, &a) }); n != 0 {
				t.Errorf("%s: %v allocations", sql, n)
			}
		}
	}
	calling := []byte("SELECT db.f(g(1)), h(2) FROM t; CALL p(3)")
	if n := testing.AllocsPerRun(100, func() { Analyze(calling, mysql8, &a) }); n != 0 {
		t.Errorf("%s: %v allocations", calling, n)
	}
	dst, text := make([]byte, 0, 1024), []byte(everyday[6])
	if n := testing.AllocsPerRun(100, func() {
		var n Names
		for n.Init(text, mysql8); n.Next(); {
			if string(n.Schema()) == "x" {
				t.Error("there is no x")
			}
		}
	}); n != 0 {
		t.Errorf("Names: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { dst = AppendDigest(dst[:0], text, mysql8, 512) }); n != 0 {
		t.Errorf("AppendDigest: %v allocations", n)
	}
	text = []byte(everyday[7])
	Analyze(text, mysql8, &a)
	if n := testing.AllocsPerRun(100, func() { dst, _ = a.AppendAssignment(dst[:0], text, mysql8, 2, mysql8) }); n != 0 {
		t.Errorf("AppendAssignment: %v allocations", n)
	}
}

func BenchmarkAnalyze(b *testing.B) {
	for _, sql := range everyday {
		b.Run(sql[:min(len(sql), 20)], func(b *testing.B) {
			var a Analysis
			text := []byte(sql)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Analyze(text, mysql8, &a)
			}
		})
	}
}

func BenchmarkDigest(b *testing.B) {
	text, dst := []byte(everyday[6]), []byte(nil)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		dst = AppendDigest(dst[:0], text, mysql8, 512)
	}
}
