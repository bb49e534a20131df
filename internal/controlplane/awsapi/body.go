package awsapi

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
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

// bodies keeps the sum of all bodies within maxBodies.
type bodies struct{ held atomic.Int64 }

// reserve takes n bytes of the sum, if they are there.
func (b *bodies) reserve(n int) bool {
	if b.held.Add(int64(n)) > maxBodies {
		b.held.Add(-int64(n))
		return false
	}
	return true
}

// read reads a request's body. Memory is reserved as bytes arrive, since a header promises anything. The caller releases
// held whatever the error.
func (b *bodies) read(w http.ResponseWriter, r *http.Request) (body []byte, held int, err error) {
	if r.ContentLength > maxBody {
		return nil, 0, errTooLarge
	}
	from := http.MaxBytesReader(w, r.Body, maxBody)
	for {
		if len(body) == cap(body) {
			more := max(firstRead, cap(body)) // doubled
			if !b.reserve(more) {
				return nil, held, Common("Throttling", "Rate exceeded")
			}
			held += more
			body = append(make([]byte, 0, cap(body)+more), body...)
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var big *http.MaxBytesError
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return body, held, nil
		case errors.As(err, &big):
			return nil, held, errTooLarge
		default:
			return nil, held, Common("RequestTimeout", "The request body did not arrive in time or in full.")
		}
	}
}

func (b *bodies) release(held int) { b.held.Add(-int64(held)) }
