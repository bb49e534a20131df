package postgres

import (
	"context"
	"log/slog"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/resource"
)

// catalogFunc is an empty catalog: it is told when it is read.
type catalogFunc func()

func (f catalogFunc) Query(context.Context, string) ([][]*string, error) {
	f()
	return nil, nil
}

// TestCatalogChangedWhileRead checks that a catalog that changes while it is read is not taken for known: statements could
// reach a routine that it does not show, and leave what nobody looks for.
func TestCatalogChangedWhileRead(t *testing.T) {
	t.Parallel()
	for at := range 3 { // fingerprint, routines, uses
		d := New(slog.New(slog.DiscardHandler), nil).Open(&resource.Proxy{}, engine.Key{}, nil).(*database)
		reads := 0
		err := d.loadRoutines(t.Context(), catalogFunc(func() {
			if reads == at {
				d.staleRoutines()
			}
			reads++
		}))
		if err != nil || reads != 3 {
			t.Fatalf("%d reads, err %v", reads, err)
		}
		if d.routines.Load() != nil || d.print.Load() != nil {
			t.Errorf("changed during read %d: the catalog passes for known", at)
		}
		if len(d.stale) != 1 {
			t.Errorf("changed during read %d: the catalog will not be read again", at)
		}
		if err := d.loadRoutines(t.Context(), catalogFunc(func() {})); err != nil || d.routines.Load() == nil {
			t.Errorf("read again: known %t, err %v", d.routines.Load() != nil, err)
		}
	}
}

// TestCustomSettingsWhileCatalogIsRead checks that a look at a session asks for the custom settings of routines that were
// there before the catalog changed: with the catalog unknown, any statement may have run one.
func TestCustomSettingsWhileCatalogIsRead(t *testing.T) {
	t.Parallel()
	d := New(slog.New(slog.DiscardHandler), nil).Open(&resource.Proxy{}, engine.Key{}, nil).(*database)
	if got := d.customSettings(); len(got) != 0 {
		t.Errorf("before the first look at the catalog: %q", got)
	}
	d.last.Store(sqltext.NewRoutines(sqltext.Catalog{Settings: []string{"app.tenant"}}))
	d.staleRoutines()
	s := &session{l: &local{db: d}, want: noSettings}
	if got := s.customNames(); got != `{"app.tenant"}` {
		t.Errorf("asks for %s", got)
	}
	if err := d.loadRoutines(t.Context(), catalogFunc(func() {})); err != nil {
		t.Fatal(err)
	}
	if got := s.customNames(); got != "{}" {
		t.Errorf("after the catalog was read again: asks for %s", got)
	}
}
