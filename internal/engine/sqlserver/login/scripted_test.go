package login_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/wire/tds"
)

// peer is the other end of a connection of a test's.
type peer struct {
	t *testing.T
	net.Conn
}

// accept runs Accept at one end of a connection, and script at the other. It returns what Accept does.
func accept(t *testing.T, o login.AcceptOptions, script func(p *peer)) outcome {
	t.Helper()
	near, far := net.Pipe()
	defer far.Close()
	deadline := time.Now().Add(20 * time.Second)
	_ = near.SetDeadline(deadline)
	_ = far.SetDeadline(deadline)
	done := make(chan outcome, 1)
	go func() {
		client, err := login.Accept(context.Background(), near, o)
		if err != nil {
			near.Close()
		}
		done <- outcome{client, err}
	}()
	script(&peer{t, far})
	far.Close()
	got := <-done
	near.Close()
	return got
}

func (p *peer) send(typ tds.PacketType, data []byte) {
	p.t.Helper()
	if _, err := p.Write(tds.AppendMessage(nil, typ, 0, tds.DefaultPacketSize, 0, data)); err != nil {
		p.t.Errorf("send: %v", err)
	}
}

// receive reads one message.
func (p *peer) receive(typ tds.PacketType) (data []byte) {
	p.t.Helper()
	for {
		var head [tds.HeaderSize]byte
		if _, err := io.ReadFull(p, head[:]); err != nil {
			p.t.Errorf("receive: %v", err)
			return nil
		}
		h, err := tds.ParseHeader(head[:])
		if err != nil || h.Type != typ {
			p.t.Errorf("receive: type %d, %v", h.Type, err)
			return nil
		}
		b := make([]byte, h.Length-tds.HeaderSize)
		if _, err := io.ReadFull(p, b); err != nil {
			p.t.Errorf("receive: %v", err)
			return nil
		}
		if data = append(data, b...); h.Status&tds.StatusEOM != 0 {
			return data
		}
	}
}

// hello exchanges PRELOGIN.
func (p *peer) hello(e tds.Encryption, fedAuth bool) *tds.PreLogin {
	p.t.Helper()
	p.send(tds.PacketPreLogin, (&tds.PreLogin{
		HasEncryption: true, Encryption: e, Instance: []byte("SHOP"), HasThreadID: true, HasMARS: true, MARS: true,
		HasFedAuthRequired: fedAuth, FedAuthRequired: fedAuth,
	}).Append(nil))
	answer, err := tds.ParsePreLogin(p.receive(tds.PacketReply))
	if err != nil {
		p.t.Error(err)
		return &tds.PreLogin{}
	}
	return answer
}

func (p *peer) login(l *tds.Login7) {
	p.t.Helper()
	data, err := l.Append(nil)
	if err != nil {
		p.t.Error(err)
	}
	p.send(tds.PacketLogin7, data)
}

// told reads the error that ends a log-in.
func (p *peer) told(v tds.Version) *tds.Message {
	p.t.Helper()
	m, n, err := tds.ParseMessage(p.receive(tds.PacketReply), v)
	if err != nil || n == 0 {
		p.t.Errorf("no error: %v", err)
		return &tds.Message{}
	}
	return m
}

func clerk() *tds.Login7 {
	return &tds.Login7{Version: tds.V74, UserName: "clerk", Password: password, Database: "shop", ServerName: "forebay"}
}

