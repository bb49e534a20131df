package login

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"forebay/internal/engine"
)

// SQLSTATEs used in the connection phase.
const (
	codeProtocolViolation    = "08P01"
	codeInvalidAuthorization = "28000"
	codeInvalidPassword      = "28P01"
	codeFeatureNotSupported  = "0A000"
	codeSyntaxError          = "42601"
	codeInvalidParameter     = "22023"
	codeTooManyConnections   = "53300"
	codeInternalError        = "XX000"
)

// ErrUnknownUser is what AcceptOptions.Lookup returns for a user that may not log in. The client cannot tell it from a
// wrong password.
var ErrUnknownUser = errors.New("postgres login: unknown user")

// ErrClientGone means that the client closed the connection at a point where clients may: before the startup packet, or
// when asked for a password it does not have (psql then asks its user and connects again).
var ErrClientGone = errors.New("postgres login: client closed the connection")

// Refusal is a login that was refused. The client has been told, with Severity FATAL; only Reason is for the log alone.
type Refusal struct {
	SQLSTATE string
	Message  string // as sent to the client
	Detail   string // as sent to the client; often empty
	Hint     string // as sent to the client; often empty
	Reason   string // why, in our own words; never a secret
	User     string // empty if the client had not said yet
	Err      error  // what Lookup returned, if that was the cause
}

func (e *Refusal) Error() string {
	return "postgres login: refused: " + e.Reason + " (SQLSTATE " + e.SQLSTATE + ")"
}

func (e *Refusal) Unwrap() error { return e.Err }

// RefusedUser is whom the client wanted to be.
func (e *Refusal) RefusedUser() string { return e.User }

// AuthFailure reports whether the client could not be authenticated, or came without TLS where that is required; other
// refusals are about the protocol or the startup parameters (contract 8.1, ClientConnectionsSetupFailedAuth).
func (e *Refusal) AuthFailure() bool { return strings.HasPrefix(e.SQLSTATE, "28") || e.Err != nil }

// AppendTo appends the refusal as an ErrorResponse.
func (e *Refusal) AppendTo(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, 'E', 0, 0, 0, 0)
	dst = append(dst, "SFATAL\x00VFATAL\x00C"...)
	dst = append(dst, e.SQLSTATE...)
	dst = appendField(dst, 'M', e.Message)
	if e.Detail != "" {
		dst = appendField(dst, 'D', e.Detail)
	}
	if e.Hint != "" {
		dst = appendField(dst, 'H', e.Hint)
	}
	dst = append(dst, 0, 0)
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}

// appendField ends the field before it and begins the next.
func appendField(dst []byte, name byte, value string) []byte {
	dst = append(dst, 0, name)
	return append(dst, value...)
}

// appendOldTo appends the refusal as protocol 2 had it: one text, no fields.
func (e *Refusal) appendOldTo(dst []byte) []byte {
	dst = append(dst, "EFATAL:  "...)
	dst = append(dst, e.Message...)
	return append(dst, '\n', 0)
}

func wrongPassword(user, reason string) *Refusal {
	return &Refusal{
		SQLSTATE: codeInvalidPassword,
		Message:  "The password that was provided for the role " + user + " is wrong.",
		Reason:   reason,
		User:     user,
	}
}

// badToken is the one answer to a token that does not let its client in, and to a password in its place (contract 4.4).
func badToken(user string, err error) *Refusal {
	return &Refusal{
		SQLSTATE: codeInvalidPassword,
		Message: "The IAM authentication failed for the role " + user +
			". Check the IAM token for this role and try again.",
		Reason: err.Error(),
		User:   user,
		Err:    err,
	}
}

// tokenWithoutTLS refuses a client before it sends its token in the clear.
func tokenWithoutTLS() *Refusal {
	err := &engine.TokenError{Reason: engine.TokenNoTLS}
	return &Refusal{
		SQLSTATE: codeInvalidAuthorization,
		Message:  "IAM authentication is allowed only with SSL connections.",
		Reason:   err.Error(),
		Err:      err,
	}
}

// cannotTell refuses a client of whom we cannot know whether it may come in.
func cannotTell(reason string, err error) *Refusal {
	return &Refusal{SQLSTATE: codeInternalError, Message: "Unknown error.", Reason: reason + ": " + err.Error(), Err: err}
}

func protocolViolation(message string) *Refusal {
	return &Refusal{SQLSTATE: codeProtocolViolation, Message: message, Reason: message}
}

// notAnAuthMessage is the contract's text for an answer of another kind than was asked for.
func notAnAuthMessage(reason string) *Refusal {
	return &Refusal{
		SQLSTATE: codeProtocolViolation,
		Message:  "RDS Proxy supports only IAM, MD5, or SCRAM authentication.",
		Reason:   reason,
	}
}

func tlsRequired(reason string) *Refusal {
	return &Refusal{
		SQLSTATE: codeInvalidAuthorization,
		Message:  "This RDS Proxy requires TLS connections",
		Reason:   reason,
	}
}

// TooManyClients refuses a client because there are as many as there may be (contract 4.4).
func TooManyClients(limit int) *Refusal {
	return &Refusal{
		SQLSTATE: codeTooManyConnections,
		Message:  fmt.Sprintf("The maximum number of client connections to the proxy exceeded %d.", limit),
		Reason:   "too many client connections",
	}
}
