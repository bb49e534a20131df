package login

import (
	"crypto/rand"

	"forebay/internal/wire/mysqlwire"
)

// DefaultCapabilities are what a greeting offers where no server says better: all of MySQL's but compression, expired
// passwords, and what is newer than MySQL 5.7. CLIENT_SSL goes with TLS: NewHello adds it.
const DefaultCapabilities = mysqlwire.ClientLongPassword | mysqlwire.ClientFoundRows | mysqlwire.ClientLongFlag |
	mysqlwire.ClientConnectWithDB | mysqlwire.ClientNoSchema | mysqlwire.ClientODBC | mysqlwire.ClientLocalFiles |
	mysqlwire.ClientIgnoreSpace | mysqlwire.ClientProtocol41 | mysqlwire.ClientInteractive |
	mysqlwire.ClientIgnoreSigpipe | mysqlwire.ClientTransactions | mysqlwire.ClientReserved |
	mysqlwire.ClientSecureConnection | mysqlwire.ClientMultiStatements | mysqlwire.ClientMultiResults |
	mysqlwire.ClientPSMultiResults | mysqlwire.ClientPluginAuth | mysqlwire.ClientConnectAttrs |
	mysqlwire.ClientPluginAuthLenEncClientData | mysqlwire.ClientSessionTrack | mysqlwire.ClientDeprecateEOF

// Hello is the greeting that one client is sent.
type Hello struct {
	ServerVersion string // without NUL
	ConnectionID  uint32
	Scramble      [mysqlwire.ScrambleLen]byte // NewScramble's; never used for a second connection
	// Capabilities offered; CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION and CLIENT_PLUGIN_AUTH among them, CLIENT_SSL if
	// and only if AcceptOptions.TLS is set.
	Capabilities mysqlwire.Capability
	Charset      uint8 // low byte of a collation's id
	Status       mysqlwire.Status
	// Plugin is what clients begin with: mysql_native_password or caching_sha2_password. Those of users with another are
	// asked to switch, at the price of a round trip.
	Plugin string
	Sent   bool // the packet has been sent already: Accept only waits for the answer
}

// NewHello returns a greeting with a scramble of its own and DefaultCapabilities.
func NewHello(version string, id uint32, tls bool) *Hello {
	h := &Hello{
		ServerVersion: version,
		ConnectionID:  id,
		Scramble:      NewScramble(),
		Capabilities:  DefaultCapabilities,
		Charset:       mysqlwire.UTF8MB4General,
		Status:        mysqlwire.StatusAutocommit,
		Plugin:        mysqlwire.PluginCachingSHA2,
	}
	if tls {
		h.Capabilities |= mysqlwire.ClientSSL
	}
	return h
}

// NewScramble draws a scramble. Its bytes are ASCII, without NUL and '$', at which clients and servers end it.
func NewScramble() [mysqlwire.ScrambleLen]byte {
	var s [mysqlwire.ScrambleLen]byte
	var random [2 * mysqlwire.ScrambleLen]byte
	for n := 0; n < len(s); {
		rand.Read(random[:])
		for _, c := range random {
			if c &= 0x7f; c != 0 && c != '$' && n < len(s) {
				s[n] = c
				n++
			}
		}
	}
	return s
}

// Append appends the packet, header included.
func (h *Hello) Append(dst []byte) []byte {
	dst, at := mysqlwire.BeginPacket(dst)
	dst = (&mysqlwire.HandshakeV10{
		ServerVersion: h.ServerVersion,
		ConnectionID:  h.ConnectionID,
		AuthData:      h.Scramble[:],
		Capabilities:  h.Capabilities,
		Charset:       h.Charset,
		Status:        h.Status,
		Plugin:        h.Plugin,
	}).Append(dst)
	dst, _ = mysqlwire.EndPacket(dst, at, 0)
	return dst
}
