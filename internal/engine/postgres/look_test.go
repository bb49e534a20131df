package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forebay/internal/engine"
)

// row makes an answer's row; "-" stands for NULL.
func row(values ...string) []*string {
	r := make([]*string, len(values))
	for i := range values {
		if values[i] != "-" {
			r[i] = &values[i]
		}
	}
	return r
}

func TestStatus(t *testing.T) {
	t.Parallel()
	common := func(standby string, sees string) []string {
		return []string{standby, sees, "18.1 (Debian 18.1-2)", "100", "3", "2"}
	}
	capacity := engine.Capacity{MaxConnections: 100, Reserved: 5}
	const s = time.Second
	volume := `[{"name":"one","self":false,"writer":true,"lsn":100,"lag":null},{"name":"two","self":true,"writer":false,"lsn":90,"lag":12.5},
		{"name":"three","self":false,"writer":false,"lsn":95,"lag":1}]`
	const domain = ".c0ffee.eu-west-1.rds.amazonaws.com"
	tests := []struct {
		name  string
		row   []string
		since time.Duration
		want  engine.Status
	}{
		{
			name: "primary", since: -1,
			row: append(common("f", "t"), "1/2A", "0000000B0000000100000000", "10", "-", "-", "f", "-", "-", "-", "-", "-",
				`[{"name":"walreceiver","host":"10.0.0.1"},{"name":"b","host":"2001:db8::1"}]`, "16777216", "7300000000000000001"),
			want: engine.Status{
				Role: engine.Writer, Term: 11, Position: walPosition{11, 1<<32 | 0x2A}, System: "7300000000000000001",
				Peers: []engine.Peer{{Host: "10.0.0.1"}, {Name: "b", Host: "2001:db8::1"}},
			},
		},
		{
			name: "caught up, last transaction long ago", since: -1,
			row: append(common("t", "t"), "0/20", "-", "2", "0/20", "3600.5", "t", "streaming", "3", "0/20", "db-1", "5433", "-", "16777216", "-"),
			want: engine.Status{
				Role: engine.Reader, Term: 3, Position: walPosition{3, 0x20}, Source: "db-1:5433",
				Peers: []engine.Peer{{Host: "db-1", Port: 5433}},
			},
		},
		{
			name: "behind, after an hour without transactions", since: 2 * s,
			row: append(common("t", "t"), "0/20", "-", "2", "0/30", "3600.5", "t", "streaming", "3", "0/30", "2001:db8::1", "5432", "-", "16777216", "-"),
			want: engine.Status{
				Role: engine.Reader, Term: 3, Position: walPosition{3, 0x20}, Lag: 2 * s, LagBytes: 0x10, Source: "[2001:db8::1]:5432",
				Peers: []engine.Peer{{Host: "2001:db8::1", Port: 5432}},
			},
		},
		{
			name: "behind what it has heard of, and never seen without", since: -1,
			row: append(common("t", "t"), "0/20", "-", "2", "0/20", "1.5", "t", "streaming", "3", "0/40", "/run/postgresql", "5432", "-", "16777216", "-"),
			want: engine.Status{
				Role: engine.Reader, Term: 3, Position: walPosition{3, 0x20}, Lag: 1500 * time.Millisecond, LagBytes: 0x20,
			},
		},
		{
			name: "clock of the past", since: -1,
			row: append(common("t", "t"), "0/20", "-", "2", "0/30", "-5", "t", "streaming", "3", "-", "-", "-", "-", "16777216", "-"),
			want: engine.Status{
				Role: engine.Reader, Term: 3, Position: walPosition{3, 0x20}, Lag: 1, LagBytes: 0x10,
			},
		},
		{
			name: "source gone", since: 3 * s,
			row: append(common("t", "t"), "0/20", "-", "2", "0/20", "7", "f", "-", "-", "-", "-", "-", "-", "16777216", "-"),
			want: engine.Status{
				Role: engine.Reader, Term: 2, Position: walPosition{2, 0x20}, Lag: 3 * s, LagBytes: -1,
			},
		},
		{
			name: "never connected, nothing replayed", since: -1,
			row: append(common("t", "t"), "-", "-", "2", "-", "-", "f", "-", "-", "-", "-", "-", "-", "16777216", "-"),
			want: engine.Status{
				Role: engine.Reader, Term: 2, Lag: -1, LagBytes: -1,
			},
		},
		{
			name: "receiver waits", since: 4 * s,
			row: append(common("t", "t"), "0/20", "-", "2", "0/20", "-", "t", "waiting", "2", "0/20", "db-1", "5433", "-", "16777216", "-"),
			want: engine.Status{
				Role: engine.Reader, Term: 2, Position: walPosition{2, 0x20}, Lag: 4 * s, LagBytes: -1, Source: "db-1:5433",
				Peers: []engine.Peer{{Host: "db-1", Port: 5433}},
			},
		},
		{
			name: "unprivileged, without the control file", since: -1,
			row: append(common("t", "f"), "0/20", "-", "-", "0/20", "7", "t", "-", "-", "-", "-", "-", "-", "16777216", "-"),
			want: engine.Status{
				Role: engine.Reader, Position: walPosition{0, 0x20},
			},
		},
		{
			name: "Aurora, reader", since: -1,
			row: append(common("t", "f"), volume),
			want: engine.Status{
				Role: engine.Reader, Position: volumePosition(90), Lag: 12500 * time.Microsecond, LagBytes: -1,
				Peers: []engine.Peer{{Name: "one", Host: "one" + domain}, {Name: "three", Host: "three" + domain}},
			},
		},
		{
			name: "Aurora without an answer", since: -1,
			row: append(common("t", "f"), "-"),
			want: engine.Status{
				Role: engine.Reader, Lag: -1, LagBytes: -1,
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := readAnswer([][]*string{row(tt.row...)})
			if err != nil {
				t.Fatal(err)
			}
			a.aurora = strings.HasPrefix(tt.name, "Aurora")
			got, err := a.status("two"+domain, tt.since)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Capacity, tt.want.Version = capacity, "18.1"
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(walPosition{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatusOfNonsense(t *testing.T) {
	t.Parallel()
	good := func() []string {
		return []string{"t", "t", "18.1", "100", "3", "2", "0/20", "-", "2", "0/20", "7", "t", "streaming", "3", "0/20", "db-1", "5433", "-", "16777216", "-"}
	}
	for i, bad := range map[int]string{3: "many", 6: "20", 8: "x", 9: "0/", 10: "long", 13: "new", 14: "/0", 17: "{", 18: "big"} {
		values := good()
		values[i] = bad
		a, err := readAnswer([][]*string{row(values...)})
		if err == nil {
			_, err = a.status("", -1)
		}
		if err == nil {
			t.Errorf("column %d: %q is taken", i, bad)
		}
	}
	primary := good()
	primary[0] = "f"
	if a, err := readAnswer([][]*string{row(primary...)}); err != nil {
		t.Error(err)
	} else if _, err := a.status("", -1); err == nil {
		t.Error("a primary without a WAL file is taken")
	}
	for _, rows := range [][][]*string{nil, {row("t")}, {row(good()...), row(good()...)}} {
		if _, err := readAnswer(rows); err == nil {
			t.Errorf("an answer of %d rows is taken", len(rows))
		}
	}
}

func TestPositionCovers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p, q engine.Position
		want bool
	}{
		{walPosition{1, 10}, walPosition{1, 10}, true},
		{walPosition{1, 10}, walPosition{1, 11}, false},
		{walPosition{2, 10}, walPosition{1, 10}, true},
		{walPosition{2, 10}, walPosition{1, 11}, false},
		{walPosition{1, 12}, walPosition{2, 10}, false}, // the history of the past has another end
		{walPosition{0, 12}, walPosition{2, 10}, true},
		{walPosition{1, 12}, walPosition{0, 10}, true},
		{walPosition{0, 9}, walPosition{2, 10}, false},
		{volumePosition(9), volumePosition(9), true},
		{volumePosition(8), volumePosition(9), false},
		{volumePosition(9), walPosition{1, 1}, false},
		{walPosition{1, 1}, volumePosition(0), false},
		{walPosition{1, 1}, nil, false},
	} {
		if got := tt.p.Covers(tt.q); got != tt.want {
			t.Errorf("%#v covers %#v: %t", tt.p, tt.q, got)
		}
	}
	if got := (walPosition{3, 0x1_0000_002A}).String(); got != "1/2A" {
		t.Errorf("written as %q", got)
	}
}

// A primary whose log ends with a page is no further than a standby that has replayed it.
func TestEndOfLog(t *testing.T) {
	t.Parallel()
	const segment = 16 << 20
	for lsn, want := range map[uint64]uint64{
		5:                        5,
		3*walPage + 24:           3 * walPage,
		3*walPage + 32:           3*walPage + 32,
		3*walPage + 40:           3*walPage + 40,
		3 * walPage:              3 * walPage,
		2*segment + 40:           2 * segment,
		2*segment + 24:           2*segment + 24,
		2*segment + walPage + 24: 2*segment + walPage,
	} {
		a := answer{segment: segment}
		if got := a.endOf(lsn); got != want {
			t.Errorf("%X: %X, want %X", lsn, got, want)
		}
	}
}