func TestAcceptPlain(t *testing.T) {
	t.Parallel()
	o := newAuthority(t).options()
	for _, c := range []struct {
		name    string
		change  func(l *tds.Login7)
		want    int32 // 0: let in
		version tds.Version
		size    int
	}{
		{"TDS 7.4", func(*tds.Login7) {}, 0, tds.V74, 4096},
		{"newer than known", func(l *tds.Login7) { l.Version = 0x75000001 }, 0, tds.V74, 4096},
		{"TDS 8 without its TLS", func(l *tds.Login7) { l.Version = tds.V80 }, 0, tds.V74, 4096},
		{"TDS 7.3A", func(l *tds.Login7) { l.Version, l.PacketSize = tds.V73A, 1 }, 0, tds.V73A, 512},
		{"TDS 7.1", func(l *tds.Login7) { l.Version, l.PacketSize = tds.V71R, 1<<30 }, 0, tds.V71R, 32767},
		{"TDS 7.0", func(l *tds.Login7) { l.Version = tds.V70 }, 17832, 0, 0},
		{"SSPI", func(l *tds.Login7) { l.Flags2, l.SSPI = tds.Flag2IntegratedSecurity, []byte("NTLMSSP") }, 18452, 0, 0},
		{"new password", func(l *tds.Login7) { l.Flags3, l.NewPassword = tds.Flag3ChangePassword, "n" }, 18463, 0, 0},
		{"file", func(l *tds.Login7) { l.AttachDBFile = "x.mdf" }, 15350, 0, 0},
		{"user instance", func(l *tds.Login7) { l.Flags3 = tds.Flag3UserInstance }, 15350, 0, 0},
		{"EBCDIC", func(l *tds.Login7) { l.Flags1 = tds.Flag1Char }, 17832, 0, 0},
		{"long name", func(l *tds.Login7) { l.UserName = strings.Repeat("u", 600) }, 17832, 0, 0},
		{"a case that differs", func(l *tds.Login7) { l.UserName = "Clerk" }, 18456, 0, 0},
		{"malformed token", func(l *tds.Login7) { l.Features = []tds.Feature{{ID: tds.FeatureFedAuth, Data: []byte{2, 9}}} }, 17832, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := accept(t, o, func(p *peer) {
				answer := p.hello(tds.EncryptNotSupported, false)
				if answer.Version != 0x10000FA0 || answer.Encryption != tds.EncryptNotSupported || answer.MARS || !answer.HasMARS ||
					!bytes.Equal(answer.Instance, []byte{0}) || answer.HasFedAuthRequired {
					t.Errorf("PRELOGIN: %+v", answer)
				}
				l := clerk()
				c.change(l)
				p.login(l)
				if c.want != 0 {
					if m := p.told(tds.V74); m.Number != c.want {
						t.Errorf("told %d, %q", m.Number, m.Text)
					}
				}
			})
			if c.want != 0 {
				var refusal *login.Refusal
				if !errors.As(got.err, &refusal) || refusal.Number != c.want {
					t.Errorf("Accept: %v", got.err)
				}
				return
			}
			if got.err != nil {
				t.Fatal(got.err)
			}
			if got.client.Version != c.version || got.client.PacketSize != c.size || got.client.TLS {
				t.Errorf("%#x, packets of %d bytes, TLS %t", got.client.Version, got.client.PacketSize, got.client.TLS)
			}
		})
	}
}

// TestAcceptPieces has what a client sends come in many pieces, and with a request behind it.
func TestAcceptPieces(t *testing.T) {
	t.Parallel()
	o := newAuthority(t).options()
	got := accept(t, o, func(p *peer) {
		p.hello(tds.EncryptNotSupported, false)
		data, err := clerk().Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		out := tds.AppendMessage(nil, tds.PacketLogin7, 0, 20, 0, data)
		out = tds.AppendMessage(out, tds.PacketSQLBatch, 0, 512, 0, []byte("x"))
		for i := 0; i < len(out); i += 700 {
			if _, err := p.Write(out[i:min(i+700, len(out))]); err != nil {
				t.Error(err)
			}
		}
	})
	if got.err != nil || got.client.User != "clerk" {
		t.Fatalf("%+v, %v", got.client, got.err)
	}
	if want := tds.AppendMessage(nil, tds.PacketSQLBatch, 0, 512, 0, []byte("x")); !bytes.HasPrefix(want, got.client.Buffered) || len(got.client.Buffered) == 0 {
		t.Errorf("buffered: %x", got.client.Buffered)
	}
}

