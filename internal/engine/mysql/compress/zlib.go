package compress

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// zlibDefault is the level of the servers, of which clients have no say.
const zlibDefault = 6

func zlibLevel(level int) uint8 {
	if level < zlib.BestSpeed || level > zlib.BestCompression {
		return zlibDefault
	}
	return uint8(level)
}

// deflaters holds idle deflaters by level: each has some hundred KB of tables.
var deflaters [zlib.BestCompression + 1]sync.Pool

// deflater is a zlib.Writer together with what it writes to.
type deflater struct {
	z   *zlib.Writer
	dst []byte
}

func (d *deflater) Write(p []byte) (int, error) {
	d.dst = append(d.dst, p...)
	return len(p), nil
}

func zlibPack(dst, plain []byte, level uint8) []byte {
	d, _ := deflaters[level].Get().(*deflater)
	if d == nil {
		d = &deflater{}
		d.z, _ = zlib.NewWriterLevel(d, int(level)) // fails for a wrong level alone
	} else {
		d.z.Reset(d)
	}
	d.dst = dst
	// Neither can fail: Write does not.
	_, _ = d.z.Write(plain)
	_ = d.z.Close()
	dst, d.dst = d.dst, nil
	deflaters[level].Put(d)
	return dst
}

var inflaters = sync.Pool{New: func() any {
	f := &inflater{}
	// It wants a header at once.
	f.z, _ = zlib.NewReader(strings.NewReader("\x78\x9c"))
	return f
}}

// inflater is a zlib reader together with what it reads from.
type inflater struct {
	z   io.Reader
	src bytes.Reader
	one [1]byte
}

// zlibRatio is what one byte stands for at most: two bits can repeat 258 bytes.
const zlibRatio = 1032

// zlibUnpack appends n bytes that packed stands for; ok is false if it stands for anything else. Bytes behind the end of
// the compressed data are ignored, as servers do.
func zlibUnpack(dst, packed []byte, n int) (out []byte, ok bool) {
	if n > zlibRatio*len(packed) {
		return dst, false
	}
	f := inflaters.Get().(*inflater)
	defer inflaters.Put(f)
	f.src.Reset(packed)
	defer f.src.Reset(nil)
	if err := f.z.(zlib.Resetter).Reset(&f.src, nil); err != nil {
		return dst, false
	}
	at := len(dst)
	out = slices.Grow(dst, n)[:at+n]
	if _, err := io.ReadFull(f.z, out[at:]); err != nil {
		return dst, false
	}
	// The checksum is looked at where the end is.
	if m, err := f.z.Read(f.one[:]); m > 0 || err != io.EOF {
		return dst, false
	}
	return out, true
}
