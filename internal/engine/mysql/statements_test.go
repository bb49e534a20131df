package mysql

import (
	"testing"

	"forebay/internal/resource"
)

// What is kept prepared leaves the server's max_prepared_stmt_count enough for what clients prepare.
func TestPreparedLimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		server limits
		pool   resource.ConnectionPoolConfig
		want   int
	}{
		{limits{151, 16382}, resource.ConnectionPoolConfig{MaxPreparedStatements: 200, MaxConnectionsPercent: 100}, 108},
		{limits{151, 16382}, resource.ConnectionPoolConfig{MaxPreparedStatements: 50, MaxConnectionsPercent: 100}, 50},
		{limits{151, 16382}, resource.ConnectionPoolConfig{MaxPreparedStatements: 200, MaxConnectionsPercent: 100, MaxConnections: 20}, 200},
		{limits{151, 1000}, resource.ConnectionPoolConfig{MaxPreparedStatements: 200, MaxConnectionsPercent: 50, MaxConnections: 10}, 50},
		{limits{85, 10}, resource.ConnectionPoolConfig{MaxPreparedStatements: 200, MaxConnectionsPercent: 100}, 1},
		{limits{1, 0}, resource.ConnectionPoolConfig{MaxPreparedStatements: 200, MaxConnectionsPercent: 50}, 1},
		{limits{151, -1}, resource.ConnectionPoolConfig{MaxPreparedStatements: 200, MaxConnectionsPercent: 100}, 200},
	} {
		if got := tt.server.prepared(&tt.pool); got != tt.want {
			t.Errorf("server %+v, pool of %d %%, at most %d: %d, want %d", tt.server, tt.pool.MaxConnectionsPercent, tt.pool.MaxConnections, got, tt.want)
		}
	}
}
