package mysql

import (
	"log/slog"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/wire/mysqlwire"
)

// While members are of several versions, clients are offered what all have; what one that has logged in before has, and a member has
// not, keeps the two apart.
func TestVersions(t *testing.T) {
	t.Parallel()
	const attributes = mysqlwire.ClientQueryAttributes
	newer := func() *facts { return &facts{version: "8.4.0", has: offered} }
	older := func() *facts { return &facts{version: "5.7.44", has: offered &^ attributes} }
	tgt := &target{known: make(chan struct{})}
	for i, tt := range []struct {
		f    *facts
		want bool
	}{{newer(), true}, {older(), false}, {newer(), false}} {
		if tgt.learn(tt.f); tgt.facts.Load().offered.Has(attributes) != tt.want {
			t.Errorf("look %d: query attributes are offered: %t", i, !tt.want)
		}
	}
	tgt.versions["5.7.44"] = version{offered &^ attributes, time.Now().Add(-2 * offeredFor)}
	if tgt.learn(newer()); !tgt.facts.Load().offered.Has(attributes) {
		t.Error("a version that is no more counts for ever")
	}

	d := New(slog.New(slog.DiscardHandler)).Open(&resource.Proxy{}, engine.Key{Protocol: uint64(attributes|mysqlwire.ClientDeprecateEOF) | client}, nil).(*database)
	if got := d.lacks(offered &^ attributes); got != attributes {
		t.Errorf("lacks %x", got)
	}
	if got := d.lacks(offered); got != 0 {
		t.Errorf("lacks %x of nothing", got)
	}
}
