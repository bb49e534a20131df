package sqlserver

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/wire/tds"

	"github.com/google/go-cmp/cmp"
)

// TestKey has a server connection be logged in as its pool's key says, which is as the client was.
func TestKey(t *testing.T) {
	t.Parallel()
	clients := []*login.Client{
		{Version: tds.V74},
		{Version: tds.V73B, ODBC: true},
		{Version: tds.V73A, OLEDB: true},
		{Version: tds.V72, BinaryXML: true},
		{Version: tds.V71R, UnknownCollation: true},
		{Version: tds.V71},
		{Version: tds.V74, Features: tds.Features{ColumnEncryption: 3}},
		{Version: tds.V74, Features: tds.Features{DataClassification: 2}},
		{Version: tds.V74, Features: tds.Features{JSON: 1}},
		{Version: tds.V74, Features: tds.Features{Vector: 1}},
		{Version: tds.V74, Features: tds.Features{UTF8: true}},
		{Version: tds.V74, ODBC: true, OLEDB: true, BinaryXML: true, UnknownCollation: true, Features: tds.Features{ColumnEncryption: 1, DataClassification: 1, JSON: 1, Vector: 1, UTF8: true}},
	}
	seen := map[engine.Key]int{}
	for i, c := range clients {
		c.User, c.Database = "app", "shop"
		k := keyOf(c)
		if j, ok := seen[k]; ok {
			t.Errorf("clients %d and %d share server connections", i, j)
		}
		seen[k] = i
		var o login.DialOptions
		applyKey(k, &o)
		want := login.DialOptions{
			Database: "shop", Version: c.Version, Features: c.Features, ODBC: c.ODBC, OLEDB: c.OLEDB, BinaryXML: c.BinaryXML, UnknownCollation: c.UnknownCollation,
		}
		if diff := cmp.Diff(want, o, cmp.AllowUnexported(login.Credentials{})); diff != "" {
			t.Errorf("client %d: %s", i, diff)
		}
	}
	strict := &login.Client{User: "app", Database: "shop", Version: tds.V80}
	if _, ok := seen[keyOf(strict)]; !ok {
		t.Error("TDS 8 and TDS 7.4 share no server connections")
	}
	var o login.DialOptions
	applyKey(engine.Key{User: "app", Database: "master", ReadOnly: true}, &o)
	if o.Version != tds.V74 || !o.ODBC || !o.ReadOnlyIntent || o.Features.ColumnEncryption != 0 {
		t.Errorf("a look at the target: %+v", o)
	}
}

func TestSPID(t *testing.T) {
	t.Parallel()
	for pid, want := range map[uint32]uint16{0: 1, 1: 1, 57: 57, 0x10000: 1, 0x10039: 57} {
		if got := spid(engine.SessionID{PID: pid}); got != want {
			t.Errorf("%#x: %d", pid, got)
		}
	}
}

