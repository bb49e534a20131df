package sqltext_test

import (
	"math/rand/v2"
	"testing"

	. "forebay/internal/engine/sqlserver/sqltext"
)

func fixedRand() *rand.Rand { return rand.New(rand.NewPCG(3, 4)) }

var everyday = []string{
	"SELECT c FROM sbtest1 WHERE id=5047",
	"UPDATE sbtest1 SET k=k+1 WHERE id=@id",
	"INSERT INTO sbtest1 (id, k, c, pad) VALUES (@p1, @p2, N'68487932199-96439406143', N'22195207048'); SELECT SCOPE_IDENTITY()",
	"SELECT COUNT(*), COALESCE(SUM(o.total), 0) FROM [orders] AS o JOIN customers c ON (c.id = o.customer_id) WHERE c.region = @r AND o.created_at > DATEADD(day, -1, GETDATE())",
	"SET NOCOUNT ON; SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
	"IF @@TRANCOUNT > 0 COMMIT TRAN",
	"EXEC dbo.GetOrder @id = 5, @region = N'x'",
	"EXEC sp_executesql N'SELECT @a', N'@a int', @a = 1",
}

func TestNoAllocations(t *testing.T) {
	var a Analysis
	for _, sql := range everyday {
		text := wire(sql)
		if n := testing.AllocsPerRun(100, func() { Inspect(text, batch, &a) }); n != 0 {
			t.Errorf("%s: %v allocations", sql, n)
		}
	}
	dst, text := make([]byte, 0, 1024), wire(everyday[3])
	if n := testing.AllocsPerRun(100, func() { dst = AppendDigest(dst[:0], text, true, 512) }); n != 0 {
		t.Errorf("AppendDigest: %v allocations", n)
	}
}

func BenchmarkInspect(b *testing.B) {
	for _, sql := range everyday {
		b.Run(sql[:min(len(sql), 20)], func(b *testing.B) {
			var a Analysis
			text := wire(sql)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Inspect(text, batch, &a)
			}
		})
	}
}
