package login

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/secret"
	"forebay/internal/wire/tds"
)

// AcceptOptions say how clients log in to one proxy.
type AcceptOptions struct {
	// InsideTLS and FirstTLS are what ServerTLS makes; nil: TLS is not offered.
	InsideTLS, FirstTLS *tls.Config
	RequireTLS          bool // refuse sessions that are not encrypted as a whole

	// ServerVersion is the target's, as PRELOGIN has it: major, minor and two bytes of build number.
	ServerVersion uint32
	SPID          uint16 // of the session, as packet headers have it

	// TooMany is set where the client is to be told that there are as many clients as this already.
	TooMany int

	// Lookup returns how a user proves who it is, or ErrUnknownUser. Any other error is ours: the client is told to try again,
	// and the Refusal wraps it. It runs where Accept runs: what may block in it goes through Block.
	Lookup func(ctx context.Context, user string) (*Verifier, error)
	// TokenUser is whom a token is for, as it says itself, for clients that name no user beside it; nil: such are refused.
	TokenUser func(token secret.Password) (user string, ok bool)

	// Block runs what takes long, such as a TLS handshake, where that keeps nobody waiting; nil: where Accept runs.
	Block func(func())
}

// Accept conducts the connection phase with a client that has just connected, up to the answer to its LOGIN7, which it does
// not send. It ends soon after c's deadline has passed or c was closed, by whomever; ctx is for Lookup and checks.
//
// Errors: *Refusal, the client has been told why; ErrClientGone; all others, the connection is of no use. On every error
// the caller closes c.
func Accept(ctx context.Context, c net.Conn, o AcceptOptions) (*Client, error) {
	if o.Block == nil {
		o.Block = func(f func()) { f() }
	}
	a := &acceptor{o: o, raw: c, conn: c, r: newReader(c), version: tds.V74}
	a.r.exact = true
	defer a.r.release()
	client, err := a.run(ctx)
	return a.end(client, err)
}

// acceptor is one run of Accept.
type acceptor struct {
	o       AcceptOptions
	raw     net.Conn // given
	conn    net.Conn // given, or the *tls.Conn over it
	under   *framed  // what is between the two; nil: nothing is
	r       *reader  // of conn
	first   bool     // TLS has come first: TDS 8
	tls     bool     // what comes now is encrypted
	only    bool     // the login message alone is encrypted
	version tds.Version
	user    string
	said    bool // the client has said something
	fedAuth bool // PRELOGIN was answered that federated authentication is required
}

// end completes the result, or tells the client about a refusal.
func (a *acceptor) end(client *Client, err error) (*Client, error) {
	if err == nil {
		client.Conn, client.TLS = a.conn, a.tls && !a.only
		return client, nil
	}
	var malformed *tds.MalformedError
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
	case errors.As(err, &malformed) && a.said:
		refusal = badLogin(err)
	case errors.Is(err, io.EOF):
		return nil, ErrClientGone
	default:
		return nil, fmt.Errorf("tds login: %w", err)
	}
	if refusal.User == "" {
		refusal.User = a.user
	}
	// The client may have gone; the refusal is the news, not that.
	_, _ = a.conn.Write(refusal.AppendTo(nil, a.version, a.o.SPID))
	if t, ok := a.conn.(*tls.Conn); ok {
		_ = t.CloseWrite()
	}
	return nil, refusal
}

func (a *acceptor) run(ctx context.Context) (*Client, error) {
	var head [tds.HeaderSize]byte
	if err := a.r.fill(head[:]); err != nil {
		return nil, err
	}
	if head[0] == recordHandshake {
		if err := a.tlsFirst(head[:]); err != nil {
			return nil, err
		}
		if err := a.r.fill(head[:]); err != nil {
			return nil, err
		}
	}
	data, err := a.hello(head)
	if err != nil {
		return nil, err
	}
	defer clear(data) // the password is in it, or a token
	if a.only {
		// From here on, nothing is encrypted, an error of ours neither.
		if len(a.r.buffered()) > 0 || !a.under.idle() {
			return nil, errEarlyBytes
		}
		a.conn = a.raw
		a.r.conn, a.r.exact = a.raw, true
	}
	l, err := tds.ParseLogin7(data)
	if err != nil {
		return nil, badLogin(err)
	}
	a.user = l.UserName
	if !l.Version.AtLeast(tds.V71) {
		return nil, oldClient()
	}
	a.version = a.agreed(l.Version)
	if a.o.RequireTLS && (!a.tls || a.only) {
		return nil, tlsRequired("the proxy requires TLS, the client came without")
	}
	if a.o.TooMany > 0 {
		return nil, tooMany(a.o.TooMany)
	}
	client, err := a.client(l)
	if err != nil {
		return nil, err
	}
	if err := a.authenticate(ctx, client, l); err != nil {
		return nil, err
	}
	client.Buffered = append([]byte(nil), a.r.buffered()...)
	return client, nil
}

