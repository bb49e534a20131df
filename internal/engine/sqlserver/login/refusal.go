package login

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"forebay/internal/engine"
	"forebay/internal/wire/tds"
)

// Numbers of SQL Server's errors (sys.messages) that the connection phase uses.
const (
	NumberDatabase        = 4060  // the database cannot be opened
	NumberSessionLimit    = 10928 // Azure's: a limit has been reached
	NumberBadPreLogin     = 17828 // PRELOGIN is structurally invalid
	NumberBadLogin        = 17832 // LOGIN7 is structurally invalid
	NumberEncryption      = 17835 // encryption is required
	NumberIntegrated      = 18452 // from an untrusted domain, cannot be used with integrated authentication
	NumberLoginFailed     = 18456
	NumberPasswordChange  = 18463 // password change failed
	NumberServiceError    = 40197 // Azure's: the service has encountered an error, try again
	NumberNotAvailable    = 40613 // Azure's: the database is not available, try again
	numberAttachedFile    = 15350 // a database file could not be attached
	classUser             = 14    // severity of a log-in that is refused
	classResource         = 16
	classFatal            = 20 // severity of what ends the connection
	maxShown              = 128
	textEncryptionNeeded  = "Encryption is required to connect to this server but the client library does not support encryption; the connection has been closed. Please upgrade your client library."
	textTokenWithoutTLS   = "Login failed: a token is accepted over an encrypted connection only. Set Encrypt to true (mandatory) or strict."
	textIntegrated        = "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication."
	textBadPreLogin       = "The prelogin packet used to open the connection is structurally invalid; the connection has been closed. Please contact the vendor of the client library."
	textBadLogin          = "The login packet used to open the connection is structurally invalid; the connection has been closed. Please contact the vendor of the client library."
	textService           = "The service has encountered an error processing your request. Please try again."
	textOldClient         = "The client speaks a version of TDS before 7.1, which is not supported; the connection has been closed. Please upgrade your client library."
	textAttachedFile      = "Database files are not attached by way of a proxy (AttachDBFilename, User Instance)."
	textPasswordUnchanged = "Login failed for user '%s'.  Reason: Password change failed. The password cannot be changed by way of a proxy."
)

// ErrUnknownUser is what AcceptOptions.Lookup returns for a user that may not log in. The client cannot tell it from a
// wrong password.
var ErrUnknownUser = errors.New("tds login: unknown user")

// ErrClientGone means that the client closed the connection at a point where clients may: before it had said anything, as
// health checks do, or instead of logging in, once it knew what encryption there is.
var ErrClientGone = errors.New("tds login: client closed the connection")

// Refusal is a login that was refused. The client has been told; only Reason is for the log alone.
type Refusal struct {
	Number int32
	State  uint8
	Class  uint8
	Text   string // as sent to the client
	Reason string // why, in our own words; never a secret
	User   string // empty if the client had not said yet
	Err    error  // what Lookup or a check returned, or how the message is malformed, if that was the cause
}

func (e *Refusal) Error() string {
	text := "tds login: refused: " + e.Reason
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
	switch e.Number {
	case NumberLoginFailed, NumberIntegrated, NumberEncryption, NumberServiceError, NumberPasswordChange:
		return true
	}
	return false
}

// AppendTo appends the refusal as the whole answer to a LOGIN7: ERROR and DONE, in packets.
func (e *Refusal) AppendTo(b []byte, v tds.Version, spid uint16) []byte {
	m := tds.Message{Number: e.Number, State: e.State, Class: e.Class, Text: e.Text, Line: 1}
	data := tds.AppendDone(m.Append(nil, v), v, true)
	return tds.AppendMessage(b, tds.PacketReply, 0, tds.MinPacketSize, spid, data)
}

func badPreLogin(err error) *Refusal {
	return &Refusal{Number: NumberBadPreLogin, State: 20, Class: classFatal, Text: textBadPreLogin, Reason: "bad PRELOGIN", Err: err}
}

func badLogin(err error) *Refusal {
	return &Refusal{Number: NumberBadLogin, State: 1, Class: classFatal, Text: textBadLogin, Reason: "bad login packet", Err: err}
}

func oldClient() *Refusal {
	return &Refusal{Number: NumberBadLogin, State: 2, Class: classFatal, Text: textOldClient, Reason: "the client is older than TDS 7.1"}
}

func tlsRequired(reason string) *Refusal {
	return &Refusal{Number: NumberEncryption, State: 1, Class: classFatal, Text: textEncryptionNeeded, Reason: reason}
}

// tokenWithoutTLS refuses a client that has sent a token where not all of the session is encrypted.
func tokenWithoutTLS() *Refusal {
	return &Refusal{
		Number: NumberLoginFailed, State: 1, Class: classUser, Text: textTokenWithoutTLS, Reason: "a token without TLS",
		Err: &engine.TokenError{Reason: engine.TokenNoTLS},
	}
}

// cannotTell refuses a client of whom we cannot know whether it may come in.
func cannotTell(reason string, err error) *Refusal {
	return &Refusal{Number: NumberServiceError, State: 1, Class: classResource, Text: textService, Reason: reason, Err: err}
}

// loginFailed is the one answer to a bad proof, whether or not the user exists.
func loginFailed(user, reason string) *Refusal {
	return &Refusal{
		Number: NumberLoginFailed, State: 1, Class: classUser, Text: "Login failed for user '" + shown(user) + "'.", Reason: reason,
	}
}

func tooMany(most int) *Refusal {
	return &Refusal{
		Number: NumberSessionLimit, State: 1, Class: classResource, Reason: "too many clients",
		Text: fmt.Sprintf("Resource ID : 2. The session limit for the proxy is %d and has been reached.", most),
	}
}

// shown is a peer's text as far as it is repeated to it.
func shown(s string) string {
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "")
	}
	return s
}

// printable makes a peer's text fit for a log.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, shown(s))
}
