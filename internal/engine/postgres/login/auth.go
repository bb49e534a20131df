package login

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"

	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"

	"github.com/xdg-go/scram"
)

// Mechanism names of SASL.
const (
	mechSCRAM     = "SCRAM-SHA-256"
	mechSCRAMPlus = "SCRAM-SHA-256-PLUS"
)

// Whole messages that never change.
var (
	authenticationOk        = []byte{'R', 0, 0, 0, 8, 0, 0, 0, 0}
	authenticationCleartext = []byte{'R', 0, 0, 0, 8, 0, 0, 0, 3}
	authenticationSASL      = appendAuth(nil, 10, []byte(mechSCRAM+"\x00\x00"))
	authenticationSASLPlus  = appendAuth(nil, 10, []byte(mechSCRAMPlus+"\x00"+mechSCRAM+"\x00\x00"))
)

// appendAuth appends an Authentication message of a kind.
func appendAuth(dst []byte, kind uint32, data []byte) []byte {
	dst = append(dst, 'R')
	dst = binary.BigEndian.AppendUint32(dst, uint32(8+len(data)))
	dst = binary.BigEndian.AppendUint32(dst, kind)
	return append(dst, data...)
}

// send writes what has gathered in a.out.
func (a *acceptor) send() error {
	_, err := a.conn.Write(a.out)
	a.out = a.out[:0]
	return err
}

// answer reads the client's next authentication message, all of which have type 'p'. What has come behind it is read
// along, and handed to the query phase in the end.
func (a *acceptor) answer(what string) ([]byte, error) {
	typ, body, err := a.r.message(what, maxAuthMessage, true)
	if err != nil {
		return nil, err
	}
	if typ != 'p' {
		if typ == 'X' {
			return nil, io.EOF // Terminate: the client has thought better of it
		}
		return nil, notAnAuthMessage("client answered a request for " + what + " with another message")
	}
	return body, nil
}

// authenticate asks for the user's proof and returns the Greeting.
func (a *acceptor) authenticate(ctx context.Context, v *Verifier) ([]byte, error) {
	switch v.authType {
	case resource.PostgresMD5:
		return a.md5(v)
	case resource.PostgresCleartext:
		return a.cleartext(ctx, v)
	}
	return a.scram(v)
}

// wrong is the one answer to a bad proof, whether or not the user exists.
func (a *acceptor) wrong(v *Verifier) *Refusal {
	if v.mock {
		return wrongPassword(a.st.user, "unknown user")
	}
	return wrongPassword(a.st.user, "wrong password")
}

func (a *acceptor) md5(asked *Verifier) ([]byte, error) {
	var salt [4]byte
	rand.Read(salt[:])
	a.out = appendAuth(a.out, 5, salt[:])
	if err := a.send(); err != nil {
		return nil, err
	}
	body, err := a.answer("MD5 password")
	if err != nil {
		return nil, err
	}
	got, ok := bytes.CutSuffix(body, []byte{0})
	if !ok {
		return nil, protocolViolation("invalid password packet size")
	}
	for v := asked; v != nil; v = v.older() {
		want := md5Response(v.md5, salt)
		if subtle.ConstantTimeCompare(got, want[:]) == 1 && !v.mock {
			return authenticationOk, nil
		}
	}
	return nil, a.wrong(asked)
}

func (a *acceptor) cleartext(ctx context.Context, v *Verifier) ([]byte, error) {
	if a.tls == nil {
		if v.tokensOnly {
			return nil, tokenWithoutTLS()
		}
		return nil, tlsRequired("the user logs in with a cleartext password, the client came without TLS")
	}
	a.out = append(a.out, authenticationCleartext...)
	if err := a.send(); err != nil {
		return nil, err
	}
	body, err := a.answer("password")
	if err != nil {
		return nil, err
	}
	password, ok := bytes.CutSuffix(body, []byte{0})
	if !ok {
		return nil, protocolViolation("invalid password packet size")
	}
	if v.check != nil {
		if err := a.checked(ctx, v, secret.Password(password)); err != nil {
			return nil, err
		}
	} else if !v.Holds(secret.Password(password)) {
		return nil, a.wrong(v)
	}
	return authenticationOk, nil
}

// checked has a verifier's check judge what the client sent, and makes a refusal of its verdict.
func (a *acceptor) checked(ctx context.Context, v *Verifier, password secret.Password) error {
	var err error
	a.o.Block(func() { err = v.check(ctx, password) })
	switch {
	case err == nil && !v.mock:
		return nil
	case err == nil || errors.Is(err, engine.ErrWrongPassword):
		return a.wrong(v)
	case engine.TokenInvalid(err):
		return badToken(a.st.user, err)
	}
	return cannotTell("the token cannot be checked", err)
}

