package mysql

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"forebay/internal/certs"
	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit"
	"forebay/internal/wire/mysqlwire"
)

// tokens take one token and remember what they were asked.
type tokens struct {
	mu   sync.Mutex
	seen []string
}

const goodToken = "db.test:6432/?Action=connect&DBUser=app&X-Amz-Signature=0123"

// Verify implements engine.Tokens.
func (k *tokens) Verify(_ context.Context, l engine.TokenLogin) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, fmt.Sprint(l.Proxy, " ", l.ResourceID, " ", l.Endpoint, " ", l.Hostnames, " ", l.Port, " ", l.User, " ", l.TLS, " ", l.Remote != nil))
	if l.Token == goodToken {
		return nil
	}
	return &engine.TokenError{Reason: engine.TokenSignature}
}

// TestTokens logs clients in by a token, at once and by COM_CHANGE_USER.
func TestTokens(t *testing.T) {
	t.Parallel()
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		a, b := testkit.MySQLDatabase(t, m), testkit.MySQLDatabase(t, m)
		tlsConfig, err := certs.New(slog.New(slog.DiscardHandler), "127.0.0.1").Config(&resource.Proxy{})
		if err != nil {
			t.Fatal(err)
		}
		var k tokens
		f := testkit.StartForebayMySQL(t, m, testkit.ForebayOptions{
			Users: map[string]string{a.User: a.Password, b.User: b.Password}, TLS: tlsConfig, Tokens: &k,
			Change: func(p *resource.Proxy) {
				p.ResourceID = "prx-1"
				p.Endpoints[0].Hostnames = []string{"db.test"}
				for i := range p.Auth {
					if p.Auth[i].Secret == b.User {
						p.Auth[i].IAMAuth = resource.IAMRequired
					}
				}
			},
		})
		connect := func(user, password string, mode resource.TLSMode) (*client, error) {
			s, err := login.Dial(t.Context(), nil, login.DialOptions{
				Address: net.JoinHostPort(f.Host, strconv.Itoa(f.Port)), TLSMode: mode, Capabilities: usual,
				Credentials: login.NewCredentials(user, secret.Password(password)),
			})
			if err != nil {
				return nil, err
			}
			return &client{s: s, conn: s.Conn, r: bufio.NewReader(s.Conn), caps: s.Capabilities}, nil
		}
		who := func(c *client, user string) {
			t.Helper()
			if got := text(c.query("SELECT CURRENT_USER()")); !strings.HasPrefix(got, user+"@") {
				t.Errorf("current user %q, want %s", got, user)
			}
		}
		seen := fmt.Sprint("test prx-1 default [db.test] ", f.Port, " ", b.User, " true true")

		c, err := connect(b.User, goodToken, resource.TLSRequire)
		if err != nil {
			t.Fatal(err)
		}
		who(c, b.User)
		c.leave()
		for _, tt := range []struct {
			password string
			mode     resource.TLSMode
			code     string
		}{{b.Password, resource.TLSRequire, "1045"}, {goodToken + "x", resource.TLSRequire, "1045"}, {goodToken, resource.TLSDisable, "3159"}} {
			if _, err := connect(b.User, tt.password, tt.mode); err == nil || !strings.Contains(err.Error(), tt.code) {
				t.Errorf("TLS %s: %v, want %s", tt.mode, err, tt.code)
			}
		}

		// To a user with a token and back.
		if c, err = connect(a.User, a.Password, resource.TLSRequire); err != nil {
			t.Fatal(err)
		}
		who(c, a.User)
		if got := changeUser(c, b.User, goodToken); got != "" {
			t.Fatalf("change to a user with a token: %q", got)
		}
		who(c, b.User)
		if got := changeUser(c, b.User, b.Password); !strings.HasPrefix(got, "\xff\x15\x04#28000") {
			t.Errorf("change by the password: %q", got)
		}
		c.conn.Close()
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.seen) != 5 {
			t.Errorf("%d tokens seen, want 5", len(k.seen))
		}
		for _, got := range k.seen {
			if got != seen {
				t.Errorf("Verify was given %q, want %q", got, seen)
			}
		}
		clients := f.Plane.Collect().Proxies[0].Clients
		if clients.Tokens != 2 || clients.TokensRefused[engine.TokenSignature] != 3 || clients.TokensRefused[engine.TokenNoTLS] != 1 {
			t.Errorf("figures: %+v", clients)
		}
	})
}

// changeUser changes a client's user, by mysql_clear_password. It returns the last answer where that is no OK.
func changeUser(c *client, user, password string) string {
	request := (&mysqlwire.ChangeUser{User: user}).Append(nil, c.caps)
	b, _ := mysqlwire.AppendPacket(nil, 0, request)
	if _, err := c.conn.Write(b); err != nil {
		return err.Error()
	}
	answer, err := rawPacket(c.r)
	if err != nil {
		return err.Error()
	}
	if !strings.HasPrefix(answer, "\xfemysql_clear_password\x00") {
		return answer
	}
	b, _ = mysqlwire.AppendPacket(nil, 2, append([]byte(password), 0))
	if _, err := c.conn.Write(b); err != nil {
		return err.Error()
	}
	if answer, err = rawPacket(c.r); err != nil {
		return err.Error()
	}
	if answer[0] == mysqlwire.HeaderOK {
		return ""
	}
	return answer
}

func rawPacket(r io.Reader) (string, error) {
	var head [mysqlwire.HeaderLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	h, err := mysqlwire.ParseHeader(head[:])
	if err != nil {
		return "", err
	}
	body := make([]byte, h.Length)
	_, err = io.ReadFull(r, body)
	return string(body), err
}
