package engine

import "errors"

// Conditions that an engine tells a client in its own protocol, with the contract's code and text (section 4.3, 4.4).
var (
	ErrBorrowTimeout  = errors.New("timed out waiting for a server connection")
	ErrTooManyWaiting = errors.New("too many clients wait for a server connection")
	ErrCanceled       = errors.New("canceled by the client while it waited for a server connection")
	ErrIdle           = errors.New("client idle for too long")
	ErrLifetime       = errors.New("client connection has reached its maximum lifetime")
	ErrKilled         = errors.New("killed by another client of the same user")
	ErrShutdown       = errors.New("the proxy is shutting down")
	ErrUnsure         = errors.New("the server connection's state was unsure, so it was closed")
	ErrFailover       = errors.New("the database has failed over")
	ErrLease          = errors.New("the lease of the database user ends")
	ErrNoWriter       = errors.New("no member of the cluster is the writer")
	ErrNoReader       = errors.New("no member of the cluster is a reader that can be used")
	ErrNoReaders      = errors.New("the target has no readers")
	ErrPaused         = errors.New("the proxy is paused")
	ErrUnfit          = errors.New("the database's server connections do not fit the session any more")
)

// BorrowError is ErrBorrowTimeout together with why no server connection could be opened meanwhile.
type BorrowError struct{ Cause error }

func (e *BorrowError) Error() string { return ErrBorrowTimeout.Error() + ": " + e.Cause.Error() }

// Is makes the error an ErrBorrowTimeout.
func (e *BorrowError) Is(target error) bool { return target == ErrBorrowTimeout }

// Unwrap gives the cause.
func (e *BorrowError) Unwrap() error { return e.Cause }
