package sqlserver

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

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
	strict   bool                 // TDS 8.0 is understood there
	server   *tdsserver.Server    // behind it, for a test to look at
	encrypt  tdsserver.Encryption // what it answers
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
		ca: ca, strict: !o.NoStrict, server: s, encrypt: o.Encryption,
	}
}

// places are all ways to a server with these options: a test of a driver runs at each.
func places(t *testing.T, o tdsserver.Options, test func(t *testing.T, p place)) {
	t.Helper()
	for _, way := range []struct {
		name string
		open func(t *testing.T, o tdsserver.Options) place
	}{
		{"direct", direct},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			test(t, way.open(t, o))
		})
	}
}
