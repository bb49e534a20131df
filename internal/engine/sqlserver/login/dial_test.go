package login_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/wire/tds"

	"github.com/google/go-cmp/cmp"
)

func TestDialModes(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	for _, c := range []struct {
		name    string
		mode    resource.TLSMode
		require bool // the server wants TLS
		none    bool // the server has none
		wrong   bool // our authorities are others
		tls     bool
		want    error
	}{
		{name: "disable", mode: resource.TLSDisable},
		{name: "disable, wanted", mode: resource.TLSDisable, require: true, want: login.ErrTLS},
		{name: "prefer", mode: resource.TLSPrefer, tls: true},
		{name: "default", tls: true},
		{name: "prefer, none", mode: resource.TLSPrefer, none: true},
		{name: "prefer, not trusted: without", mode: resource.TLSPrefer, wrong: true},
		{name: "require", mode: resource.TLSRequire, require: true, tls: true},
		{name: "require, none", mode: resource.TLSRequire, none: true, want: login.ErrTLS},
		{name: "verify-ca", mode: resource.TLSVerifyCA, tls: true},
		{name: "verify-ca, not trusted", mode: resource.TLSVerifyCA, wrong: true, want: login.ErrTLS},
		{name: "verify-full", mode: resource.TLSVerifyFull, tls: true},
		{name: "verify-full, not trusted", mode: resource.TLSVerifyFull, wrong: true, want: login.ErrTLS},
		{name: "strict", mode: resource.TLSStrict, require: true, tls: true},
		{name: "strict, not trusted", mode: resource.TLSStrict, wrong: true, want: login.ErrTLS},
		{name: "strict, none", mode: resource.TLSStrict, none: true, want: login.ErrTLS},
		{name: "unknown mode", mode: "always", want: login.ErrTLS},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := ca.options()
			if o.RequireTLS = c.require; c.none {
				o.InsideTLS, o.FirstTLS = nil, nil
			}
			p := startProxy(t, o)
			_, port, err := net.SplitHostPort(p.addr)
			if err != nil {
				t.Fatal(err)
			}
			roots := ca.pool
			if c.wrong {
				roots = other.pool
			}
			d := login.DialOptions{
				Address: net.JoinHostPort("localhost", port), TLSMode: c.mode, RootCAs: roots, Credentials: login.NewCredentials("clerk", password),
				Database: "shop", Application: "forebay", ODBC: true, Features: tds.Features{UTF8: true, JSON: 1},
			}
			s, err := login.Dial(t.Context(), nil, d)
			if c.want != nil {
				if !errors.Is(err, c.want) || strings.Contains(err.Error(), password) {
					t.Errorf("%v; want %v", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.TLS != c.tls || s.Database != "shop" || s.Language != "us_english" || s.ProgVersion != 0x10000FA0 || s.ServerName != "DB1" ||
				s.SPID != 57 || s.PacketSize != 8000 || s.Collation != server().Collation || s.Features != (tds.Features{UTF8: true}) {
				t.Errorf("%+v", s)
			}
			if s.Version.AtLeast(tds.V80) != (c.mode == resource.TLSStrict) {
				t.Errorf("version %#x", s.Version)
			}
			if s.Settings.Database != "shop" || s.Settings.Language != "us_english" || s.Settings.Options == 0 {
				t.Errorf("settings: %s", s.Settings.String())
			}
			if err := s.Exec(t.Context(), "SET NOCOUNT ON"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDialRefused(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for user, want := range map[string]error{"clerk": login.ErrAuth, "nobody": login.ErrAuth, "broken": login.ErrUnreachable} {
		p := startProxy(t, ca.options())
		_, err := login.Dial(t.Context(), nil, login.DialOptions{Address: p.addr, Credentials: login.NewCredentials(user, "wrong-word")})
		var se *login.ServerError
		if !errors.Is(err, want) || !errors.As(err, &se) || login.PasswordRefused(err) != (want == login.ErrAuth) || strings.Contains(err.Error(), "wrong-word") {
			t.Errorf("%s: %v", user, err)
		}
	}
}

// dial runs Dial, and then use, against script.
func dial(t *testing.T, o login.DialOptions, script func(p *peer), use func(s *login.Server) error) error {
	t.Helper()
	near, far := net.Pipe()
	_ = far.SetDeadline(time.Now().Add(20 * time.Second))
	done := make(chan struct{})
	go func() {
		defer close(done)
		script(&peer{t, far})
		far.Close()
	}()
	defer func() { <-done }()
	defer near.Close()
	o.Address, o.Credentials = "db:1433", login.NewCredentials("clerk", secret.Password(password))
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	s, err := login.Dial(ctx, func(context.Context, string, string) (net.Conn, error) { return near, nil }, o)
	if err == nil && use != nil {
		err = use(s)
	}
	return err
}

// serve is the server's side of a log-in without TLS whose answer is given.
func serve(p *peer, answer []byte) *tds.Login7 {
	p.receive(tds.PacketPreLogin)
	p.send(tds.PacketReply, (&tds.PreLogin{Version: 0x0C000000, HasEncryption: true, Encryption: tds.EncryptNotSupported}).Append(nil))
	l, err := tds.ParseLogin7(p.receive(tds.PacketLogin7))
	if err != nil {
		p.t.Error(err)
	}
	p.send(tds.PacketReply, answer)
	return l
}

var plain = login.DialOptions{TLSMode: resource.TLSDisable}

func ackOf(v tds.Version) []byte {
	return tds.LoginAck{Interface: 1, Version: v, ProgName: "Microsoft SQL Server", ProgVersion: 0x0C0007D0}.Append(nil)
}

func TestDialAnswers(t *testing.T) {
	t.Parallel()
	failure := func(numbers ...int32) (b []byte) {
		for _, n := range numbers {
			b = (&tds.Message{Number: n, State: 1, Class: 14, Text: "no"}).Append(b, tds.V74)
		}
		return tds.AppendDone(b, tds.V74, true)
	}
	done := tds.AppendDone(nil, tds.V74, false)
	join := func(parts ...[]byte) (b []byte) {
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	for name, c := range map[string]struct {
		answer []byte
		want   error // nil: logged in
	}{
		"let in":               {join(ackOf(tds.V74), done), nil},
		"unknown information":  {join((&tds.Message{Info: true, Number: 1}).Append(nil, tds.V74), tds.EnvChange{Type: 77, New: []byte{1}}.Append(nil), ackOf(tds.V74), done), nil},
		"no database":          {failure(4060, 18456), login.ErrNoDatabase},
		"may not have it":      {failure(916), login.ErrNoDatabase},
		"wrong password":       {failure(18456), login.ErrAuth},
		"integrated alone":     {failure(18452), login.ErrAuth},
		"full":                 {failure(17809), login.ErrTooManyConnections},
		"shutting down":        {failure(6005), login.ErrUnreachable},
		"secondary":            {failure(976), login.ErrUnreachable},
		"routed":               {join(ackOf(tds.V74), tds.Routing{Host: "db2", Port: 14330}.Change().Append(nil), done), login.ErrRouted},
		"no acknowledgement":   {done, login.ErrProtocol},
		"nothing":              {nil, login.ErrProtocol},
		"SSPI":                 {[]byte{0xED, 1, 0, 7}, login.ErrAuth},
		"FEDAUTHINFO":          {(&tds.FedAuthInfo{}).Append(nil), login.ErrAuth},
		"a result":             {[]byte{0x81, 0, 0}, login.ErrProtocol},
		"half a token":         {ackOf(tds.V74)[:9], login.ErrProtocol},
		"half a DONE":          {join(ackOf(tds.V74), done[:5]), login.ErrProtocol},
		"packets of no size":   {join(tds.TextChange(tds.EnvPacketSize, "1", "4096").Append(nil), ackOf(tds.V74), done), login.ErrProtocol},
		"packets of any size":  {join(tds.TextChange(tds.EnvPacketSize, "x", "4096").Append(nil), ackOf(tds.V74), done), login.ErrProtocol},
		"newer than asked for": {join(ackOf(tds.V74+0x1000000), done), login.ErrProtocol},
		"TDS 7.0":              {join(ackOf(tds.V70), done), login.ErrProtocol},
		"features not asked for": {
			join(ackOf(tds.V74), tds.AppendFeatureExtAck(nil, tds.Features{ColumnEncryption: 1}.Acknowledgement()), done),
			login.ErrProtocol,
		},
		"a malformed ENVCHANGE": {[]byte{0xE3, 2, 0, 1, 9}, login.ErrProtocol},
	} {
		err := dial(t, plain, func(p *peer) {
			serve(p, c.answer)
			if c.want == nil { // a pipe whose other end is closed takes no deadline
				_, _ = io.Copy(io.Discard, p)
			}
		}, nil)
		if c.want == nil && err != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
		if c.want == login.ErrRouted && !strings.Contains(err.Error(), "db2:14330") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDialOlderServer(t *testing.T) {
	t.Parallel()
	answer := append(tds.TextChange(tds.EnvPacketSize, "512", "4096").Append(nil), ackOf(tds.V73B)...)
	answer = append(tds.TextChange(tds.EnvDatabase, "shop", "master").Append(answer), tds.AppendDone(nil, tds.V73B, false)...)
	err := dial(t, plain, func(p *peer) {
		l := serve(p, answer)
		if l.UserName != "clerk" || l.Password != password || l.Version != tds.V74 || l.PacketSize != 8000 || l.ServerName != "db" || l.Extended {
			t.Errorf("LOGIN7: %#v", *l)
		}
		p.receive(tds.PacketSQLBatch)
	}, func(s *login.Server) error {
		if s.Version != tds.V73B || s.PacketSize != 512 || s.Database != "shop" || s.TLS {
			t.Errorf("%+v", s)
		}
		_, err := s.Query(t.Context(), strings.Repeat("x", 2000))
		if !errors.Is(err, login.ErrUnreachable) {
			t.Errorf("a server that leaves: %v", err)
		}
		_, err = s.Query(t.Context(), "SELECT 1")
		return err
	})
	if !errors.Is(err, login.ErrProtocol) {
		t.Errorf("after that: %v", err)
	}
}

func TestDialTrouble(t *testing.T) {
	t.Parallel()
	hello := (&tds.PreLogin{Version: 1, HasEncryption: true, Encryption: tds.EncryptOn}).Append(nil)
	for name, c := range map[string]struct {
		mode   resource.TLSMode
		script func(p *peer)
		want   error
	}{
		"gone":             {resource.TLSRequire, func(p *peer) { p.receive(tds.PacketPreLogin) }, login.ErrUnreachable},
		"not TDS":          {resource.TLSRequire, func(p *peer) { p.receive(tds.PacketPreLogin); _, _ = p.Write([]byte("HTTP/1.1")) }, login.ErrProtocol},
		"PRELOGIN of none": {resource.TLSRequire, func(p *peer) { p.receive(tds.PacketPreLogin); p.send(tds.PacketReply, nil) }, login.ErrProtocol},
		"full at PRELOGIN": {resource.TLSRequire, func(p *peer) {
			p.receive(tds.PacketPreLogin)
			p.send(tds.PacketReply, (&tds.Message{Number: 17809}).Append(nil, tds.V74))
		}, login.ErrTooManyConnections},
		"gone in handshake": {resource.TLSRequire, func(p *peer) {
			p.receive(tds.PacketPreLogin)
			p.send(tds.PacketReply, hello)
			p.receive(tds.PacketPreLogin)
		}, login.ErrTLS},
		// What pretends to be the log-in's answer, in the clear, is none.
		"plain text where TLS is to begin": {resource.TLSRequire, func(p *peer) {
			p.receive(tds.PacketPreLogin)
			out := tds.AppendMessage(nil, tds.PacketReply, 0, 4096, 0, hello)
			out = tds.AppendMessage(out, tds.PacketReply, 0, 4096, 0, append(ackOf(tds.V74), tds.AppendDone(nil, tds.V74, false)...))
			go func() { _, _ = io.Copy(io.Discard, p.Conn) }()
			_, _ = p.Write(out)
		}, login.ErrTLS},
	} {
		if err := dial(t, login.DialOptions{TLSMode: c.mode}, c.script, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
	}
}

func TestDialEnds(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	near, far := net.Pipe()
	defer far.Close()
	go func() {
		p := &peer{t, far}
		p.receive(tds.PacketPreLogin)
		stop(why)
	}()
	_, err := login.Dial(ctx, func(context.Context, string, string) (net.Conn, error) { return near, nil },
		login.DialOptions{Address: "db:1433", Credentials: login.NewCredentials("u", "p")})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestKnock(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for _, mode := range []resource.TLSMode{resource.TLSPrefer, resource.TLSDisable, resource.TLSStrict} {
		p := startProxy(t, ca.options())
		_, port, err := net.SplitHostPort(p.addr)
		if err != nil {
			t.Fatal(err)
		}
		version, err := login.Knock(t.Context(), nil, login.DialOptions{Address: "localhost:" + port, TLSMode: mode, RootCAs: ca.pool})
		if err != nil || version != 0x10000FA0 {
			t.Errorf("%s: %#x, %v", mode, version, err)
		}
		if o := <-p.outcomes; !errors.Is(o.err, login.ErrClientGone) {
			t.Errorf("%s: Accept: %v", mode, o.err)
		}
	}
}

// result is COLMETADATA of two columns of the type nvarchar, in TDS 7.2 and newer.
func result() []byte {
	b := []byte{0x81, 2, 0}
	for _, name := range []string{"a", "b"} {
		b = append(b, 0, 0, 0, 0, 9, 0, 0xE7, 40, 0, 9, 4, 0xD0, 0, 0x34, byte(len(name)))
		b = tds.AppendText(b, name)
	}
	return b
}

func TestQuery(t *testing.T) {
	t.Parallel()
	login7 := append(ackOf(tds.V74), tds.AppendDone(nil, tds.V74, false)...)
	value := func(s string) []byte { return tds.AppendText([]byte{byte(2 * len(s)), 0}, s) }
	join := func(parts ...[]byte) (b []byte) {
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	done := tds.AppendDone(nil, tds.V74, false)
	text := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		answer []byte
		want   [][]*string
		err    error
		exec   bool // Exec takes it
	}{
		"rows": {
			join(result(), []byte{0xD1}, value("x"), value(""), []byte{0xD1}, value("y"), []byte{0xFF, 0xFF}, []byte{0xD2, 1}, value("z"), done),
			[][]*string{{text("x"), text("")}, {text("y"), nil}, {nil, text("z")}},
			nil, true,
		},
		"nothing":    {done, nil, nil, true},
		"a failure":  {join((&tds.Message{Number: 229, Class: 14, Text: "denied"}).Append(nil, tds.V74), tds.AppendDone(nil, tds.V74, true)), nil, &login.ServerError{}, false},
		"half a row": {join(result(), []byte{0xD1}, value("x")), nil, login.ErrProtocol, false},
		"not text":   {join([]byte{0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0x38, 0}, []byte{0xD1, 1, 0, 0, 0}, done), nil, login.ErrProtocol, true},
		"a failure behind a result": {
			join([]byte{0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0x38, 0}, []byte{0xD1, 1, 0, 0, 0}, (&tds.Message{Number: 229}).Append(nil, tds.V74), tds.AppendDone(nil, tds.V74, true)),
			nil, login.ErrProtocol, false,
		},
	} {
		script := func(p *peer) {
			serve(p, login7)
			if got := p.receive(tds.PacketSQLBatch); !strings.HasSuffix(tds.DecodeText(got), "SELECT 1") || len(got) != 22+16 || got[0] != 22 {
				t.Errorf("%s: batch %x", name, got)
			}
			p.send(tds.PacketReply, c.answer)
		}
		var rows [][]*string
		err := dial(t, plain, script, func(s *login.Server) (err error) {
			rows, err = s.Query(t.Context(), "SELECT 1")
			return err
		})
		var se *login.ServerError
		if _, refused := c.err.(*login.ServerError); refused {
			if !errors.As(err, &se) || se.Number != 229 {
				t.Errorf("%s: %v", name, err)
			}
		} else if !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: %v; want %v", name, err, c.err)
		}
		if diff := cmp.Diff(c.want, rows); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		err = dial(t, plain, script, func(s *login.Server) error { return s.Exec(t.Context(), "SELECT 1") })
		if (err == nil) != c.exec {
			t.Errorf("%s: Exec: %v", name, err)
		}
	}
}