// recordHandshake is the first byte of a TLS record of a handshake.
const recordHandshake = 0x16

// tlsFirst is TDS 8: read is what has come of the ClientHello.
func (a *acceptor) tlsFirst(read []byte) error {
	if a.o.FirstTLS == nil {
		return errors.New("client wants TLS, which it was not offered")
	}
	a.under = &framed{Conn: a.raw, prefix: append([]byte(nil), read...)}
	a.first = true
	return a.handshake(a.o.FirstTLS, framingPass)
}

// handshake makes conn a *tls.Conn, and has the reader read from that.
func (a *acceptor) handshake(cfg *tls.Config, then framing) error {
	t := tls.Server(a.under, cfg)
	// Not HandshakeContext: the connection's deadline is enough, and that would start a goroutine for each client.
	var err error
	a.o.Block(func() { err = t.Handshake() })
	if err == nil {
		err = a.under.ended(then)
	}
	if err != nil {
		return &handshakeError{unexpected(err)}
	}
	a.conn, a.r.conn, a.r.exact, a.tls = t, t, false, true
	return nil
}

// handshakeError is a TLS handshake that failed.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// AuthFailure puts it with the failures of authentication, as the contract does (8.1).
func (e *handshakeError) AuthFailure() bool { return true }

// hello agrees on encryption, and returns the data of LOGIN7. head is that of the first packet.
func (a *acceptor) hello(head [tds.HeaderSize]byte) ([]byte, error) {
	h, data, err := a.r.messageFrom(head, a.firstBound(head), tds.PacketPreLogin, tds.PacketLogin7, tds.PacketPreTDS7)
	if err != nil {
		return nil, err
	}
	a.said = true
	switch h.Type {
	case tds.PacketPreTDS7:
		return nil, oldClient()
	case tds.PacketLogin7: // without PRELOGIN, as clients of SQL Server 7.0 do: without encryption
		a.r.exact = false
		return data, nil
	}
	p, err := tds.ParsePreLogin(data)
	if err != nil {
		return nil, badPreLogin(err)
	}
	answer := a.answer(p)
	a.fedAuth = answer.HasFedAuthRequired && answer.FedAuthRequired
	if _, err := a.conn.Write(tds.AppendMessage(nil, tds.PacketReply, 0, tds.DefaultPacketSize, a.o.SPID, answer.Append(nil))); err != nil {
		return nil, err
	}
	if !a.first && answer.Encryption != tds.EncryptNotSupported {
		a.only = answer.Encryption == tds.EncryptOff
		if err := a.tlsInside(); err != nil {
			return nil, err
		}
	}
	a.r.exact = false
	_, data, err = a.r.message(maxLogin, tds.PacketLogin7)
	return data, err
}

// firstBound is the most bytes that the first message may have, by its type.
func (a *acceptor) firstBound(head [tds.HeaderSize]byte) int {
	if tds.PacketType(head[0]) == tds.PacketPreLogin {
		return maxPreLogin
	}
	return maxLogin
}

// tlsInside is TLS inside PRELOGIN packets. A client that was told of encryption that it cannot have ends the connection, or
// sends its LOGIN7 all the same, which is then no packet of a handshake.
func (a *acceptor) tlsInside() error {
	then := framingPass
	if a.only {
		then = framingRecords
	}
	a.under = &framed{Conn: a.raw, state: framingPackets}
	err := a.handshake(a.o.InsideTLS, then)
	var malformed *tds.MalformedError
	if errors.As(err, &malformed) {
		return tlsRequired("the client goes on without the TLS that was agreed on")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) && !a.under.read {
		return io.EOF
	}
	return err
}

// answer is the server's PRELOGIN.
func (a *acceptor) answer(p *tds.PreLogin) *tds.PreLogin {
	out := &tds.PreLogin{
		Version: a.o.ServerVersion, HasEncryption: true, Encryption: a.encryption(p), HasMARS: p.HasMARS, HasThreadID: p.HasThreadID,
		HasFedAuthRequired: p.HasFedAuthRequired, FedAuthRequired: p.FedAuthRequired,
	}
	if p.Instance != nil {
		out.Instance = []byte{0} // whatever name: a proxy has no instances
	}
	return out
}

