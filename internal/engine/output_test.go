package engine_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"forebay/internal/engine"
)

// Whatever is passed, put between and replaced: the content is all of it in order, and the input is not written to.
func TestBuffer(t *testing.T) {
	t.Parallel()
	var b engine.Buffer // kept from round to round, as in use
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 2))
		input := make([]byte, 1+r.IntN(300), 400)
		for i := range input {
			input[i] = byte(r.Uint32())
		}
		before := bytes.Clone(input[:cap(input)])
		var want []byte
		for at := 0; at < len(input); {
			n := 1 + r.IntN(len(input)-at)
			switch r.IntN(4) {
			case 0: // dropped
			case 1: // replaced
				b.Set(append(b.Grow(), "between"...))
				want = append(want, "between"...)
			case 2:
				b.Pass(nil)
				fallthrough
			default:
				b.Pass(input[at : at+n])
				want = append(want, input[at:at+n]...)
			}
			at += n
			if got := b.Bytes(); !bytes.Equal(got, want) || b.Len() != len(want) {
				t.Fatalf("seed %d: got %q (Len %d), want %q", seed, got, b.Len(), want)
			}
		}
		if !bytes.Equal(input[:cap(input)], before) {
			t.Fatalf("seed %d: the input was written to", seed)
		}
		b.Reset()
		if b.Len() != 0 || len(b.Bytes()) != 0 {
			t.Fatalf("seed %d: %d bytes after Reset", seed, b.Len())
		}
	}
}

// Neighbouring runs of one input are not copied.
func TestBufferPassesWithoutCopying(t *testing.T) {
	t.Parallel()
	input := []byte("0123456789")
	var b engine.Buffer
	b.Pass(input[2:5])
	b.Pass(input[5:8])
	if got := b.Bytes(); &got[0] != &input[2] || string(got) != "234567" {
		t.Errorf("got %q, copied: %v", got, &got[0] != &input[2])
	}
	b.Reset()
	// Equal bytes elsewhere are another input.
	b.Pass(input[:2:2])
	b.Pass([]byte("23"))
	if got := b.Bytes(); string(got) != "0123" {
		t.Errorf("got %q", got)
	}
}

func TestBufferGrowOnly(t *testing.T) {
	t.Parallel()
	var b engine.Buffer
	b.Pass([]byte("abc"))
	b.Grow() // without Set: what was there stays
	if got := string(b.Bytes()); got != "abc" {
		t.Errorf("after Grow: %q, want %q", got, "abc")
	}
	b.Set(append(b.Grow(), "def"...))
	b.Pass([]byte("ghi"))
	if got := string(b.Bytes()); got != "abcdefghi" {
		t.Errorf("got %q", got)
	}
	b.Set(append(b.Grow(), make([]byte, 1<<20)...))
	b.Reset()
	if c := cap(b.Grow()); c != 0 {
		t.Errorf("a buffer of %d bytes is kept", c)
	}
}

func TestOutputReset(t *testing.T) {
	t.Parallel()
	o := engine.Output{CloseClient: true, CloseServer: true}
	o.Client.Pass([]byte("x"))
	o.Server.Pass([]byte("y"))
	o.Reset()
	if o.Client.Len()+o.Server.Len() > 0 || o.CloseClient || o.CloseServer {
		t.Errorf("after Reset: %+v", o)
	}
}