func TestAcceptWithoutPreLogin(t *testing.T) {
	t.Parallel()
	o := newAuthority(t).options()
	got := accept(t, o, func(p *peer) { p.login(clerk()) })
	if got.err != nil || got.client.User != "clerk" || got.client.TLS {
		t.Errorf("%+v, %v", got.client, got.err)
	}
	o.RequireTLS = true
	got = accept(t, o, func(p *peer) {
		p.login(clerk())
		if m := p.told(tds.V74); m.Number != 17835 || m.Class != 20 {
			t.Errorf("told %+v", m)
		}
	})
	if got.err == nil {
		t.Error("let in without TLS")
	}
}

func TestAcceptGone(t *testing.T) {
	t.Parallel()
	o := newAuthority(t).options()
	for name, script := range map[string]func(p *peer){
		"nothing":   func(*peer) {},
		"PRELOGIN":  func(p *peer) { p.hello(tds.EncryptNotSupported, false) },
		"encrypted": func(p *peer) { p.hello(tds.EncryptOn, false) },
	} {
		if got := accept(t, o, script); !errors.Is(got.err, login.ErrClientGone) {
			t.Errorf("%s: %v", name, got.err)
		}
	}
}

func TestAcceptMalformed(t *testing.T) {
	t.Parallel()
	o := newAuthority(t).options()
	header := func(typ tds.PacketType, status tds.PacketStatus, length int) []byte {
		return tds.Header{Type: typ, Status: status, Length: length}.Append(nil)
	}
	for name, c := range map[string]struct {
		script func(p *peer)
		number int32 // that the client is told; 0: nothing
	}{
		"not TDS":                          {func(p *peer) { _, _ = p.Write([]byte("GET / HTTP/1.1\r\n")[:8]) }, 0},
		"a batch first":                    {func(p *peer) { _, _ = p.Write(header(tds.PacketSQLBatch, tds.StatusEOM, 9)) }, 0},
		"a packet shorter than its header": {func(p *peer) { _, _ = p.Write(header(tds.PacketPreLogin, tds.StatusEOM, 7)) }, 0},
		"PRELOGIN too long":                {func(p *peer) { _, _ = p.Write(header(tds.PacketPreLogin, tds.StatusEOM, 5000)) }, 0},
		"PRELOGIN without version":         {func(p *peer) { p.send(tds.PacketPreLogin, []byte{0xFF}) }, 17828},
		"of before TDS 7":                  {func(p *peer) { p.send(tds.PacketPreTDS7, []byte("x")) }, 17832},
		"LOGIN7 of nothing":                {func(p *peer) { p.hello(tds.EncryptNotSupported, false); p.send(tds.PacketLogin7, nil) }, 17832},
		"a batch in its place": {func(p *peer) {
			p.hello(tds.EncryptNotSupported, false)
			_, _ = p.Write(header(tds.PacketSQLBatch, tds.StatusEOM, 9))
		}, 17832},
		"LOGIN7 in the clear": {func(p *peer) {
			p.hello(tds.EncryptOff, false)
			_, _ = p.Write(header(tds.PacketLogin7, tds.StatusEOM, 200))
		}, 17835},
		"LOGIN7 that goes on as something else": {func(p *peer) {
			p.hello(tds.EncryptNotSupported, false)
			_, _ = p.Write(append(header(tds.PacketLogin7, 0, 9), 1))
			_, _ = p.Write(header(tds.PacketSQLBatch, tds.StatusEOM, 9))
		}, 17832},
		"LOGIN7 without end": {func(p *peer) {
			p.hello(tds.EncryptNotSupported, false)
			for range 2 {
				_, _ = p.Write(append(header(tds.PacketLogin7, 0, 32008), make([]byte, 32000)...))
			}
			_, _ = p.Write(header(tds.PacketLogin7, 0, 32008)) // past the bound: what it announces is not waited for
		}, 17832},
	} {
		got := accept(t, o, func(p *peer) {
			c.script(p)
			if c.number == 0 {
				return
			}
			if m := p.told(tds.V74); m.Number != c.number {
				t.Errorf("%s: told %d, %q", name, m.Number, m.Text)
			}
		})
		if got.err == nil {
			t.Errorf("%s: let in", name)
		}
	}
}

