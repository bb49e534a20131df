package tds

import "encoding/binary"

// FedAuthLibrary says how a client comes by its token ([MS-TDS] 2.2.6.4, FEDAUTH).
type FedAuthLibrary byte

// The libraries.
const (
	FedAuthLiveID        FedAuthLibrary = 0
	FedAuthSecurityToken FedAuthLibrary = 1 // the token is in LOGIN7
	FedAuthADAL          FedAuthLibrary = 2 // the token comes in a message of its own, once FEDAUTHINFO has told for what
)

// FedAuth is LOGIN7's feature FEDAUTH.
type FedAuth struct {
	Library FedAuthLibrary
	// Echo is what the server's PRELOGIN has said by FEDAUTHREQUIRED.
	Echo     bool
	Token    string // with FedAuthSecurityToken; a secret
	Workflow byte   // with FedAuthADAL: 1 for a password, 2 integrated, 3 interactive
	Nonce    []byte // 32 bytes, or nil
}

// String shows nothing of the token.
func (f *FedAuth) String() string { return "FEDAUTH" }

// GoString is String, for %#v.
func (f *FedAuth) GoString() string { return f.String() }

// ParseFedAuth decodes the data of the feature.
func ParseFedAuth(b []byte) (*FedAuth, error) {
	c := cursor{b: b, structure: "FEDAUTH"}
	options := c.uint8("Options")
	f := &FedAuth{Library: FedAuthLibrary(options >> 1), Echo: options&1 != 0}
	switch f.Library {
	case FedAuthSecurityToken:
		f.Token = DecodeText(takeToken(&c))
		f.Nonce = takeNonce(&c)
	case FedAuthADAL:
		if len(c.b) > 0 {
			f.Workflow = c.uint8("Workflow")
		}
	default: // not known here: what follows is not looked at
		c.b = nil
	}
	if c.err == nil && len(c.b) > 0 {
		c.err = &MalformedError{"FEDAUTH", "length"}
	}
	if c.err != nil {
		return nil, c.err
	}
	return f, nil
}

// takeToken takes a token behind its length in bytes.
func takeToken(c *cursor) []byte {
	n := c.uint32("FedAuthToken")
	if uint64(n) > uint64(len(c.b)) || n%2 != 0 {
		if c.err == nil {
			c.err = &MalformedError{c.structure, "FedAuthToken"}
		}
		return nil
	}
	return c.bytes(int(n), "FedAuthToken")
}

func takeNonce(c *cursor) []byte {
	if c.err != nil || len(c.b) == 0 {
		return nil
	}
	return c.bytes(nonceLen, "Nonce")
}

// Append appends the data of the feature.
func (f *FedAuth) Append(b []byte) []byte {
	options := byte(f.Library) << 1
	if f.Echo {
		options |= 1
	}
	b = append(b, options)
	switch f.Library {
	case FedAuthSecurityToken:
		b = append(appendToken(b, f.Token), f.Nonce...)
	case FedAuthADAL:
		b = append(b, f.Workflow)
	}
	return b
}

func appendToken(b []byte, token string) []byte {
	return AppendText(binary.LittleEndian.AppendUint32(b, uint32(2*textUnits(token))), token)
}

// FedAuthToken is the message by which a client sends its token ([MS-TDS] 2.2.6.3).
type FedAuthToken struct {
	Token string // a secret
	Nonce []byte // 32 bytes, or nil
}

// String shows nothing of the token.
func (f *FedAuthToken) String() string { return "Federated Authentication Token" }

// GoString is String, for %#v.
func (f *FedAuthToken) GoString() string { return f.String() }

// ParseFedAuthToken decodes the data of such a message.
func ParseFedAuthToken(b []byte) (*FedAuthToken, error) {
	c := cursor{b: b, structure: "Federated Authentication Token"}
	if n := c.uint32("DataLen"); c.err == nil && uint64(n) != uint64(len(c.b)) {
		return nil, &MalformedError{c.structure, "DataLen"}
	}
	f := &FedAuthToken{Token: DecodeText(takeToken(&c)), Nonce: takeNonce(&c)}
	if c.err == nil && len(c.b) > 0 {
		c.err = &MalformedError{c.structure, "DataLen"}
	}
	if c.err != nil {
		return nil, c.err
	}
	return f, nil
}

// Append appends the data of the message.
func (f *FedAuthToken) Append(b []byte) []byte {
	at := len(b)
	b = append(appendToken(append(b, 0, 0, 0, 0), f.Token), f.Nonce...)
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// FedAuthInfo is the token FEDAUTHINFO, which tells a client for what it is to get a token ([MS-TDS] 2.2.7.12).
type FedAuthInfo struct {
	STSURL string // of the authority
	SPN    string // of the server
}

const (
	tokenByteFedAuthInfo = 0xEE

	fedAuthInfoSTSURL = 1
	fedAuthInfoSPN    = 2
)

// Append appends the token.
func (f *FedAuthInfo) Append(b []byte) []byte {
	const fixed = 4 + 2*9 // CountOfInfoIDs, and two options
	sts, spn := AppendText(nil, f.STSURL), AppendText(nil, f.SPN)
	b = append(b, tokenByteFedAuthInfo)
	b = binary.LittleEndian.AppendUint32(b, uint32(fixed+len(sts)+len(spn)))
	b = binary.LittleEndian.AppendUint32(b, 2)
	at := fixed
	for _, o := range []struct {
		id   byte
		data []byte
	}{{fedAuthInfoSTSURL, sts}, {fedAuthInfoSPN, spn}} {
		b = append(b, o.id)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(o.data)))
		b = binary.LittleEndian.AppendUint32(b, uint32(at))
		at += len(o.data)
	}
	return append(append(b, sts...), spn...)
}

// ParseFedAuthInfo decodes the token at the beginning of b, and returns its length: ErrShort where b ends before it does.
func ParseFedAuthInfo(b []byte) (f *FedAuthInfo, n int, err error) {
	if len(b) < 5 {
		return nil, 0, ErrShort
	}
	if b[0] != tokenByteFedAuthInfo {
		return nil, 0, &MalformedError{"FEDAUTHINFO", "TokenType"}
	}
	size := binary.LittleEndian.Uint32(b[1:])
	if uint64(size) > uint64(len(b)-5) {
		return nil, 0, ErrShort
	}
	body := b[5 : 5+int(size)]
	c := cursor{b: body, structure: "FEDAUTHINFO"}
	f = &FedAuthInfo{}
	count := c.uint32("CountOfInfoIDs")
	for i := uint32(0); i < count && c.err == nil; i++ {
		id, length, at := c.uint8("FedAuthInfoID"), c.uint32("FedAuthInfoDataLen"), c.uint32("FedAuthInfoDataOffset")
		if c.err == nil && uint64(at)+uint64(length) > uint64(len(body)) {
			c.err = &MalformedError{"FEDAUTHINFO", "FedAuthInfoDataOffset"}
		}
		if c.err != nil {
			break
		}
		switch data := body[at : at+length]; id {
		case fedAuthInfoSTSURL:
			f.STSURL = DecodeText(data)
		case fedAuthInfoSPN:
			f.SPN = DecodeText(data)
		}
	}
	if c.err != nil {
		return nil, 0, c.err
	}
	return f, 5 + int(size), nil
}
