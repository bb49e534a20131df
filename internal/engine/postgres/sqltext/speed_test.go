package sqltext_test

import (
	"testing"

	. "forebay/internal/engine/postgres/sqltext"
)

var everyday = []string{
	"BEGIN",
	"SELECT abalance FROM pgbench_accounts WHERE aid = 4711471;",
	"UPDATE pgbench_accounts SET abalance = abalance + -1234 WHERE aid = 4711471;",
	"INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 2, 3, 4, CURRENT_TIMESTAMP);",
	"SELECT count(*), coalesce(sum(o.total), 0) FROM orders o JOIN customers c ON (c.id = o.customer_id) WHERE c.region = $1 AND o.created_at > now() - interval '1 day'",
	"SET search_path TO a, public",
	"EXECUTE p(1, 2)",
	"SELECT set_config('app.tenant', 'x', false)",
}

func TestAnalyzeDoesNotAllocate(t *testing.T) {
	var a Analysis
	for _, sql := range everyday {
		text := []byte(sql)
		if n := testing.AllocsPerRun(100, func() { Analyze(text, Standard, known, &a) }); n != 0 {
			t.Errorf("%s: %v allocations", sql, n)
		}
	}
	dst, text := make([]byte, 0, 1024), []byte(everyday[4])
	if n := testing.AllocsPerRun(100, func() { dst = AppendDigest(dst[:0], text) }); n != 0 {
		t.Errorf("AppendDigest: %v allocations", n)
	}
}

func BenchmarkAnalyze(b *testing.B) {
	for _, sql := range everyday {
		b.Run(sql[:min(len(sql), 20)], func(b *testing.B) {
			var a Analysis
			text := []byte(sql)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Analyze(text, Standard, known, &a)
			}
		})
	}
}
