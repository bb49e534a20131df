package awsapi

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// maxBody is the most that a body may have, in bytes. The largest honest ones are a secret's value (65,536 bytes, at
	// most 6 times that in JSON) and CreateDBProxy with 200 Auth entries.
	maxBody = 1 << 20
	// maxBodies is the most that all bodies being read or used may have together: whoever has not signed anything yet
	// gets no more of Forebay's memory than that.
	maxBodies = 64 << 20
	firstRead = 8 << 10
)

// errTooLarge is the answer to a body of more than maxBody.
var errTooLarge = Common("RequestEntityTooLarge", "The request body exceeds the limit of 1 MiB.")

// Of a body that is too large, this much is thrown away after the answer, in bytes and in time, so that its client sees it.
const (
	lingerMost = 4 << 20
	lingerFor  = time.Second
)

// bodies keeps the sum of all bodies within maxBodies. Where there is no room for one, the body that has been on its way for longest
// goes: honest ones take moments, and whoever sends slowly, and has proved nothing yet, must not keep others out.
type bodies struct {
	mu      sync.Mutex
	held    int      // guarded by mu; bytes
	reading []*owner // guarded by mu; whose bodies are on their way, the oldest first
}

// owner is the request that a body's memory is reserved for.
type owner struct {
	cut func() error // ends its reads

	held    int  // guarded by bodies.mu; bytes
	dropped bool // guarded by bodies.mu; it has lost its memory to another one
}

func (b *bodies) begin(cut func() error) *owner {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := &owner{cut: cut}
	b.reading = append(b.reading, o)
	return o
}

// reserve takes n bytes of the sum for o, if they are there or an older body has them. A dropped one's memory is gone a moment later.
func (b *bodies) reserve(o *owner, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o.dropped {
		return false
	}
	for i := 0; b.held+n > maxBodies; {
		oldest := b.reading[i]
		switch {
		case oldest == o:
			return false
		case oldest.held == 0 || oldest.cut() != nil: // of a kind that cannot be ended
			i++
		default:
			b.held -= oldest.held
			oldest.held, oldest.dropped = 0, true
			b.reading = slices.Delete(b.reading, i, i+1)
		}
	}
	b.held += n
	o.held += n
	return true
}

// whole says that o's body is no more on its way, and reports whether it still has its memory.
func (b *bodies) whole(o *owner) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.reading, o); i >= 0 {
		b.reading = slices.Delete(b.reading, i, i+1)
	}
	return !o.dropped
}

// read reads a request's body. Memory is reserved as bytes arrive, since a header promises anything. The caller releases
// the owner whatever the error.
func (b *bodies) read(w http.ResponseWriter, r *http.Request) (body []byte, o *owner, err error) {
	o = b.begin(func() error { return http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) })
	body, err = b.readFor(o, w, r)
	if !b.whole(o) {
		return nil, o, Common("Throttling", "Rate exceeded")
	}
	return body, o, err
}

func (b *bodies) readFor(o *owner, w http.ResponseWriter, r *http.Request) (body []byte, err error) {
	if r.ContentLength > maxBody {
		return nil, errTooLarge
	}
	from := http.MaxBytesReader(w, r.Body, maxBody)
	for {
		if len(body) == cap(body) {
			more := max(firstRead, cap(body)) // doubled
			if !b.reserve(o, more) {
				return nil, Common("Throttling", "Rate exceeded")
			}
			body = append(make([]byte, 0, cap(body)+more), body...)
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var big *http.MaxBytesError
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return body, nil
		case errors.As(err, &big):
			return nil, errTooLarge
		default:
			return nil, Common("RequestTimeout", "The request body did not arrive in time or in full.")
		}
	}
}

func (b *bodies) release(o *owner) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= o.held
	o.held = 0
}
