package mysqlwire_test

import (
	"errors"
	"strings"
	"testing"

	"forebay/internal/wire/mysqlwire"

	"github.com/google/go-cmp/cmp"
)

const (
	modern = mysqlwire.ClientProtocol41 | mysqlwire.ClientSecureConnection | mysqlwire.ClientPluginAuth |
		mysqlwire.ClientPluginAuthLenEncClientData | mysqlwire.ClientConnectAttrs
	scramble = "abcdefghijklmnopqrst"
)

// The greetings of two servers, byte for byte.
const (
	mysqlGreeting = "\x0a8.4.3\x00" + "\x0b\x00\x00\x00" + "abcdefgh\x00" + "\xff\xff" + "\xff" + "\x02\x00" + "\xff\xdf" +
		"\x15" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "ijklmnopqrst\x00" + "caching_sha2_password\x00"
	mariaDBGreeting = "\x0a5.5.5-10.11.6-MariaDB\x00" + "\x05\x00\x00\x00" + "abcdefgh\x00" + "\xfe\xf7" + "\x08" + "\x02\x00" +
		"\xff\x81" + "\x15" + "\x00\x00\x00\x00\x00\x00" + "\x1d\x00\x00\x00" + "ijklmnopqrst\x00" + "mysql_native_password\x00"
)

func TestHandshakeV10(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     mysqlwire.HandshakeV10
		version  string
		mariaDB  bool
	}{
		{"MySQL 8.4", mysqlGreeting, mysqlwire.HandshakeV10{
			ServerVersion: "8.4.3", ConnectionID: 11, AuthData: []byte(scramble), Capabilities: 0xdfffffff,
			Charset: 255, Status: mysqlwire.StatusAutocommit, Plugin: "caching_sha2_password",
		}, "8.4.3", false},
		{"MariaDB 10.11", mariaDBGreeting, mysqlwire.HandshakeV10{
			ServerVersion: "5.5.5-10.11.6-MariaDB", ConnectionID: 5, AuthData: []byte(scramble),
			Capabilities: 0x81fff7fe | mysqlwire.MariaDBClientProgress | mysqlwire.MariaDBClientStmtBulkOperations |
				mysqlwire.MariaDBClientExtendedMetadata | mysqlwire.MariaDBClientCacheMetadata,
			Charset: 8, Status: mysqlwire.StatusAutocommit, Plugin: "mysql_native_password",
		}, "10.11.6-MariaDB", true},
		{
			"long auth data", "\x0av\x00\x00\x00\x00\x00abcdefgh\x00\x00\x82\x00\x00\x00\x08\x00" + "\x21" + "\x00\x00\x00\x00\x00\x00" +
				"\x00\x00\x00\x00" + "012345678901234567890123\x00" + "p\x00",
			mysqlwire.HandshakeV10{
				ServerVersion: "v", AuthData: []byte("abcdefgh012345678901234567890123"), Plugin: "p",
				Capabilities: mysqlwire.ClientProtocol41 | mysqlwire.ClientSecureConnection | mysqlwire.ClientPluginAuth,
			},
			"v", false,
		},
		{
			"4.1", "\x0a4.1.0\x00\x01\x00\x00\x00abcdefgh\x00\x00\x02\x08\x02\x00" + strings.Repeat("\x00", 13),
			mysqlwire.HandshakeV10{
				ServerVersion: "4.1.0", ConnectionID: 1, AuthData: []byte("abcdefgh"), Charset: 8, Status: 2,
				Capabilities: mysqlwire.ClientProtocol41,
			},
			"4.1.0", false,
		},
	}
	for _, tt := range tests {
		got, err := mysqlwire.ParseHandshakeV10([]byte(tt.in))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if d := cmp.Diff(&tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		if d := cmp.Diff(tt.in, string(got.Append(nil))); d != "" {
			t.Errorf("%s encodes differently (-want +got):\n%s", tt.name, d)
		}
		if got.Version() != tt.version || got.IsMariaDB() != tt.mariaDB {
			t.Errorf("%s: version %q, MariaDB %t", tt.name, got.Version(), got.IsMariaDB())
		}
	}
	if h, err := mysqlwire.ParseHandshakeV10([]byte(strings.TrimSuffix(mysqlGreeting, "\x00"))); err != nil ||
		h.Plugin != "caching_sha2_password" {
		t.Errorf("plugin name without end: %+v, %v", h, err)
	}
	for _, in := range []string{"", "\x09v\x00", "\x0a", "\x0av", mysqlGreeting[:20], mysqlGreeting[:45]} {
		var malformed *mysqlwire.MalformedError
		if h, err := mysqlwire.ParseHandshakeV10([]byte(in)); !errors.As(err, &malformed) {
			t.Errorf("ParseHandshakeV10(%q) = %+v, %v", in, h, err)
		}
	}
}

func TestHandshakeV10AppendKeepsBounds(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{0: 20, 8: 20, 20: 20, 21: 21, 254: 254, 300: 254} {
		h := mysqlwire.HandshakeV10{AuthData: make([]byte, n), Capabilities: modern}
		got, err := mysqlwire.ParseHandshakeV10(h.Append(nil))
		if err != nil || len(got.AuthData) != want {
			t.Errorf("auth data of %d bytes: %+v, %v", n, got, err)
		}
	}
}

func FuzzHandshakeV10(f *testing.F) {
	f.Add([]byte(mysqlGreeting))
	f.Add([]byte(mariaDBGreeting))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := mysqlwire.ParseHandshakeV10(b)
		if err != nil {
			return
		}
		again, err := mysqlwire.ParseHandshakeV10(h.Append(nil))
		if d := cmp.Diff(h, again); err != nil || d != "" {
			t.Errorf("% x: %v (-first +second):\n%s", b, err, d)
		}
	})
}