// encryption answers the client's wish ([MS-TDS] 2.2.6.5). Over TLS that came first there is nothing more to encrypt.
func (a *acceptor) encryption(p *tds.PreLogin) tds.Encryption {
	wish := tds.EncryptNotSupported
	if p.HasEncryption {
		wish = p.Encryption
	}
	all := a.o.RequireTLS || p.FedAuthRequired // a token has the whole session encrypted
	switch {
	case a.first && wish != tds.EncryptOff:
		return wish
	case a.first || a.o.InsideTLS == nil:
		return tds.EncryptNotSupported
	case wish == tds.EncryptNotSupported && a.o.RequireTLS:
		return tds.EncryptRequired
	case wish == tds.EncryptNotSupported:
		return tds.EncryptNotSupported
	case wish == tds.EncryptOff && all:
		return tds.EncryptRequired
	case wish == tds.EncryptOff:
		return tds.EncryptOff
	}
	return tds.EncryptOn
}

// agreed is the version of the session: the client's, or the newest before it that is known here.
func (a *acceptor) agreed(v tds.Version) tds.Version {
	if a.first && v.AtLeast(tds.V80) {
		return tds.V80
	}
	for _, known := range []tds.Version{tds.V74, tds.V73B, tds.V73A, tds.V72, tds.V71R} {
		if v.AtLeast(known) {
			return known
		}
	}
	return tds.V71
}

// client takes over what LOGIN7 says.
func (a *acceptor) client(l *tds.Login7) (*Client, error) {
	switch {
	case l.Flags1&(tds.Flag1ByteOrder|tds.Flag1Char|tds.Flag1Float) != 0:
		return nil, badLogin(errors.New("the client's numbers or characters are not those of a PC"))
	case l.AttachDBFile != "" || l.Flags3&tds.Flag3UserInstance != 0:
		return nil, &Refusal{Number: numberAttachedFile, State: 1, Class: classResource, Text: textAttachedFile, Reason: "a database file is to be attached"}
	}
	for _, name := range []string{l.UserName, l.Database, l.Language, l.AppName, l.HostName, l.ServerName, l.Library} {
		if len(name) > 4*maxShown { // SQL Server's names have 128 characters
			return nil, badLogin(&tds.MalformedError{Structure: "LOGIN7", Field: "length of a name"})
		}
	}
	c := &Client{
		Version: a.version, User: l.UserName, Database: l.Database, Language: l.Language, Application: l.AppName, Host: l.HostName,
		Library: l.Library, asked: l.Extended, PacketSize: a.packetSize(l.PacketSize),
		ODBC: l.Flags2&tds.Flag2ODBC != 0, OLEDB: l.TypeFlags&tds.FlagTypeOLEDB != 0,
		BinaryXML: l.Flags3&tds.Flag3BinaryXML != 0, UnknownCollation: l.Flags3&tds.Flag3UnknownCollation != 0,
		ReadOnlyIntent: l.TypeFlags&tds.FlagTypeReadOnlyIntent != 0,
	}
	if a.version.AtLeast(tds.V74) {
		c.Features = tds.FeaturesOf(l.Features)
	}
	c.Settings = settings.LogIn(settings.LoginOptions{ODBC: c.ODBC || c.OLEDB, Database: c.Database, Language: c.Language})
	return c, nil
}

// maxEncryptedPacket is the largest packet of an encrypted connection, in bytes: it has to fit into one TLS record.
const maxEncryptedPacket = 16383

func (a *acceptor) packetSize(wish uint32) int {
	most := uint32(tds.MaxPacketSize)
	if a.tls && !a.only {
		most = maxEncryptedPacket
	}
	if wish == 0 {
		return tds.DefaultPacketSize
	}
	return int(min(max(wish, tds.MinPacketSize), most))
}

