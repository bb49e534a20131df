package compress

import "forebay/internal/wire/mysqlwire"

// maxWait is how long a packet to the client may be, with header, to be sent in one piece. What is longer is passed on as
// it comes.
const maxWait = 1 << 20

// frames follows the packets of a plain stream.
type frames struct {
	due  int   // bytes still to come of the packet that the stream is in
	next uint8 // number after that of the last packet that has begun
}

// cut returns how much of b, the stream's continuation, is to be sent now: whole packets, and what there is of one that is
// too long to wait for. So no packet's header is torn apart, and few packets are: MySQL's connector in pure Python reads
// none that lies in more than two compressed ones.
func (f *frames) cut(b []byte) int {
	n := min(f.due, len(b))
	f.due -= n
	for f.due == 0 {
		h, err := mysqlwire.ParseHeader(b[n:])
		if err != nil {
			break
		}
		size := mysqlwire.HeaderLen + h.Length
		if have := len(b) - n; have < size {
			if size <= maxWait {
				break
			}
			f.due, size = size-have, have
		}
		f.next = h.Sequence + 1
		n += size
	}
	return n
}

// follow takes note of bytes of the stream that somebody has consumed.
func (f *frames) follow(b []byte) {
	n := min(f.due, len(b))
	f.due -= n
	for b = b[n:]; len(b) >= mysqlwire.HeaderLen; b = b[n:] {
		h, _ := mysqlwire.ParseHeader(b)
		size := mysqlwire.HeaderLen + h.Length
		n = min(size, len(b))
		f.due = size - n
	}
}

// whole reports whether b, the stream's continuation, holds all that can be wanted before something is done with it: the
// rest of a packet whose beginning has been consumed, or a message from its first to its last packet.
func (f *frames) whole(b []byte) bool {
	if f.due > 0 {
		return len(b) > 0
	}
	for {
		h, err := mysqlwire.ParseHeader(b)
		if err != nil || len(b) < mysqlwire.HeaderLen+h.Length {
			return false
		}
		if !h.Continues() {
			return true
		}
		b = b[mysqlwire.HeaderLen+h.Length:]
	}
}

// welcomed returns how much of b, whole packets, belongs to the connection phase: up to the OK or ERR packet that ends it,
// or all.
func welcomed(b []byte) (n int, ended bool) {
	for n < len(b) && !ended {
		h, err := mysqlwire.ParseHeader(b[n:])
		if err != nil {
			return len(b), false
		}
		if payload := b[n+mysqlwire.HeaderLen:]; h.Length > 0 && len(payload) > 0 {
			ended = payload[0] == mysqlwire.HeaderOK || mysqlwire.IsERR(payload)
		}
		n = min(n+mysqlwire.HeaderLen+h.Length, len(b))
	}
	return n, ended
}
