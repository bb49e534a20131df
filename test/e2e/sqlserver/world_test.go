package sqlserver

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"forebay/internal/testkit"
	"forebay/internal/testkit/tdsserver"
)

// place is where a driver connects: the server itself, or what stands before it.
type place struct {
	host     string
	port     int
	user     string
	password string
	database string
	ca       string               // a file with the certificate that it shows
	through  bool                 // it is a Forebay
	strict   bool                 // TDS 8.0 is understood there
	server   *tdsserver.Server    // behind it, for a test to look at
	encrypt  tdsserver.Encryption // what it answers
	leaves   bool                 // its reset is to leave what Babelfish's does
}

func (p place) addr() string { return net.JoinHostPort(p.host, strconv.Itoa(p.port)) }

// direct is the server itself.
func direct(t *testing.T, o tdsserver.Options) place {
	t.Helper()
	s := tdsserver.Start(t, o)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return place{
		host: s.Host, port: s.Port, user: tdsserver.DefaultUser, password: tdsserver.DefaultPassword, database: tdsserver.DefaultDatabase,
		ca: ca, strict: !o.NoStrict, server: s, encrypt: o.Encryption, leaves: o.KeepsContext,
	}
}

// throughForebay is a Forebay before the server.
func throughForebay(t *testing.T, o tdsserver.Options) place {
	t.Helper()
	p := direct(t, o)
	f := testkit.StartForebaySQLServer(t, p.host, p.port, testkit.ForebayOptions{
		Users: map[string]string{p.user: p.password}, TLS: p.server.TLS(),
	})
	p.host, p.port, p.through = f.Host, f.Port, true
	return p
}

// places are all ways to a server with these options: a test of a driver runs at each.
func places(t *testing.T, o tdsserver.Options, test func(t *testing.T, p place)) {
	t.Helper()
	for _, way := range []struct {
		name string
		open func(t *testing.T, o tdsserver.Options) place
	}{
		{"direct", direct},
		{"forebay", throughForebay},
	} {
		if way.name == "forebay" && (o.Encryption != tdsserver.EncryptOff || o.Token != nil) {
			continue // what a client sees are Forebay's own encryption and tokens, the same before every server
		}
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			test(t, way.open(t, o))
		})
	}
}