// authenticate checks the client's password or token.
func (a *acceptor) authenticate(ctx context.Context, c *Client, l *tds.Login7) error {
	fed, err := fedAuthOf(l)
	if err != nil {
		return badLogin(err)
	}
	switch {
	case fed == nil && (l.Flags2&tds.Flag2IntegratedSecurity != 0 || len(l.SSPI) > 0):
		return &Refusal{Number: NumberIntegrated, State: 1, Class: classUser, Text: textIntegrated, Reason: "the client wants integrated authentication"}
	case l.Flags3&tds.Flag3ChangePassword != 0 || l.NewPassword != "":
		return &Refusal{
			Number: NumberPasswordChange, State: 1, Class: classUser, Text: fmt.Sprintf(textPasswordUnchanged, shown(l.UserName)),
			Reason: "the client wants to change the password",
		}
	case fed == nil:
		return a.judge(ctx, c, secret.Password(l.Password), false)
	case !a.tls || a.only:
		return tokenWithoutTLS()
	case fed.Echo != a.fedAuth: // somebody between the two has changed PRELOGIN ([MS-TDS] 3.3.5.4)
		return badLogin(&tds.MalformedError{Structure: "LOGIN7", Field: "FEDAUTH's echo"})
	}
	c.fedAuth = true
	sent := secret.Password(fed.Token)
	switch fed.Library {
	case tds.FedAuthSecurityToken:
		c.fedAuthNonce = append([]byte(nil), fed.Nonce...)
	case tds.FedAuthADAL:
		if sent, err = a.askToken(c, l); err != nil {
			return err
		}
	default:
		return loginFailed(a.user, "the client's token is of library "+strconv.Itoa(int(fed.Library))+", which is not supported")
	}
	if a.user == "" && a.o.TokenUser != nil {
		if user, ok := a.o.TokenUser(sent); ok {
			a.user, c.User = user, user
		}
	}
	return a.judge(ctx, c, sent, true)
}

// fedAuthOf is the token that LOGIN7 has, or announces; nil: none.
func fedAuthOf(l *tds.Login7) (*tds.FedAuth, error) {
	for _, f := range l.Features {
		if f.ID == tds.FeatureFedAuth {
			return tds.ParseFedAuth(f.Data)
		}
	}
	return nil, nil
}

// askToken has the client get its token from whom it knows, and send it: it is told of the name by which it has come as what
// it needs the token for.
func (a *acceptor) askToken(c *Client, l *tds.Login7) (secret.Password, error) {
	if len(a.r.buffered()) > 0 {
		return "", badLogin(errEarlyBytes)
	}
	name := "https://" + l.ServerName + "/"
	info := tds.FedAuthInfo{STSURL: name, SPN: name}
	out := tds.AppendMessage(nil, tds.PacketReply, 0, min(c.PacketSize, tds.DefaultPacketSize), a.o.SPID, info.Append(nil))
	if _, err := a.conn.Write(out); err != nil {
		return "", err
	}
	_, data, err := a.r.message(maxLogin, tds.PacketFedAuth)
	if err != nil {
		return "", err
	}
	defer clear(data)
	t, err := tds.ParseFedAuthToken(data)
	if err != nil {
		return "", badLogin(err)
	}
	c.fedAuthNonce = append([]byte(nil), t.Nonce...)
	return secret.Password(t.Token), nil
}

// judge decides whether what the client has sent lets it in.
func (a *acceptor) judge(ctx context.Context, c *Client, sent secret.Password, fedAuth bool) error {
	v, err := a.o.Lookup(ctx, a.user)
	switch {
	case errors.Is(err, ErrUnknownUser):
		v = &Verifier{}
	case err != nil:
		return cannotTell("the user's secret cannot be had", err)
	}
	// A password that looks like a token is told so where it is wrong, too: nobody is to learn by that for whom tokens count.
	plain := !a.tls || a.only
	wrong := func(reason string) error {
		if plain && engine.IsToken(sent) {
			return tokenWithoutTLS()
		}
		return loginFailed(a.user, reason)
	}
	switch {
	case plain && (fedAuth || v.Tokens && engine.IsToken(sent)):
		return tokenWithoutTLS()
	case fedAuth && !v.Tokens:
		return loginFailed(a.user, "a token of a user that is unknown, or logs in without one")
	case sent == "":
		return loginFailed(a.user, "no password")
	case v.Check == nil:
		Holds(secret.Secret{Password: "nobody's"}, sent, time.Time{}) // so that it takes as long
		return wrong("unknown user")
	}
	check := func() { err = v.Check(ctx, sent, fedAuth) }
	if v.Blocks {
		a.o.Block(check)
	} else {
		check()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrWrongPassword):
		return wrong("wrong password, or unknown user")
	case engine.TokenInvalid(err):
		refusal := loginFailed(a.user, "the client sent no good token")
		refusal.Err = err
		return refusal
	}
	return cannotTell("the token cannot be checked", err)
}
