package session

import (
	"time"

	"forebay/internal/engine"
	"forebay/internal/evloop"
	"forebay/internal/secret"
)

// A server connection may be logged in as a user that ends with a lease. It is given to nobody from some time before that, or
// once there is another user to log in as, and closed as soon as nobody has it: a transaction is not cut short for it. What is
// still in use when the lease ends is closed all the same, since its user is no more.

// hold takes note of the lease of the connection's user. Owned by loop.
func (sv *Server) hold(l *secret.Lease) {
	l.Hold()
	sv.w.leases = true
	sv.slot.Retires = func(share uint8) int64 { return evloop.NanosAt(l.Retires(float64(share) / 256)) }
}

// unhold says that the connection is no more.
func (sv *Server) unhold() {
	if sv.lease != nil {
		sv.lease.Release()
		sv.lease = nil
	}
}

// retires reports whether the connection is to be closed once it is given back. Owned by loop.
func (sv *Server) retires() bool {
	return sv.lease != nil && sv.slot.Due(sv.w.Loop.Nanos())
}

// tickLeases ends server connections in use whose users end. Owned by loop.
func (w *Worker) tickLeases(now time.Time) {
	if !w.leases {
		return
	}
	for _, s := range w.sessions {
		if s == nil || s.server == nil || s.server.lease == nil {
			continue
		}
		if ends := s.server.lease.Ends(); !now.Before(ends) {
			w.Log.Warn("a server connection is closed in the middle of something: the lease of its database user ends", "ends", ends)
			s.server.lost(engine.ErrLease)
		}
	}
}
