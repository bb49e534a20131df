package mysqlwire

// Authentication plugins by their clients' names.
const (
	PluginOldPassword   = "mysql_old_password" // before 4.1; broken
	PluginNative        = "mysql_native_password"
	PluginCachingSHA2   = "caching_sha2_password"
	PluginSHA256        = "sha256_password"
	PluginClearPassword = "mysql_clear_password"
	PluginEd25519       = "client_ed25519" // MariaDB
)

// Bytes of caching_sha2_password's conversation.
const (
	SHA2RequestPublicKey = 0x02 // from the client: a packet of this byte alone
	SHA2FastAuthOK       = 0x03 // AuthMoreData: the answer was right, OK follows
	SHA2FullAuth         = 0x04 // AuthMoreData: send the password itself
)

// AuthSwitchRequest tells the client to begin again with another plugin ("Protocol::AuthSwitchRequest").
type AuthSwitchRequest struct {
	Plugin string // plugin name; PluginOldPassword stands for the old form, which is the header alone
	Data   []byte // plugin provided data, as sent: most servers end it with a zero
}

// ParseAuthSwitchRequest decodes the payload, in both forms.
func ParseAuthSwitchRequest(b []byte) (AuthSwitchRequest, error) {
	if len(b) == 0 || b[0] != HeaderAuthSwitch {
		return AuthSwitchRequest{}, &MalformedError{"AuthSwitchRequest", "header"}
	}
	if len(b) == 1 {
		return AuthSwitchRequest{Plugin: PluginOldPassword}, nil
	}
	name, data, ok := NulString(b[1:])
	if !ok {
		return AuthSwitchRequest{}, &MalformedError{"AuthSwitchRequest", "plugin name"}
	}
	return AuthSwitchRequest{Plugin: string(name), Data: data}, nil
}

// Append appends the payload. PluginOldPassword without Data gives the old form.
func (r AuthSwitchRequest) Append(dst []byte) []byte {
	dst = append(dst, HeaderAuthSwitch)
	if r.Plugin == PluginOldPassword && len(r.Data) == 0 {
		return dst
	}
	return append(appendNul(dst, r.Plugin), r.Data...)
}

// ParseAuthMoreData returns what the server's plugin says ("Protocol::AuthMoreData").
func ParseAuthMoreData(b []byte) (data []byte, err error) {
	if len(b) == 0 || b[0] != HeaderAuthMoreData {
		return nil, &MalformedError{"AuthMoreData", "header"}
	}
	return b[1:], nil
}

// AppendAuthMoreData appends the payload.
func AppendAuthMoreData(dst, data []byte) []byte {
	return append(append(dst, HeaderAuthMoreData), data...)
}