// inPackets is a client's end of TLS inside PRELOGIN packets: written for the test alone.
type inPackets struct {
	net.Conn
	plain bool // the handshake is over
	left  int
}

func (c *inPackets) Read(b []byte) (int, error) {
	if c.plain {
		return c.Conn.Read(b)
	}
	if c.left == 0 {
		var head [8]byte
		if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
			return 0, err
		}
		c.left = int(binary.BigEndian.Uint16(head[2:])) - 8
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

func (c *inPackets) Write(b []byte) (int, error) {
	if c.plain {
		return c.Conn.Write(b)
	}
	head := []byte{0x12, 1, byte((len(b) + 8) >> 8), byte(len(b) + 8), 0, 0, 1, 0}
	if _, err := c.Conn.Write(append(head, b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// encrypt makes the peer's connection one with TLS.
func (p *peer) encrypt(a authority) *peer {
	p.t.Helper()
	under := &inPackets{Conn: p.Conn}
	c := tls.Client(under, &tls.Config{RootCAs: a.pool, ServerName: "localhost"})
	if err := c.Handshake(); err != nil {
		p.t.Error(err)
	}
	if v := c.ConnectionState().Version; v != tls.VersionTLS12 {
		p.t.Errorf("TLS version %#x", v)
	}
	under.plain = true
	return &peer{p.t, c}
}

// TestAcceptLoginOnly encrypts the login alone: what comes next is in the clear, whatever of it came with the login.
func TestAcceptLoginOnly(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	got := accept(t, a.options(), func(p *peer) {
		if answer := p.hello(tds.EncryptOff, false); answer.Encryption != tds.EncryptOff {
			t.Errorf("encryption %d", answer.Encryption)
		}
		p.encrypt(a).login(clerk())
	})
	if got.err != nil || got.client.TLS {
		t.Fatalf("%+v, %v", got.client, got.err)
	}
	if _, encrypted := got.client.Conn.(*tls.Conn); encrypted {
		t.Error("what comes next is encrypted")
	}
	// A request that is encrypted together with the login has no place to go to.
	got = accept(t, a.options(), func(p *peer) {
		p.hello(tds.EncryptOff, false)
		data, err := clerk().Append(nil)
		if err != nil {
			t.Error(err)
		}
		out := tds.AppendMessage(nil, tds.PacketLogin7, 0, 4096, 0, data)
		if _, err := p.encrypt(a).Write(tds.AppendMessage(out, tds.PacketSQLBatch, 0, 512, 0, []byte("x"))); err != nil {
			t.Error(err)
		}
	})
	if got.err == nil {
		t.Error("a request within the login was dropped without a word")
	}
}

// TestAcceptLoginOnlyMalformed has the client told in the clear, where it listens, what is wrong with its login.
func TestAcceptLoginOnlyMalformed(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	got := accept(t, a.options(), func(p *peer) {
		p.hello(tds.EncryptOff, false)
		p.encrypt(a).send(tds.PacketLogin7, []byte("x"))
		if m := p.told(tds.V74); m.Number != 17832 {
			t.Errorf("told %d, %q", m.Number, m.Text)
		}
	})
	if got.err == nil {
		t.Error("let in")
	}
}

// TestAcceptTokenInTheClear has nobody learn, by a token in the clear, who exists and for whom tokens count.
func TestAcceptTokenInTheClear(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	texts := map[string][]string{}
	for _, user := range []string{"clerk", "badge", "either", "nobody"} {
		got := accept(t, a.options(), func(p *peer) {
			p.hello(tds.EncryptNotSupported, false)
			l := clerk()
			l.UserName, l.Password = user, token
			p.login(l)
			m := p.told(tds.V74)
			text := fmt.Sprintf("%d, %d, %d: %s", m.Number, m.State, m.Class, m.Text)
			texts[text] = append(texts[text], user)
		})
		if got.err == nil {
			t.Errorf("%s: let in", user)
		}
	}
	if len(texts) != 1 {
		t.Errorf("they are told %v", texts)
	}
}

// TestAcceptTokenByCallback has the client told of what it needs a token for.
func TestAcceptTokenByCallback(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for sent, want := range map[string]int32{token: 0, "h:1/?Action=connect&clerk": 18456, "h:1/?Action=connect&clerk&down": 40197} {
		got := accept(t, a.options(), func(p *peer) {
			if answer := p.hello(tds.EncryptOff, true); answer.Encryption != tds.EncryptRequired || !answer.FedAuthRequired {
				t.Errorf("PRELOGIN: %+v", answer)
			}
			p = p.encrypt(a)
			l := &tds.Login7{Version: tds.V74, ServerName: "db.example", Extended: true}
			l.Features = []tds.Feature{{ID: tds.FeatureFedAuth, Data: (&tds.FedAuth{Library: tds.FedAuthADAL, Echo: true, Workflow: 1}).Append(nil)}}
			p.login(l)
			info, _, err := tds.ParseFedAuthInfo(p.receive(tds.PacketReply))
			if err != nil || info.SPN != "https://db.example/" {
				t.Errorf("%+v, %v", info, err)
			}
			p.send(tds.PacketFedAuth, (&tds.FedAuthToken{Token: sent, Nonce: bytes.Repeat([]byte{7}, 32)}).Append(nil))
			if want != 0 {
				if m := p.told(tds.V74); m.Number != want {
					t.Errorf("%s: told %d, %q", sent, m.Number, m.Text)
				}
			}
		})
		if want == 0 {
			if got.err != nil || got.client.User != "badge" || !got.client.TLS {
				t.Fatalf("%+v, %v", got.client, got.err)
			}
			data := got.client.Welcome(server(), 1)
			ack := append([]byte{0xAE, 2, 32, 0, 0, 0}, bytes.Repeat([]byte{7}, 32)...)
			if !bytes.Contains(data, ack) {
				t.Errorf("no acknowledgement of FEDAUTH in %x", data)
			}
			continue
		}
		var bad *engine.TokenError
		if errors.As(got.err, &bad) != (want == 18456) {
			t.Errorf("%s: %v", sent, got.err)
		}
	}
}

// TestAcceptTokenEcho has a token count only where the client says of PRELOGIN what was said: else somebody between has changed it.
func TestAcceptTokenEcho(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for _, said := range []bool{false, true} {
		for _, echo := range []bool{false, true} {
			got := accept(t, a.options(), func(p *peer) {
				p.hello(tds.EncryptOn, said)
				p = p.encrypt(a)
				fed := &tds.FedAuth{Library: tds.FedAuthSecurityToken, Echo: echo, Token: token}
				p.login(&tds.Login7{Version: tds.V74, Extended: true, Features: []tds.Feature{{ID: tds.FeatureFedAuth, Data: fed.Append(nil)}}})
				if said != echo {
					if m := p.told(tds.V74); m.Number != 17832 {
						t.Errorf("said %v, echo %v: told %d, %q", said, echo, m.Number, m.Text)
					}
				}
			})
			if (got.err == nil) != (said == echo) {
				t.Errorf("said %v, echo %v: %v", said, echo, got.err)
			}
		}
	}
}

func FuzzAccept(f *testing.F) {
	l, err := clerk().Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	hello := tds.AppendMessage(nil, tds.PacketPreLogin, 0, 512, 0, (&tds.PreLogin{}).Append(nil))
	f.Add(tds.AppendMessage(hello, tds.PacketLogin7, 0, 512, 0, l))
	f.Add([]byte{0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0})
	o := authority{}.options()
	o.InsideTLS, o.FirstTLS = nil, nil
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = login.Accept(context.Background(), &bytesConn{Reader: bytes.NewReader(b)}, o)
	})
}

// bytesConn is a client that has sent all that it ever will, and does not read.
type bytesConn struct {
	*bytes.Reader
	net.Conn
}

func (c *bytesConn) Read(b []byte) (int, error)  { return c.Reader.Read(b) }
func (c *bytesConn) Write(b []byte) (int, error) { return len(b), nil }
