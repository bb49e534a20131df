package mysql

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/wire/mysqlwire"
)

// While members are of several versions, clients are offered what all have; what one that has logged in before has, and a member has
// not, keeps the two apart.
func TestVersions(t *testing.T) {
	t.Parallel()
	const attributes = mysqlwire.ClientQueryAttributes
	newer := func() *facts { return &facts{version: "8.4.0", has: offered} }
	older := func() *facts { return &facts{version: "5.7.44", has: offered &^ attributes} }
	tgt := &target{known: make(chan struct{})}
	for i, tt := range []struct {
		f    *facts
		want bool
	}{{newer(), true}, {older(), false}, {newer(), false}} {
		if tgt.learn(tt.f); tgt.facts.Load().offered.Has(attributes) != tt.want {
			t.Errorf("look %d: query attributes are offered: %t", i, !tt.want)
		}
	}
	tgt.versions["5.7.44"] = version{offered &^ attributes, time.Now().Add(-2 * offeredFor)}
	if tgt.learn(newer()); !tgt.facts.Load().offered.Has(attributes) {
		t.Error("a version that is no more counts for ever")
	}

	d := New(slog.New(slog.DiscardHandler)).Open(&resource.Proxy{}, engine.Key{Protocol: uint64(attributes|mysqlwire.ClientDeprecateEOF) | client}, nil).(*database)
	if got := d.lacks(offered &^ attributes); got != attributes {
		t.Errorf("lacks %x", got)
	}
	if got := d.lacks(offered); got != 0 {
		t.Errorf("lacks %x of nothing", got)
	}
}

// oneUser has the same password for everybody.
type oneUser struct{ engine.Credentials }

func (oneUser) Lookup(_ context.Context, user string) (secret.Secret, resource.AuthEntry, error) {
	return secret.Secret{Name: "s", Version: "1", Username: user, Password: "p"}, resource.AuthEntry{}, nil
}

// A member of an older version that was not heard of for long, and that a client's pool cannot be served by, is known from then on:
// the clients that come next are offered what it has, whoever is the writer.
func TestVersionThatCannotServe(t *testing.T) {
	t.Parallel()
	const attributes = mysqlwire.ClientQueryAttributes
	e := New(slog.New(slog.DiscardHandler))
	p := &resource.Proxy{}
	e.target(p).learn(&facts{version: "9.1.0", has: offered})
	d := e.Open(p, engine.Key{User: "u", Protocol: uint64(attributes|mysqlwire.ClientDeprecateEOF) | client}, oneUser{}).(*database)
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	served := make(chan error, 1)
	go func() {
		h := login.NewHello("8.0.11", 1, false)
		h.Capabilities, h.Plugin = offered&^attributes|always, mysqlwire.PluginNative
		c, err := login.Accept(context.Background(), far, login.AcceptOptions{Hello: h, Lookup: func(_ context.Context, user string) (*login.Verifier, error) {
			return login.NewVerifier(user, "p", resource.MySQLNative), nil
		}})
		if err == nil {
			ok, at := mysqlwire.BeginPacket(c.Greeting)
			ok, _ = mysqlwire.EndPacket(mysqlwire.OK{Status: mysqlwire.StatusAutocommit}.Append(ok, c.Capabilities), at, c.Sequence)
			if _, err = c.Conn.Write(ok); err == nil {
				_, _ = io.Copy(io.Discard, far) // its farewell
			}
		}
		served <- err
	}()
	_, err := d.Dial(t.Context(), resource.Member{TLSMode: resource.TLSDisable}, func(context.Context) (net.Conn, error) { return near, nil })
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	var le *loginError
	if !errors.As(err, &le) || !le.permanent || !strings.Contains(err.Error(), "lacks the capabilities") {
		t.Fatalf("err = %v", err)
	}
	f := e.target(p).greeting()
	if f.version != "9.1.0" || f.offered.Has(attributes) || !f.has.Has(attributes) {
		t.Errorf("clients are greeted by %s with query attributes: %t", f.version, f.offered.Has(attributes))
	}
	later := e.target(&resource.Proxy{Target: resource.Target{Members: []resource.Member{{Host: "other", Port: 1}}}})
	later.note("8.0.11", offered&^attributes)
	later.hear(&facts{version: "9.1.0", has: offered})
	if later.greeting().offered.Has(attributes) {
		t.Error("a greeting has more than all members have")
	}
}
