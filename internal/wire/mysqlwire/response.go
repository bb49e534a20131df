package mysqlwire

import "encoding/binary"

// SSLRequestLen is the length in bytes of SSLRequest's payload, and of the fixed part that begins HandshakeResponse41.
const SSLRequestLen = 32

// SSLRequest asks to go on in TLS ("Protocol::SSLRequest"). It is the fixed part of the HandshakeResponse41 that follows
// inside TLS.
type SSLRequest struct {
	Capabilities Capability // client_flag, and MariaDB's extended ones if CLIENT_LONG_PASSWORD is not set
	MaxPacket    uint32     // max_packet_size in bytes
	Charset      uint8      // character_set: low byte of a collation's id
}

// IsSSLRequest reports whether a client's first packet asks for TLS. A longer one with CLIENT_SSL does not: the rest came
// in the clear.
func IsSSLRequest(b []byte) bool {
	return len(b) == SSLRequestLen && Capability(binary.LittleEndian.Uint32(b)).Has(ClientSSL|ClientProtocol41)
}

// ParseSSLRequest decodes an SSLRequest, or the fixed part of a HandshakeResponse41.
func ParseSSLRequest(b []byte) (SSLRequest, error) {
	if len(b) < SSLRequestLen {
		return SSLRequest{}, &MalformedError{"SSLRequest", "fixed part"}
	}
	r := SSLRequest{
		Capabilities: Capability(binary.LittleEndian.Uint32(b)),
		MaxPacket:    binary.LittleEndian.Uint32(b[4:]),
		Charset:      b[8],
	}
	if !r.Capabilities.Has(ClientLongPassword) {
		r.Capabilities |= Capability(binary.LittleEndian.Uint32(b[28:])) << 32
	}
	return r, nil
}

// Append appends the payload.
func (r SSLRequest) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r.Capabilities))
	dst = binary.LittleEndian.AppendUint32(dst, r.MaxPacket)
	dst = append(dst, r.Charset)
	dst = append(dst, make([]byte, 19)...)
	return binary.LittleEndian.AppendUint32(dst, r.Capabilities.extended())
}

// HandshakeResponse41 is a client's answer to the greeting ("Protocol::HandshakeResponse41").
type HandshakeResponse41 struct {
	SSLRequest
	User string // without NUL
	// AuthResponse is the first answer of the client's plugin. Without CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA it has at
	// most 255 bytes, what is longer is cut; without CLIENT_SECURE_CONNECTION too it has no NUL.
	AuthResponse []byte
	Database     string // sent with CLIENT_CONNECT_WITH_DB; without NUL
	Plugin       string // client_plugin_name; sent with CLIENT_PLUGIN_AUTH; without NUL
	Attributes   []byte // connection attributes, encoded: ParseAttributes; sent with CLIENT_CONNECT_ATTRS
	ZstdLevel    uint8  // zstd_compression_level; sent with CLIENT_ZSTD_COMPRESSION_ALGORITHM
}

// ParseHandshakeResponse41 decodes a client's answer to the greeting. What the packet ends before is empty: clients leave
// out what they have nothing to say about. A client without CLIENT_PROTOCOL_41 sends something else, which is malformed.
func ParseHandshakeResponse41(b []byte) (*HandshakeResponse41, error) {
	const packet = "HandshakeResponse41"
	fixed, err := ParseSSLRequest(b)
	if err != nil || !fixed.Capabilities.Has(ClientProtocol41) {
		return nil, &MalformedError{packet, "fixed part"}
	}
	r := &HandshakeResponse41{SSLRequest: fixed}
	user, b, ok := NulString(b[SSLRequestLen:])
	if !ok {
		return nil, &MalformedError{packet, "username"}
	}
	r.User = string(user)
	if r.AuthResponse, b, ok = authResponse(b, fixed.Capabilities); !ok {
		return nil, &MalformedError{packet, "auth_response"}
	}
	var s []byte
	if fixed.Capabilities.Has(ClientConnectWithDB) {
		s, b = lastString(b)
		r.Database = string(s)
	}
	if fixed.Capabilities.Has(ClientPluginAuth) {
		s, b = lastString(b)
		r.Plugin = string(s)
	}
	if fixed.Capabilities.Has(ClientConnectAttrs) && len(b) > 0 {
		if r.Attributes, b, ok = LenEncString(b); !ok {
			return nil, &MalformedError{packet, "connection attributes"}
		}
	}
	if fixed.Capabilities.Has(ClientZstdCompression) && len(b) > 0 {
		r.ZstdLevel = b[0]
	}
	return r, nil
}

// authResponse takes a plugin's answer in the form that the capabilities say.
func authResponse(b []byte, c Capability) (data, rest []byte, ok bool) {
	switch {
	case c.Has(ClientPluginAuthLenEncClientData):
		return LenEncString(b)
	case c.Has(ClientSecureConnection):
		return shortString(b)
	}
	return NulString(b)
}

// shortString decodes a string whose length is one byte.
func shortString(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n:n], b[n:], true
}

func appendShortString(dst, s []byte) []byte {
	s = s[:min(len(s), 255)]
	return append(append(dst, byte(len(s))), s...)
}

// Append appends the payload: the fields that Capabilities name.
func (r *HandshakeResponse41) Append(dst []byte) []byte {
	dst = appendNul(r.SSLRequest.Append(dst), r.User)
	switch {
	case r.Capabilities.Has(ClientPluginAuthLenEncClientData):
		dst = AppendLenEncString(dst, r.AuthResponse)
	case r.Capabilities.Has(ClientSecureConnection):
		dst = appendShortString(dst, r.AuthResponse)
	default:
		dst = append(append(dst, r.AuthResponse...), 0)
	}
	if r.Capabilities.Has(ClientConnectWithDB) {
		dst = appendNul(dst, r.Database)
	}
	if r.Capabilities.Has(ClientPluginAuth) {
		dst = appendNul(dst, r.Plugin)
	}
	if r.Capabilities.Has(ClientConnectAttrs) {
		dst = AppendLenEncString(dst, r.Attributes)
	}
	if r.Capabilities.Has(ClientZstdCompression) {
		dst = append(dst, r.ZstdLevel)
	}
	return dst
}

// Attribute is one connection attribute: what a client says about itself (performance_schema.session_connect_attrs).
type Attribute struct{ Name, Value string }

// ParseAttributes decodes connection attributes, of which it keeps those whose names and values fit into maxBytes
// together, in order; dropped says that some did not.
func ParseAttributes(b []byte, maxBytes int) (attrs []Attribute, dropped bool, err error) {
	for len(b) > 0 {
		name, rest, ok := LenEncString(b)
		if !ok {
			return nil, false, &MalformedError{"connection attributes", "name"}
		}
		value, rest, ok := LenEncString(rest)
		if !ok {
			return nil, false, &MalformedError{"connection attributes", "value"}
		}
		b = rest
		// What a pair costs in memory is more than its text; pairs without any must end too.
		if maxBytes -= len(name) + len(value) + 2; maxBytes < 0 {
			maxBytes, dropped = -1, true
			continue
		}
		attrs = append(attrs, Attribute{string(name), string(value)})
	}
	return attrs, dropped, nil
}

// AppendAttributes appends connection attributes as HandshakeResponse41.Attributes and ChangeUser.Attributes hold them.
func AppendAttributes(dst []byte, attrs []Attribute) []byte {
	for _, a := range attrs {
		dst = AppendLenEncString(dst, a.Name)
		dst = AppendLenEncString(dst, a.Value)
	}
	return dst
}
