package compress

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"testing"
	"unsafe"

	"forebay/internal/engine"
)

// raceDetector reports whether it is at work: then sync.Pool drops things at random.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// cycle is a request and its answer.
type cycle struct {
	s               engine.Session
	o               engine.Output
	request, answer []byte
}

func newCycle(kind Kind, request, answer int) *cycle {
	c := &cycle{s: New(&toy{welcome: welcomeOK}, kind, 0)}
	c.s.Start(&c.o)
	c.request = newCodec(kind, 0).appendPacket(nil, 0, message(0, bytes.Repeat([]byte("statement "), request)))
	for i := range answer {
		c.answer = append(c.answer, message(uint8(1+i), fmt.Appendf(nil, "\x0512345\x1bvalue number %d of many\x0asome text  ", i))...)
	}
	c.answer = append(c.answer, message(9, nil)...)
	return c
}

func (c *cycle) run() {
	c.o.Reset()
	c.s.FromClient(c.request, &c.o)
	c.o.Reset()
	c.s.FromServer(c.answer, &c.o)
}

// TestAllocs has the data path allocate nothing, and idle clients own nothing.
func TestAllocs(t *testing.T) {
	for _, k := range kinds {
		for _, size := range []int{1, 100} {
			c := newCycle(k.kind, size, size)
			c.run()
			if !c.s.Done() || c.o.Client.Len() == 0 {
				t.Fatalf("%s: no answer", k.name)
			}
			if n := testing.AllocsPerRun(200, c.run); n != 0 && !raceDetector() {
				t.Errorf("%s: %g allocations for a request and %d rows", k.name, n, size)
			}
			if s := c.s.(*session); s.in.mem != nil || s.out.mem != nil {
				t.Errorf("%s: an idle client owns memory", k.name)
			}
		}
	}
	if size := unsafe.Sizeof(session{}); size > 128 {
		t.Errorf("an idle client costs %d bytes", size)
	}
}

func BenchmarkCycle(b *testing.B) {
	for _, k := range kinds {
		for _, rows := range []int{1, 20, 1000} {
			b.Run(fmt.Sprintf("%s/%d", k.name, rows), func(b *testing.B) {
				c := newCycle(k.kind, 4, rows)
				b.SetBytes(int64(len(c.answer)))
				b.ReportAllocs()
				for b.Loop() {
					c.run()
				}
				b.ReportMetric(float64(len(c.answer))/float64(c.o.Client.Len()), "ratio")
			})
		}
	}
}

// BenchmarkPack compares the levels.
func BenchmarkPack(b *testing.B) {
	c := newCycle(Zlib, 1, 1000)
	plain := c.answer
	for _, l := range []struct {
		kind  Kind
		level int
	}{{Zlib, 1}, {Zlib, 3}, {Zlib, 6}, {Zlib, 9}, {Zstd, 1}, {Zstd, 3}, {Zstd, 7}, {Zstd, 22}} {
		b.Run(fmt.Sprintf("%s/%d", kinds[l.kind].name, l.level), func(b *testing.B) {
			codec := newCodec(l.kind, l.level)
			b.SetBytes(int64(len(plain)))
			var out []byte
			for b.Loop() {
				out = codec.appendPacket(out[:0], 0, plain)
			}
			b.ReportMetric(float64(len(plain))/float64(len(out)), "ratio")
		})
	}
}
