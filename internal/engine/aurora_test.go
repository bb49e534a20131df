package engine_test

import (
	"strings"
	"testing"

	"forebay/internal/engine"
)

func TestAuroraPeer(t *testing.T) {
	t.Parallel()
	const west = "c0ffee.eu-west-1.rds.amazonaws.com"
	for _, tt := range []struct{ host, name, want string }{
		{"db.cluster-" + west, "db-2", "db-2." + west},
		{"db.cluster-ro-" + west, "db-2", "db-2." + west},
		{"db.cluster-custom-" + west + ".", "DB-2", "DB-2." + west},
		{"db-1.c0ffee.cn-north-1.rds.amazonaws.com.cn", "db-2", "db-2.c0ffee.cn-north-1.rds.amazonaws.com.cn"},
		{"p.proxy-" + west, "db-2", ""},
		{"10.0.0.1", "db-2", ""},
		{"db.example.com", "db-2", ""},
		{west, "db-2", ""},
		{"a.b.c0ffee.eu.rds.amazonaws.com.org", "db-2", ""},
		// What the database says is no identifier, and would lead elsewhere, or be who knows what in a log.
		{"db." + west, "", ""},
		{"db." + west, "evil.example.com/", ""},
		{"db." + west, "db.2", ""},
		{"db." + west, "db_2", ""},
		{"db." + west, "db-2\n", ""},
		{"db." + west, "dé-2", ""},
		{"db." + west, strings.Repeat("a", 64), ""},
	} {
		got, ok := engine.AuroraPeer(tt.host, tt.name)
		if got.Host != tt.want || ok != (tt.want != "") || ok && got.Name != tt.name {
			t.Errorf("%q beside %s: got %+v, %t; want %q", tt.name, tt.host, got, ok, tt.want)
		}
	}
}
