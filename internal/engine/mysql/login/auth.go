package login

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net"

	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/wire/mysqlwire"
)

// authenticate checks the client's proof. plugin and data are what the client has begun with, by its last scramble.
func (a *acceptor) authenticate(ctx context.Context, plugin string, data []byte) (*Verifier, error) {
	v, err := a.lookup(ctx)
	if err != nil {
		return nil, err
	}
	want := v.plugin()
	if want == mysqlwire.PluginClearPassword && !a.tls {
		if v.check != nil {
			return nil, tokenWithoutTLS()
		}
		return nil, tlsRequired("the user logs in with a cleartext password, the client came without TLS")
	}
	switch {
	case plugin == want && len(data) > 0:
	case a.caps.Has(mysqlwire.ClientPluginAuth):
		if data, err = a.switchPlugin(want); err != nil {
			return nil, err
		}
	case plugin != want:
		return nil, notSupported("the user's plugin is " + want + ", the client knows mysql_native_password alone")
	}
	ok, err := a.check(ctx, v, data)
	switch {
	case err != nil:
		return nil, err
	case !ok && v.mock:
		return nil, a.denied(data, "unknown user")
	case !ok:
		return nil, a.denied(data, "wrong password")
	}
	return v, nil
}

// lookup finds the verifier, or one that nobody satisfies.
func (a *acceptor) lookup(ctx context.Context) (*Verifier, error) {
	v, err := a.o.Lookup(ctx, a.user)
	if errors.Is(err, ErrUnknownUser) {
		return mockVerifier(a.user, a.o.UnknownUserAuthType), nil
	}
	if err != nil {
		return nil, cannotTell("the user's secret cannot be had", err)
	}
	return v, nil
}

// switchPlugin has the client begin again, with a fresh scramble.
func (a *acceptor) switchPlugin(plugin string) ([]byte, error) {
	r := mysqlwire.AuthSwitchRequest{Plugin: plugin}
	if plugin != mysqlwire.PluginClearPassword {
		a.last = NewScramble()
		r.Data = append(append(r.Data, a.last[:]...), 0)
	}
	return a.ask(r.Append)
}

// ask sends a packet and reads the answer, valid until the next read.
func (a *acceptor) ask(appendTo func([]byte) []byte) ([]byte, error) {
	a.put(appendTo)
	_, err := a.conn.Write(a.out)
	a.out = a.out[:0]
	if err != nil {
		return nil, err
	}
	return a.r.packet(&a.seq, maxLoginPacket)
}

// put adds a packet to what is sent next.
func (a *acceptor) put(appendTo func([]byte) []byte) {
	out, at := mysqlwire.BeginPacket(a.out)
	a.out, a.seq = mysqlwire.EndPacket(appendTo(out), at, a.seq)
}

func (a *acceptor) more(data ...byte) func([]byte) []byte {
	return func(dst []byte) []byte { return mysqlwire.AppendAuthMoreData(dst, data) }
}

// check asks for what the plugin needs beside data, and judges it. The steps are the same for every user of a plugin.
func (a *acceptor) check(ctx context.Context, v *Verifier, data []byte) (bool, error) {
	switch v.authType {
	case resource.MySQLNative:
		return v.proves(a.last, data), nil
	case resource.MySQLCleartext:
		password, ok := endedString(data)
		if !ok {
			// Some clients leave the final zero out.
			password, ok = string(data), !bytes.Contains(data, []byte{0})
		}
		if !ok {
			return false, nil
		}
		return a.checkPassword(ctx, v, secret.Password(password))
	}
	if v.check == nil {
		if v.proves(a.last, data) {
			a.put(a.more(mysqlwire.SHA2FastAuthOK))
			return true, nil
		}
		if len(data) != sha256.Size {
			return false, nil
		}
		// Servers ask for the password then, since it may have been changed, and some clients need that: PyMySQL 1.0 takes
		// the zero behind a scramble for part of it.
	} else if noPassword(data) {
		return false, nil
	}
	password, ok, err := a.fullSHA2()
	if err != nil || !ok {
		return false, err
	}
	return a.checkPassword(ctx, v, password)
}

// checkPassword judges a password that was sent in full.
func (a *acceptor) checkPassword(ctx context.Context, v *Verifier, password secret.Password) (ok bool, err error) {
	switch {
	case password == "":
		return false, nil
	case v.check == nil:
		return v.Holds(password), nil
	}
	a.o.Block(func() { err = v.check(ctx, password) })
	switch {
	case err == nil:
		return !v.mock, nil
	case errors.Is(err, engine.ErrWrongPassword):
		return false, nil
	case engine.TokenInvalid(err):
		refusal := a.denied([]byte("token"), "the client sent no good token")
		refusal.Err = err
		return false, refusal
	}
	return false, cannotTell("the token cannot be checked", err)
}

// fullSHA2 has the client of caching_sha2_password send the password itself: over TLS as it is, otherwise encrypted by a
// key of ours, which the client may ask for first.
func (a *acceptor) fullSHA2() (password secret.Password, ok bool, err error) {
	data, err := a.ask(a.more(mysqlwire.SHA2FullAuth))
	if err != nil {
		return "", false, err
	}
	if a.tls {
		text, ok := endedString(data)
		return secret.Password(text), ok, nil
	}
	var key *keyPair
	a.o.Block(func() { key, err = serverKey() })
	if err != nil {
		return "", false, cannotTell("no RSA key", err)
	}
	if len(data) == 1 && data[0] == mysqlwire.SHA2RequestPublicKey {
		if data, err = a.ask(a.more(key.public...)); err != nil {
			return "", false, err
		}
	}
	var text string
	a.o.Block(func() { text, ok = key.decrypt(data, a.last) })
	return secret.Password(text), ok, nil
}

// noPassword reports whether a client's answer stands for an empty password.
func noPassword(data []byte) bool { return len(data) == 0 || len(data) == 1 && data[0] == 0 }

func (a *acceptor) denied(data []byte, reason string) *Refusal {
	host := a.o.ClientHost
	if host == "" {
		host = "%"
		if addr := a.conn.RemoteAddr(); addr != nil {
			if ip, _, err := net.SplitHostPort(addr.String()); err == nil {
				host = ip
			}
		}
	}
	return accessDenied(a.user, host, !noPassword(data), reason)
}
