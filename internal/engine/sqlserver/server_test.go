package sqlserver

import (
	"strings"
	"testing"

	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/wire/tds"
)

// TestResetInDoubt has a server connection be reset whose server may leave the database and the isolation level as they are,
// as Babelfish does, or not.
func TestResetInDoubt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version uint32
		use     bool // the database has to be set
	}{
		{0x0C0007D0, true},  // of SQL Server 2014, which is Babelfish's
		{0x10000FA0, false}, // of SQL Server 2022
	} {
		v := newServer(newDatabase(t, setup{}), &login.Server{Version: tds.V74, ProgVersion: c.version, Settings: loginSettings()}).(*server)
		other := loginSettings()
		other.Database, other.Isolation = "other", settings.Serializable
		v.have = other
		if text := v.relogin(); strings.Contains(text, "USE [shop]") != c.use || !strings.Contains(text, "ISOLATION LEVEL READ COMMITTED") {
			t.Errorf("%#x: a client that has left is followed by %s", c.version, text)
		}
		v.wasReset(false)
		if text := string(v.have.Text(loginSettings())); strings.Contains(text, "USE [shop]") != c.use || !strings.Contains(text, "ISOLATION LEVEL READ COMMITTED") {
			t.Errorf("%#x: a session as after its log-in gets %s", c.version, text)
		}
		if text := string(v.have.Text(other)); !strings.Contains(text, "USE [other]") || !strings.Contains(text, "ISOLATION LEVEL SERIALIZABLE") {
			t.Errorf("%#x: a session with the same settings gets %s", c.version, text)
		}
	}
}