// scram conducts SCRAM-SHA-256, with or without channel binding (RFC 5802, RFC 7677; the server's auth-scram.c).
func (a *acceptor) scram(v *Verifier) ([]byte, error) {
	plusOffered := a.tls != nil && a.o.TLS.binding.IsSupported()
	nonce := newNonce()
	conversation, err := a.conversation(v, nonce, plusOffered)
	if err != nil {
		return nil, err
	}
	if plusOffered {
		a.out = append(a.out, authenticationSASLPlus...)
	} else {
		a.out = append(a.out, authenticationSASL...)
	}
	if err := a.send(); err != nil {
		return nil, err
	}

	body, err := a.answer("SASL mechanism")
	if err != nil {
		return nil, err
	}
	initial, err := parseSASLInitial(body)
	if err != nil {
		return nil, err
	}
	plus := initial.mechanism == mechSCRAMPlus
	if !plus && initial.mechanism != mechSCRAM || plus && !plusOffered {
		return nil, notAnAuthMessage("client selected an invalid SASL authentication mechanism")
	}
	first := initial.data
	if !initial.hasData { // allowed by the protocol, done by no client known: the challenge is then empty
		a.out = appendAuth(a.out, 11, nil)
		if err := a.send(); err != nil {
			return nil, err
		}
		if body, err = a.answer("SASL response"); err != nil {
			return nil, err
		}
		first = string(body)
	}
	if refusal := checkBindingFlag(first, plus, plusOffered); refusal != nil {
		return nil, refusal
	}
	challenge, err := conversation.Step(first)
	if err != nil {
		return nil, malformedSCRAM()
	}
	a.out = appendAuth(a.out, 11, []byte(challenge))
	if err := a.send(); err != nil {
		return nil, err
	}

	body, err = a.answer("SASL response")
	if err != nil {
		return nil, err
	}
	verdict, err := conversation.Step(string(body))
	if err != nil && verdict == scram.ErrInvalidProof && v.older() != nil {
		// The same messages, held against the other password. Salt, count and nonce are the same, and so is the challenge.
		if conversation, err = a.conversation(v.previous, nonce, plusOffered); err != nil {
			return nil, err
		}
		if _, err = conversation.Step(first); err == nil {
			verdict, err = conversation.Step(string(body))
		}
	}
	switch {
	case err != nil && verdict == scram.ErrInvalidProof:
		return nil, a.wrong(v)
	case err != nil && verdict == scram.ErrChannelBindingsDontMatch:
		return nil, bindingRefusal("SCRAM channel binding check failed", "")
	case err != nil:
		return nil, malformedSCRAM()
	case v.mock || !conversation.Valid():
		return nil, a.wrong(v)
	}
	greeting := make([]byte, 0, 9+len(verdict)+len(authenticationOk))
	greeting = appendAuth(greeting, 12, []byte(verdict))
	return append(greeting, authenticationOk...), nil
}

// newNonce is the server's part of a SCRAM nonce.
func newNonce() string {
	raw := make([]byte, 18) // as PostgreSQL's
	rand.Read(raw)          // never fails
	return base64.StdEncoding.EncodeToString(raw)
}

// conversation begins the server's side of SCRAM.
func (a *acceptor) conversation(v *Verifier, nonce string, plusOffered bool) (*scram.ServerConversation, error) {
	// The name in the SCRAM message means nothing: PostgreSQL's clients leave it empty.
	s, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return *v.scram, nil })
	if err != nil {
		return nil, err
	}
	s.WithNonceGenerator(func() string { return nonce })
	if plusOffered {
		return s.NewConversationWithChannelBinding(a.o.TLS.binding), nil
	}
	return s.NewConversation(), nil
}

// saslInitial is a SASLInitialResponse.
type saslInitial struct {
	mechanism string
	data      string
	hasData   bool
}

func parseSASLInitial(body []byte) (saslInitial, error) {
	mechanism, rest, ok := bytes.Cut(body, []byte{0})
	if !ok || len(rest) < 4 {
		return saslInitial{}, protocolViolation("invalid SASLInitialResponse message")
	}
	m := saslInitial{mechanism: string(mechanism)}
	length := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	switch {
	case length == 1<<32-1 && len(rest) == 0:
	case int64(length) == int64(len(rest)):
		m.hasData, m.data = true, string(rest)
	default:
		return saslInitial{}, protocolViolation("invalid SASLInitialResponse message")
	}
	return m, nil
}

// checkBindingFlag holds the client's word about channel binding against the mechanism it chose, as read_client_first
// _message of auth-scram.c does. A client that could bind but says that we cannot has been lied to on the way.
func checkBindingFlag(first string, plus, plusOffered bool) *Refusal {
	if first == "" {
		return malformedSCRAM()
	}
	switch first[0] {
	case 'n', 'y':
		if plus {
			return malformedSCRAM()
		}
		if first[0] == 'y' && plusOffered {
			return bindingRefusal("SCRAM channel binding negotiation error",
				"The client supports SCRAM channel binding but thinks the server does not.  "+
					"However, this server does support channel binding.")
		}
	case 'p':
		if !plus {
			return malformedSCRAM()
		}
	}
	return nil
}

func bindingRefusal(message, detail string) *Refusal {
	return &Refusal{SQLSTATE: codeInvalidAuthorization, Message: message, Detail: detail, Reason: message}
}

func malformedSCRAM() *Refusal { return protocolViolation("malformed SCRAM message") }
