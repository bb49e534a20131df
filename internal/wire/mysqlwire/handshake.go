package mysqlwire

import (
	"encoding/binary"
	"strings"
)

// Sizes of a scramble in bytes: what the plugins use, and its part that even old clients know.
const (
	ScrambleLen  = 20
	scramblePart = 8
)

// maxAuthData is the longest AuthData that HandshakeV10 can carry: its length, a final zero included, is one byte.
const maxAuthData = 254

const protocolVersion10 = 10

// mariaDBPrefix precedes the version of MariaDB 10.0 to 10.11, so that old replicas take it for more than their own.
const mariaDBPrefix = "5.5.5-"

// HandshakeV10 is a server's greeting ("Protocol::HandshakeV10", in MariaDB "Initial Handshake Packet").
type HandshakeV10 struct {
	ServerVersion string // server version as sent, MariaDB's prefix "5.5.5-" included; without NUL
	ConnectionID  uint32 // thread id
	// AuthData is auth-plugin-data without the zero that ends it: ScrambleLen bytes, or 8 without
	// CLIENT_SECURE_CONNECTION, or up to 254.
	AuthData     []byte
	Capabilities Capability // with MariaDB's extended ones, which are sent if CLIENT_LONG_PASSWORD is not set
	Charset      uint8      // character_set: low byte of the collation's id
	Status       Status
	Plugin       string // auth_plugin_name; sent with CLIENT_PLUGIN_AUTH
}

// ParseHandshakeV10 decodes a greeting. One of a server before 4.1, or of protocol version 9, is malformed.
func ParseHandshakeV10(b []byte) (*HandshakeV10, error) {
	fail := func(field string) (*HandshakeV10, error) { return nil, &MalformedError{"HandshakeV10", field} }
	if len(b) == 0 || b[0] != protocolVersion10 {
		return fail("protocol version")
	}
	version, b, ok := NulString(b[1:])
	if !ok {
		return fail("server version")
	}
	if len(b) < 31 {
		return fail("fixed part")
	}
	h := &HandshakeV10{
		ServerVersion: string(version),
		ConnectionID:  binary.LittleEndian.Uint32(b),
		AuthData:      append(make([]byte, 0, ScrambleLen), b[4:4+scramblePart]...),
		Charset:       b[15],
		Status:        Status(binary.LittleEndian.Uint16(b[16:])),
	}
	caps := uint32(binary.LittleEndian.Uint16(b[13:])) | uint32(binary.LittleEndian.Uint16(b[18:]))<<16
	h.Capabilities = Capability(caps)
	if !h.Capabilities.Has(ClientLongPassword) {
		h.Capabilities |= Capability(binary.LittleEndian.Uint32(b[27:])) << 32
	}
	authLen := int(b[20])
	b = b[31:]
	if h.Capabilities.Has(ClientSecureConnection) {
		n := ScrambleLen - scramblePart
		if h.Capabilities.Has(ClientPluginAuth) {
			n = max(n, authLen-1-scramblePart)
		}
		if len(b) < n+1 {
			return fail("auth-plugin-data")
		}
		h.AuthData = append(h.AuthData, b[:n]...)
		b = b[n+1:]
	}
	if h.Capabilities.Has(ClientPluginAuth) {
		plugin, _ := lastString(b)
		h.Plugin = string(plugin)
	}
	return h, nil
}

// Append appends the payload. AuthData that is too short is filled with zeros, one that is too long is cut.
func (h *HandshakeV10) Append(dst []byte) []byte {
	var auth [maxAuthData]byte
	n := copy(auth[:], h.AuthData)
	dst = append(dst, protocolVersion10)
	dst = appendNul(dst, h.ServerVersion)
	dst = binary.LittleEndian.AppendUint32(dst, h.ConnectionID)
	dst = append(dst, auth[:scramblePart]...)
	dst = append(dst, 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(h.Capabilities))
	dst = append(dst, h.Charset)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(h.Status))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(h.Capabilities>>16))
	end := ScrambleLen
	if h.Capabilities.Has(ClientPluginAuth) {
		end = max(end, n)
		dst = append(dst, byte(end+1))
	} else {
		dst = append(dst, 0)
	}
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, h.Capabilities.extended())
	if h.Capabilities.Has(ClientSecureConnection) {
		dst = append(dst, auth[scramblePart:end]...)
		dst = append(dst, 0)
	}
	if h.Capabilities.Has(ClientPluginAuth) {
		dst = appendNul(dst, h.Plugin)
	}
	return dst
}

// IsMariaDB reports whether the server is a MariaDB: it says so in its version, and leaves out CLIENT_LONG_PASSWORD.
func (h *HandshakeV10) IsMariaDB() bool {
	return strings.HasPrefix(h.ServerVersion, mariaDBPrefix) || strings.Contains(h.ServerVersion, "MariaDB")
}

// Version returns the server's version without MariaDB's prefix.
func (h *HandshakeV10) Version() string {
	if h.IsMariaDB() {
		return strings.TrimPrefix(h.ServerVersion, mariaDBPrefix)
	}
	return h.ServerVersion
}
