package compress

import (
	"bytes"
	"testing"

	"forebay/internal/wire/mysqlwire"
)

// TestWhole leaves a session whose packets were consumed in part, or not at all, with more of them.
func TestWhole(t *testing.T) {
	t.Parallel()
	short, long := message(3, []byte("abc")), message(0, make([]byte, mysqlwire.MaxPayload))
	for _, tt := range []struct {
		name     string
		consumed []byte
		rest     []byte
		want     bool
	}{
		{"nothing", nil, nil, false},
		{"half a header", nil, short[:3], false},
		{"a header", nil, short[:4], false},
		{"all but a byte", nil, short[:6], false},
		{"a message", nil, short, true},
		{"a message and more", nil, append(bytes.Clone(short), 1), true},
		{"an empty one", nil, message(0, nil), true},
		{"one that goes on", nil, long[:len(long)-4], false},
		{"one of two packets", nil, long, true},
		{"nothing of a packet's rest", short[:5], nil, false},
		{"a byte of it", short[:5], short[5:6], true},
		{"a second one's header", bytes.Join([][]byte{short, short[:4]}, nil), short[4:5], true},
		{"behind a message", short, short[:4], false},
		{"behind two", append(bytes.Clone(short), short...), short, true},
	} {
		var f frames
		f.follow(tt.consumed)
		if got := f.whole(tt.rest); got != tt.want {
			t.Errorf("%s: whole is %t", tt.name, got)
		}
	}
}

// TestCut sends whole packets, and what there is of long ones, wherever they are cut.
func TestCut(t *testing.T) {
	t.Parallel()
	short, long := message(3, []byte("abc")), message(4, make([]byte, maxWait))
	stream := bytes.Join([][]byte{short, long, short, message(255, nil), short}, nil)
	for _, step := range []int{1, 2, 5, 1000, maxWait, len(stream)} {
		var f frames
		var waits []byte
		sent := 0
		for rest := stream; len(rest) > 0; {
			n := min(step, len(rest))
			waits = append(waits, rest[:n]...)
			rest = rest[n:]
			n = f.cut(waits)
			sent += n
			waits = bytes.Clone(waits[n:])
			if len(waits) >= len(short) {
				t.Fatalf("by %d: %d bytes wait", step, len(waits))
			}
			if at := sent - len(short); at > 0 && at < mysqlwire.HeaderLen {
				t.Fatalf("by %d: %d bytes of a header are sent", step, at)
			}
		}
		if sent != len(stream) || f.due != 0 || f.next != 4 {
			t.Errorf("by %d: sent %d of %d, %+v", step, sent, len(stream), f)
		}
	}
}
