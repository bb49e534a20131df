package login

import (
	"fmt"
	"strings"

	"forebay/internal/wire/mysqlwire"
)

// maxAuthPackets is how many packets a server may take until it has decided; no plugin needs more than 4.
const maxAuthPackets = 16

// authenticate answers what the server asks until OK.
func (l *dialer) authenticate() error {
	for range maxAuthPackets {
		payload, err := l.r.packet(&l.seq, maxLoginPacket)
		if err != nil {
			return ioError(err)
		}
		if len(payload) == 0 {
			return fmt.Errorf("%w: empty packet during authentication", ErrProtocol)
		}
		switch payload[0] {
		case mysqlwire.HeaderOK:
			return l.ok(payload)
		case mysqlwire.HeaderERR:
			return parseServerError(payload)
		case mysqlwire.HeaderAuthSwitch:
			err = l.switchPlugin(payload)
		case mysqlwire.HeaderAuthMoreData:
			err = l.more(payload)
		case mysqlwire.HeaderNextFactor:
			return fmt.Errorf("%w: server asks for a second authentication factor", ErrAuth)
		default:
			return fmt.Errorf("%w: packet 0x%02x during authentication", ErrProtocol, payload[0])
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: authentication does not end", ErrProtocol)
}

func (l *dialer) ok(payload []byte) error {
	p, err := mysqlwire.ParseOK(payload, l.s.Capabilities)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	l.s.Status, l.s.Plugin = p.Status, l.plugin
	l.s.SessionState = append([]byte(nil), p.SessionState...)
	return nil
}

func (l *dialer) switchPlugin(payload []byte) error {
	r, err := mysqlwire.ParseAuthSwitchRequest(payload)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	l.plugin, l.scramble = r.Plugin, append(l.scramble[:0], r.Data...)
	proof, err := l.proof()
	if err != nil {
		return err
	}
	return l.send(func(dst []byte) []byte { return append(dst, proof...) })
}

// proof is the first answer of the plugin that is current.
func (l *dialer) proof() ([]byte, error) {
	password := l.o.Credentials.password.Reveal()
	if l.o.Credentials.token && l.plugin != mysqlwire.PluginClearPassword {
		return nil, fmt.Errorf("%w: server asks the user %q for the authentication plugin %q, and not for %s, by which a token is sent: the user is not set up for IAM there (IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS')",
			ErrAuth, printable(l.o.Credentials.user), printable(l.plugin), mysqlwire.PluginClearPassword)
	}
	switch l.plugin {
	case mysqlwire.PluginNative, mysqlwire.PluginCachingSHA2:
		s, err := l.fixedScramble()
		if err != nil {
			return nil, err
		}
		if l.plugin == mysqlwire.PluginNative {
			return nativeProof(password, s), nil
		}
		return sha2Proof(password, s), nil
	case mysqlwire.PluginEd25519:
		if len(l.scramble) < ed25519NonceLen {
			return nil, fmt.Errorf("%w: scramble of %d bytes for %s", ErrProtocol, len(l.scramble), l.plugin)
		}
		return ed25519Proof(password, l.scramble[:ed25519NonceLen]), nil
	case mysqlwire.PluginClearPassword:
		if !l.s.TLS {
			return nil, fmt.Errorf("%w: server asks for the password in the clear, without TLS", ErrAuth)
		}
		return l.endedPassword()
	}
	return nil, fmt.Errorf("%w: server asks for the authentication plugin %q, which is not supported", ErrAuth, printable(l.plugin))
}

func (l *dialer) fixedScramble() (scramble, error) {
	if len(l.scramble) < mysqlwire.ScrambleLen {
		return scramble{}, fmt.Errorf("%w: scramble of %d bytes for %s", ErrProtocol, len(l.scramble), l.plugin)
	}
	return scramble(l.scramble[:mysqlwire.ScrambleLen]), nil
}

// endedPassword is the password and a zero.
func (l *dialer) endedPassword() ([]byte, error) {
	password := l.o.Credentials.password.Reveal()
	if strings.IndexByte(password, 0) >= 0 {
		return nil, fmt.Errorf("%w: the password contains a zero byte", ErrAuth)
	}
	return append([]byte(password), 0), nil
}

// more takes what caching_sha2_password's server says beyond the first answer; no other plugin of ours has any.
func (l *dialer) more(payload []byte) error {
	data, err := mysqlwire.ParseAuthMoreData(payload)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if l.plugin != mysqlwire.PluginCachingSHA2 || len(data) != 1 {
		return fmt.Errorf("%w: unexpected AuthMoreData of %d bytes for %s", ErrProtocol, len(data), l.plugin)
	}
	switch data[0] {
	case mysqlwire.SHA2FastAuthOK:
		return nil
	case mysqlwire.SHA2FullAuth:
		return l.fullSHA2()
	}
	return fmt.Errorf("%w: AuthMoreData 0x%02x for %s", ErrProtocol, data[0], l.plugin)
}

// fullSHA2 sends the password itself: over TLS as it is, otherwise encrypted by the server's key.
func (l *dialer) fullSHA2() error {
	answer, err := l.endedPassword()
	if err != nil {
		return err
	}
	if !l.s.TLS {
		if answer, err = l.encrypted(); err != nil {
			return err
		}
	}
	return l.send(func(dst []byte) []byte { return append(dst, answer...) })
}

// encrypted asks for the server's key and uses it. Whoever sits on the way can give us another: who minds that uses TLS.
func (l *dialer) encrypted() ([]byte, error) {
	s, err := l.fixedScramble()
	if err != nil {
		return nil, err
	}
	if err := l.send(func(dst []byte) []byte { return append(dst, mysqlwire.SHA2RequestPublicKey) }); err != nil {
		return nil, err
	}
	payload, err := l.r.packet(&l.seq, maxLoginPacket)
	if err != nil {
		return nil, ioError(err)
	}
	if mysqlwire.IsERR(payload) {
		return nil, parseServerError(payload)
	}
	text, err := mysqlwire.ParseAuthMoreData(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	key, err := parsePublicKey(text)
	if err != nil {
		return nil, fmt.Errorf("%w: the server's RSA key: %w", ErrProtocol, err)
	}
	out, err := encryptPassword(l.o.Credentials.password.Reveal(), s, key)
	if err != nil {
		return nil, fmt.Errorf("%w: the password cannot be encrypted by the server's RSA key: %w", ErrAuth, err)
	}
	return out, nil
}