func TestGroupStatus(t *testing.T) {
	t.Parallel()
	row := func(cells ...string) []*string {
		r := make([]*string, len(cells))
		for i := range cells {
			if cells[i] != "NULL" {
				r[i] = &cells[i]
			}
		}
		return r
	}
	alone := engine.Status{Role: engine.Writer, Lag: -1, LagBytes: -1}
	for _, c := range []struct {
		name string
		rows [][]*string
		want engine.Status
	}{
		{"in no group", nil, alone},
		{"primary", [][]*string{row("PRIMARY", "ONLINE", "HEALTHY", "DB1", "NULL")}, alone},
		{"secondary", [][]*string{row("SECONDARY", "NULL", "HEALTHY", "DB1", "3")}, engine.Status{Role: engine.Reader, Lag: 3 * time.Second, LagBytes: -1, Source: "DB1"}},
		{"secondary, lag unknown", [][]*string{row("SECONDARY", "NULL", "PARTIALLY_HEALTHY", "DB1", "NULL")}, engine.Status{Role: engine.Reader, Lag: -1, LagBytes: -1, Source: "DB1"}},
		{"not healthy", [][]*string{row("SECONDARY", "NULL", "NOT_HEALTHY", "DB1", "9")}, engine.Status{Role: engine.Reader, Lag: 9 * time.Second, LagBytes: -1, Source: "DB1", Unusable: "its availability group says NOT_HEALTHY"}},
		{"resolving", [][]*string{row("RESOLVING", "NULL", "NOT_HEALTHY", "NULL", "NULL")}, engine.Status{Lag: -1, LagBytes: -1, Unusable: "its role in an availability group is RESOLVING"}},
		{"no role", [][]*string{row("NULL", "NULL", "NULL", "NULL", "NULL")}, engine.Status{Lag: -1, LagBytes: -1, Unusable: "its role in an availability group is not known"}},
		{"of two groups", [][]*string{row("SECONDARY", "NULL", "HEALTHY", "DB2", "1"), row("PRIMARY", "ONLINE", "HEALTHY", "DB1", "NULL")}, alone},
	} {
		got, err := groupStatus(alone, c.rows)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
	if _, err := groupStatus(alone, [][]*string{row("PRIMARY")}); !errors.Is(err, login.ErrProtocol) {
		t.Errorf("a row of one value: %v", err)
	}
	if s := clip(strings.Repeat("ä", 60)); len(s) > 40 || strings.Contains(s, "�") {
		t.Errorf("%q", s)
	}
}

func TestErrorOf(t *testing.T) {
	t.Parallel()
	server := &login.ServerError{Number: 4060, State: 1, Class: 11, Text: `Cannot open database "x" requested by the login. The login failed.`}
	for _, c := range []struct {
		err    error
		number int32
		class  uint8
		text   string // is in it
	}{
		{engine.ErrBorrowTimeout, 49918, 16, "timed out"},
		{&engine.BorrowError{Cause: server}, 49918, 16, server.Text},
		{&engine.BorrowError{Cause: fmt.Errorf("%w: %w", login.ErrUnreachable, errors.New("10.0.0.1:1433: refused"))}, 49918, 16, "server unreachable"},
		{engine.ErrTooManyWaiting, 10928, 16, "limit"},
		{engine.ErrNoWriter, 40613, 16, "writer"},
		{engine.ErrNoReader, 40613, 16, "reader"},
		{engine.ErrNoReaders, 40613, 16, "read-only instances"},
		{engine.ErrFailover, 40613, 16, "failed over"},
		{engine.ErrUnsure, 40197, 16, "unsure"},
		{engine.ErrUnfit, 40197, 16, "fit"},
		{engine.ErrIdle, 17197, 20, "idle"},
		{engine.ErrLifetime, 17197, 20, "lifetime"},
		{engine.ErrKilled, 596, 21, "kill"},
		{engine.ErrShutdown, 6005, 20, "SHUTDOWN"},
		{wrapLogin(server), 4060, 11, "Cannot open"},
		{errors.New("10.0.0.1: something of ours"), 40197, 16, "try again"},
	} {
		m := errorOf(c.err)
		if m.Number != c.number || m.Class != c.class || m.State != 1 || !strings.Contains(m.Text, c.text) || strings.Contains(m.Text, "10.0.0.1") {
			t.Errorf("%v: %+v", c.err, m)
		}
	}
	if m := lostError(&tds.Message{Number: 6005, Class: 20, Text: "SHUTDOWN is in progress."}); m.Number != 6005 || m.Class != 16 {
		t.Errorf("last words: %+v", m)
	}
	if m := lostError(nil); m.Number != 40197 || m.Class != 16 {
		t.Errorf("none: %+v", m)
	}
	var e *loginError
	for err, permanent := range map[error]bool{server: true, &login.ServerError{Number: 18456}: true, login.ErrUnreachable: false, login.ErrTLS: false} {
		if !errors.As(wrapLogin(err), &e) || e.Permanent() != permanent {
			t.Errorf("%v: permanent %t", err, e.Permanent())
		}
	}
	for err, want := range map[error]bool{server: true, &login.ServerError{Number: 6005}: false, login.ErrUnreachable: false} {
		if answered(fmt.Errorf("x: %w", err)) != want {
			t.Errorf("%v: answered %t", err, !want)
		}
	}
}
