package mysqlwire

import "encoding/binary"

// ChangeUser is COM_CHANGE_USER: the connection phase once more, on the same connection.
type ChangeUser struct {
	User         string
	AuthResponse []byte // at most 255 bytes; without CLIENT_SECURE_CONNECTION it has no NUL
	Database     string
	HasCharset   bool   // old clients end after the database
	Charset      uint16 // character_set: a collation's id; sent if HasCharset
	Plugin       string // client_plugin_name; sent with CLIENT_PLUGIN_AUTH
	Attributes   []byte // connection attributes, encoded: ParseAttributes; sent with CLIENT_CONNECT_ATTRS
}

// ParseChangeUser decodes the payload as a client with these capabilities sends it.
func ParseChangeUser(b []byte, c Capability) (*ChangeUser, error) {
	const packet = "COM_CHANGE_USER"
	if len(b) == 0 || Command(b[0]) != ComChangeUser {
		return nil, &MalformedError{packet, "command"}
	}
	user, b, ok := NulString(b[1:])
	if !ok {
		return nil, &MalformedError{packet, "user"}
	}
	p := &ChangeUser{User: string(user)}
	if p.AuthResponse, b, ok = authResponse(b, c&^ClientPluginAuthLenEncClientData); !ok {
		return nil, &MalformedError{packet, "auth_plugin_data"}
	}
	s, b := lastString(b)
	p.Database = string(s)
	if len(b) == 0 {
		return p, nil
	}
	if len(b) < 2 {
		return nil, &MalformedError{packet, "character_set"}
	}
	p.HasCharset, p.Charset, b = true, binary.LittleEndian.Uint16(b), b[2:]
	if c.Has(ClientPluginAuth) {
		s, b = lastString(b)
		p.Plugin = string(s)
	}
	if c.Has(ClientConnectAttrs) && len(b) > 0 {
		if p.Attributes, _, ok = LenEncString(b); !ok {
			return nil, &MalformedError{packet, "connection attributes"}
		}
	}
	return p, nil
}

// Append appends the payload for a client with these capabilities. Plugin and Attributes need HasCharset.
func (p *ChangeUser) Append(dst []byte, c Capability) []byte {
	dst = appendNul(append(dst, byte(ComChangeUser)), p.User)
	if c.Has(ClientSecureConnection) {
		dst = appendShortString(dst, p.AuthResponse)
	} else {
		dst = append(append(dst, p.AuthResponse...), 0)
	}
	dst = appendNul(dst, p.Database)
	if !p.HasCharset {
		return dst
	}
	dst = binary.LittleEndian.AppendUint16(dst, p.Charset)
	if c.Has(ClientPluginAuth) {
		dst = appendNul(dst, p.Plugin)
	}
	if c.Has(ClientConnectAttrs) {
		dst = AppendLenEncString(dst, p.Attributes)
	}
	return dst
}
