package compress

import (
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// zstdDefault is what clients ask for that do not care.
const zstdDefault = 3

// zstdLevel turns a client's level, 1 to 22, into the encoder's. Its strongest is left out: that has tables of 35 MB and takes
// twice as long for a few percent, while the event loop's other clients wait.
func zstdLevel(level int) uint8 {
	if level < 1 || level > 22 {
		level = zstdDefault
	}
	return uint8(min(zstd.EncoderLevelFromZstd(level), zstd.SpeedBetterCompression))
}

// zstdWindow is how far back an encoder looks, in bytes. It has a history of twice that once it had to look beyond a block.
const zstdWindow = 256 << 10

// zstdEncoders holds idle encoders by level: their tables take from 256 KB to 4 MB.
var zstdEncoders [zstd.SpeedBestCompression + 1]sync.Pool

func zstdPack(dst, plain []byte, level uint8) []byte {
	e, _ := zstdEncoders[level].Get().(*zstd.Encoder)
	if e == nil {
		// The options are valid. With a concurrency of 1 no goroutine is started: an encoder needs no end.
		e, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevel(level)), zstd.WithWindowSize(zstdWindow),
			zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	}
	dst = e.EncodeAll(plain, dst)
	zstdEncoders[level].Put(e)
	return dst
}

var zstdDecoders = sync.Pool{New: func() any {
	// As with encoders. It writes nothing beyond the capacity that it is given.
	d, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
	return d
}}

// zstdRatio is what one byte stands for at most: a block of 4 bytes can repeat a byte 128 Ki times.
const zstdRatio = 32 << 10

// zstdUnpack appends n bytes that packed stands for; ok is false if it stands for anything else.
func zstdUnpack(dst, packed []byte, n int) (out []byte, ok bool) {
	if n > zstdRatio*len(packed) {
		return dst, false
	}
	d := zstdDecoders.Get().(*zstd.Decoder)
	defer zstdDecoders.Put(d)
	at := len(dst)
	dst = slices.Grow(dst, n)
	out, err := d.DecodeAll(packed, dst[:at:at+n])
	if err != nil || len(out) != at+n {
		return dst, false
	}
	if &out[at] != &dst[:at+1][at] { // it is not bound to use the memory given
		copy(dst[at:at+n], out[at:])
	}
	return dst[:at+n], true
}
