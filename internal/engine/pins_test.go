package engine_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine"
)

type reason string

// Pins are counted by reason, and the session once for all of them; the log tells what begins and what ends.
func TestPins(t *testing.T) {
	t.Parallel()
	const begun, ended = "session pinned to its server connection", "session no longer pinned for this reason"
	for _, tt := range []struct {
		name   string
		steps  string // "+a" adds the reason a and tells of it, "?a" only adds it, "-a" removes it, "0" clears all
		left   string
		pinned int
		counts map[string]uint64
		lines  []string
	}{
		{name: "none", steps: "-a 0"},
		{"one", "+a", "a", 1, map[string]uint64{"a": 1}, []string{begun + " reason=a digest=d-a fix=f-a pid=7 server_pid=9"}},
		{"order", "+b +a", "b a", 1, map[string]uint64{"a": 1, "b": 1}, []string{begun + " reason=b", begun + " reason=a"}},
		{"other stays", "+a +b -a -a", "b", 1, map[string]uint64{"a": 1, "b": 1}, []string{begun, begun, ended + " reason=a pid=7"}},
		{"last goes", "+a -a 0", "", 0, map[string]uint64{"a": 1}, []string{begun, ended}},
		{"all go", "+a +b 0 0", "", 0, map[string]uint64{"a": 1, "b": 1}, []string{begun, begun}},
		{"again", "+a -a +a", "a", 1, map[string]uint64{"a": 2}, []string{begun, ended, begun}},
		{"came to nothing", "?a -a", "", 0, nil, nil},
		{"told later", "?a +b", "a b", 1, map[string]uint64{"a": 1, "b": 1}, []string{begun + " reason=a", begun + " reason=b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			log := slog.New(slog.NewTextHandler(&out, nil))
			c := &engine.Counters{Pins: map[string]uint64{}}
			var p engine.Pins[reason]
			for step := range strings.FieldsSeq(tt.steps) {
				switch r := reason(step[1:]); step[0] {
				case '+':
					p.Add(r, "d-"+string(r), "f-"+string(r), c)
					p.Tell(c, log, 7, 9)
				case '?':
					p.Add(r, "d-"+string(r), "f-"+string(r), c)
				case '-':
					p.Remove(r, c, log, 7)
				default:
					p.Clear(c)
				}
			}
			var left []string
			for _, pin := range p {
				left = append(left, pin.Reason)
				if !p.For(reason(pin.Reason)) || pin.Digest != "d-"+pin.Reason || pin.Fix != "f-"+pin.Reason || time.Since(time.Unix(0, pin.Since)) > time.Hour {
					t.Errorf("pin: %+v", pin)
				}
			}
			if got := strings.Join(left, " "); got != tt.left || c.Pinned != tt.pinned || p.For("c") {
				t.Errorf("pinned for %q, %d sessions; want %q, %d", got, c.Pinned, tt.left, tt.pinned)
			}
			for _, r := range []string{"a", "b"} {
				if c.Pins[r] != tt.counts[r] {
					t.Errorf("%s: counted %d, want %d", r, c.Pins[r], tt.counts[r])
				}
			}
			lines := strings.Split(strings.ReplaceAll(strings.TrimSpace(out.String()), `"`, ""), "\n")
			if out.Len() == 0 {
				lines = nil
			}
			if len(lines) != len(tt.lines) {
				t.Fatalf("log: %q", lines)
			}
			for i, want := range tt.lines {
				if !strings.Contains(lines[i], "msg="+want) {
					t.Errorf("line %q, want %q", lines[i], want)
				}
			}
		})
	}
}

// A request of a pinned session, or of one that is not, costs no memory.
func TestPinsAllocateNothing(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	c := &engine.Counters{Pins: map[string]uint64{}}
	var none, one engine.Pins[reason]
	one.Add("a", "", "", c)
	one.Tell(c, log, 7, 9)
	if n := testing.AllocsPerRun(100, func() {
		if none.For("a") || !one.For("a") {
			t.Error("for another reason")
		}
		none.Remove("a", c, log, 7)
		one.Remove("b", c, log, 7)
		none.Clear(c)
		one.Tell(c, log, 7, 9)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
