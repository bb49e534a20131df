package login

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
)

// maxServerIterations bounds the work that a server can ask of us, about a second of it.
const maxServerIterations = 2_000_000

// Kinds of Authentication messages (AUTH_REQ_* in the server's source).
const (
	authOk        = 0
	authKerberos5 = 2
	authCleartext = 3
	authMD5       = 5
	authGSS       = 7
	authSSPI      = 9
	authSASL      = 10
	authSASLCont  = 11
	authSASLFinal = 12
)

// authenticate answers what the server asks until AuthenticationOk.
func (l *dialer) authenticate() error {
	kind, data, err := l.nextAuth()
	if err != nil {
		return err
	}
	credentials := l.o.Credentials
	if credentials.token && kind != authOk && kind != authCleartext {
		return fmt.Errorf("%w: server asks the user %q for %s, and not for a password in the clear, as a token is sent: the user is not set up for IAM there (GRANT rds_iam)",
			ErrAuth, printable(credentials.user), authName(kind))
	}
	switch kind {
	case authOk:
		return nil
	case authCleartext:
		if l.tls.tls == nil {
			return fmt.Errorf("%w: server asks for the password in the clear, without TLS", ErrAuth)
		}
		if err := l.sendPassword(credentials.password.Reveal()); err != nil {
			return err
		}
	case authMD5:
		if len(data) != 4 {
			return fmt.Errorf("%w: MD5 salt of %d bytes", ErrProtocol, len(data))
		}
		answer := md5Response(md5Hash(credentials.user, credentials.password.Reveal()), [4]byte(data))
		if err := l.sendPassword(string(answer[:])); err != nil {
			return err
		}
	case authSASL:
		if err := l.scram(data); err != nil {
			return err
		}
	case authKerberos5, authGSS, authSSPI:
		return fmt.Errorf("%w: server asks for Kerberos (GSSAPI or SSPI); only SCRAM, MD5 and passwords over TLS are spoken",
			ErrAuth)
	default:
		return fmt.Errorf("%w: server asks for authentication method %d, which is not supported", ErrAuth, kind)
	}
	if kind, _, err = l.nextAuth(); err != nil {
		return err
	}
	if kind != authOk {
		return fmt.Errorf("%w: authentication request %d after an answer", ErrProtocol, kind)
	}
	return nil
}

// authName is what a kind of authentication is called.
func authName(kind uint32) string {
	switch kind {
	case authMD5:
		return "an MD5 password"
	case authSASL:
		return "SCRAM"
	case authKerberos5, authGSS, authSSPI:
		return "Kerberos"
	}
	return fmt.Sprintf("authentication method %d", kind)
}

// nextAuth reads one Authentication message. The data is valid until the next read.
func (l *dialer) nextAuth() (kind uint32, data []byte, err error) {
	typ, body, err := l.next()
	if err != nil {
		return 0, nil, err
	}
	if typ != 'R' || len(body) < 4 {
		return 0, nil, fmt.Errorf("%w: message %q during authentication", ErrProtocol, typ)
	}
	return binary.BigEndian.Uint32(body), body[4:], nil
}

// sendPassword sends PasswordMessage.
func (l *dialer) sendPassword(text string) error {
	if strings.IndexByte(text, 0) >= 0 {
		return fmt.Errorf("%w: the password contains a zero byte", ErrAuth)
	}
	out := binary.BigEndian.AppendUint32([]byte{'p'}, uint32(4+len(text)+1))
	out = append(append(out, text...), 0)
	_, err := l.s.Conn.Write(out)
	return ioError(err)
}

func (l *dialer) send(m pgproto3.FrontendMessage) error {
	out, err := m.Encode(nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	_, err = l.s.Conn.Write(out)
	return ioError(err)
}

// scram proves the password by SCRAM-SHA-256, bound to the TLS channel where the server offers it, and checks that the
// server knows the password too.
func (l *dialer) scram(data []byte) error {
	offered := strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
	client := l.o.Credentials.client()
	var conversation *scram.ClientConversation
	mechanism := mechSCRAM
	switch bindable := l.tls.binding.IsSupported(); {
	case bindable && slices.Contains(offered, mechSCRAMPlus):
		mechanism = mechSCRAMPlus
		conversation = client.NewConversationWithChannelBinding(l.tls.binding)
	case !slices.Contains(offered, mechSCRAM):
		return fmt.Errorf("%w: server offers none of our SASL mechanisms", ErrAuth)
	case bindable:
		// "I could bind, you did not offer": a server that did offer will notice that somebody changed its list.
		conversation = client.NewConversationAdvertisingChannelBinding()
	default:
		conversation = client.NewConversation()
	}
	first, err := conversation.Step("")
	if err != nil {
		return scramError()
	}
	if err := l.send(&pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: []byte(first)}); err != nil {
		return err
	}

	challenge, err := l.saslData(authSASLCont)
	if err != nil {
		return err
	}
	factors, ok := parseFactors(challenge)
	if !ok {
		return scramError()
	}
	// Derived here, where connections that open together wait for one derivation; Step below finds it done.
	if _, err := l.o.Credentials.keys(factors); err != nil {
		return scramError()
	}
	final, err := conversation.Step(challenge)
	if err != nil {
		return scramError()
	}
	if err := l.send(&pgproto3.SASLResponse{Data: []byte(final)}); err != nil {
		return err
	}

	verdict, err := l.saslData(authSASLFinal)
	if err != nil {
		return err
	}
	if _, err := conversation.Step(verdict); err != nil || !conversation.Valid() {
		return fmt.Errorf("%w: the server did not prove that it knows the password", ErrAuth)
	}
	return nil
}

func (l *dialer) saslData(want uint32) (string, error) {
	kind, data, err := l.nextAuth()
	if err != nil {
		return "", err
	}
	if kind != want {
		return "", fmt.Errorf("%w: authentication request %d within SASL", ErrProtocol, kind)
	}
	return string(data), nil
}

// scramError hides the library's texts, which quote messages.
func scramError() error { return fmt.Errorf("%w: malformed SCRAM message", ErrProtocol) }

// parseFactors reads salt and iteration count of the server's first message: r=nonce,s=salt,i=count.
func parseFactors(challenge string) (scram.KeyFactors, bool) {
	fields := strings.Split(challenge, ",")
	if len(fields) < 3 {
		return scram.KeyFactors{}, false
	}
	salt64, isSalt := strings.CutPrefix(fields[1], "s=")
	count, isCount := strings.CutPrefix(fields[2], "i=")
	salt, saltErr := base64.StdEncoding.DecodeString(salt64)
	iterations, countErr := strconv.Atoi(count)
	if !isSalt || !isCount || saltErr != nil || countErr != nil || iterations < 1 || iterations > maxServerIterations {
		return scram.KeyFactors{}, false
	}
	return scram.KeyFactors{Salt: string(salt), Iters: iterations}, true
}
