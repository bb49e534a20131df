package login

import (
	"errors"
	"strings"
	"unicode"

	"forebay/internal/engine"
	"forebay/internal/wire/mysqlwire"
)

// Error codes used in the connection phase (the servers' mysqld_error.h) and their SQLSTATEs.
const (
	codeConCount       = 1040 // ER_CON_COUNT_ERROR
	codeBadHandshake   = 1043 // ER_HANDSHAKE_ERROR
	codeDBAccessDenied = 1044 // ER_DBACCESS_DENIED_ERROR
	codeAccessDenied   = 1045 // ER_ACCESS_DENIED_ERROR
	codeUnknownError   = 1105 // ER_UNKNOWN_ERROR
	codeNotSupported   = 1251 // ER_NOT_SUPPORTED_AUTH_MODE
	codeTLSRequired    = 3159 // ER_SECURE_TRANSPORT_REQUIRED

	stateGeneral       = "HY000"
	stateAccessDenied  = "28000"
	stateCommunication = "08S01"
	stateRejected      = "08004"
)

// ErrUnknownUser is what AcceptOptions.Lookup returns for a user that may not log in. The client cannot tell it from a
// wrong password.
var ErrUnknownUser = errors.New("mysql login: unknown user")

// ErrClientGone means that the client closed the connection at a point where clients may: after the greeting, as health
// checks do, or when asked for a proof that it does not have.
var ErrClientGone = errors.New("mysql login: client closed the connection")

// Refusal is a login that was refused. The client has been told; only Reason is for the log alone.
type Refusal struct {
	Code     uint16
	SQLState string
	Message  string // as sent to the client
	Reason   string // why, in our own words; never a secret
	User     string // empty if the client had not said yet
	Err      error  // what Lookup returned, or how the packet is malformed, if that was the cause
}

func (e *Refusal) Error() string {
	text := "mysql login: refused: " + e.Reason
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Refusal) Unwrap() error { return e.Err }

// RefusedUser is whom the client wanted to be.
func (e *Refusal) RefusedUser() string { return e.User }

// AuthFailure reports whether the client could not be authenticated, or came without TLS where that is required; other
// refusals are about the protocol (contract 8.1, ClientConnectionsSetupFailedAuth).
func (e *Refusal) AuthFailure() bool {
	switch e.Code {
	case codeAccessDenied, codeTLSRequired, codeUnknownError, codeNotSupported:
		return true
	}
	return false
}

// AppendTo appends the refusal as the payload of an ERR packet for a client of protocol 4.1.
func (e *Refusal) AppendTo(dst []byte) []byte {
	return (&mysqlwire.Error{Code: e.Code, SQLState: e.SQLState, Message: e.Message}).Append(dst)
}

func badHandshake(err error) *Refusal {
	return &Refusal{Code: codeBadHandshake, SQLState: stateCommunication, Message: "Bad handshake", Reason: "bad handshake", Err: err}
}

func tlsRequired(reason string) *Refusal {
	return &Refusal{Code: codeTLSRequired, SQLState: stateGeneral, Message: "This RDS Proxy requires TLS connections.", Reason: reason}
}

// tokenWithoutTLS refuses a client before it sends its token in the clear. The contract has no other text for that.
func tokenWithoutTLS() *Refusal {
	refusal := tlsRequired("the user logs in with a token")
	refusal.Err = &engine.TokenError{Reason: engine.TokenNoTLS}
	return refusal
}

// cannotTell refuses a client of whom we cannot know whether it may come in.
func cannotTell(reason string, err error) *Refusal {
	return &Refusal{Code: codeUnknownError, SQLState: stateGeneral, Message: "Unknown error", Reason: reason, Err: err}
}

func notSupported(reason string) *Refusal {
	return &Refusal{
		Code:     codeNotSupported,
		SQLState: stateRejected,
		Message:  "Client does not support authentication protocol requested by server; consider upgrading MySQL client",
		Reason:   reason,
	}
}

// maxShownUser is the most bytes of a user name that are repeated to the client or to the log.
const maxShownUser = 128

// accessDenied is the one answer to a bad proof, whether or not the user exists.
func accessDenied(user, host string, usedPassword bool, reason string) *Refusal {
	using := "NO"
	if usedPassword {
		using = "YES"
	}
	if len(user) > maxShownUser {
		user = user[:maxShownUser]
	}
	return &Refusal{
		Code:     codeAccessDenied,
		SQLState: stateAccessDenied,
		Message:  "Access denied for user '" + user + "'@'" + host + "' (using password: " + using + ")",
		Reason:   reason,
	}
}

// printable makes a peer's text fit for a log.
func printable(s string) string {
	if len(s) > maxShownUser {
		s = s[:maxShownUser]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
