package tds

import (
	"encoding/binary"
)

// Encryption is what PRELOGIN's option ENCRYPTION says ([MS-TDS] 2.2.6.5).
type Encryption uint8

// The values of ENCRYPTION. A server answers EncryptOff where the login packet alone is to be encrypted.
const (
	EncryptOff          Encryption = 0
	EncryptOn           Encryption = 1
	EncryptNotSupported Encryption = 2
	EncryptRequired     Encryption = 3
)

// Options of PRELOGIN.
const (
	optionVersion         = 0
	optionEncryption      = 1
	optionInstance        = 2
	optionThreadID        = 3
	optionMARS            = 4
	optionTraceID         = 5
	optionFedAuthRequired = 6
	optionNonce           = 7
	optionTerminator      = 0xFF

	traceIDLen = 36
	nonceLen   = 32
	optionLen  = 5 // of one entry of the list of options
)

// PreLogin is PRELOGIN, in both directions ([MS-TDS] 2.2.6.5). Options that are nil or zero with their Has... are not there.
type PreLogin struct {
	Version  uint32 // of the sender: major, minor and two bytes of build number
	SubBuild uint16

	HasEncryption bool
	Encryption    Encryption

	// Instance is the name of the instance that a client wants, without its final zero; of a server, one byte: 0 for the
	// right name. nil: the option is not there.
	Instance []byte

	HasThreadID bool
	ThreadID    uint32 // of a client; a server's option is empty

	HasMARS bool
	MARS    bool

	TraceID []byte // 36 bytes of a client: connection and activity; a server's option is empty and not kept

	HasFedAuthRequired bool
	// FedAuthRequired says of a client that it wants to log in by a token, of a server that it takes nothing else.
	FedAuthRequired bool

	Nonce []byte // 32 bytes, or nil
}

// ParsePreLogin decodes the data of a PRELOGIN message. A *MalformedError says what is wrong with it. Unknown options are left out.
func ParsePreLogin(b []byte) (*PreLogin, error) {
	p := &PreLogin{}
	seen := [8]bool{}
	for at := 0; ; at += optionLen {
		if at >= len(b) {
			return nil, &MalformedError{"PRELOGIN", "TERMINATOR"}
		}
		option := b[at]
		if option == optionTerminator {
			if !seen[optionVersion] {
				return nil, &MalformedError{"PRELOGIN", "VERSION"}
			}
			return p, nil
		}
		if at+optionLen > len(b) {
			return nil, &MalformedError{"PRELOGIN", "PL_OFFSET"}
		}
		from, n := int(binary.BigEndian.Uint16(b[at+1:])), int(binary.BigEndian.Uint16(b[at+3:]))
		if from+n > len(b) {
			return nil, &MalformedError{"PRELOGIN", "PL_OPTION_LENGTH"}
		}
		if int(option) >= len(seen) {
			continue
		}
		if seen[option] || (option == optionVersion) != (at == 0) {
			return nil, &MalformedError{"PRELOGIN", "order of options"}
		}
		seen[option] = true
		if err := p.take(option, b[from:from+n:from+n]); err != nil {
			return nil, err
		}
	}
}

// take decodes one option.
func (p *PreLogin) take(option byte, data []byte) error {
	bad := func(field string) error { return &MalformedError{"PRELOGIN", field} }
	switch option {
	case optionVersion:
		if len(data) != 6 {
			return bad("VERSION")
		}
		p.Version, p.SubBuild = binary.BigEndian.Uint32(data), binary.LittleEndian.Uint16(data[4:])
	case optionEncryption:
		if len(data) < 1 {
			return bad("ENCRYPTION")
		}
		p.HasEncryption, p.Encryption = true, Encryption(data[0])
	case optionInstance:
		p.Instance = data
		if n := len(data); n > 1 && data[n-1] == 0 {
			p.Instance = data[: n-1 : n-1]
		}
	case optionThreadID:
		if len(data) != 4 && len(data) != 0 {
			return bad("THREADID")
		}
		if p.HasThreadID = true; len(data) == 4 {
			p.ThreadID = binary.BigEndian.Uint32(data)
		}
	case optionMARS:
		if len(data) != 1 {
			return bad("MARS")
		}
		p.HasMARS, p.MARS = true, data[0] == 1
	case optionTraceID:
		if len(data) != traceIDLen && len(data) != 0 {
			return bad("TRACEID")
		}
		if len(data) > 0 {
			p.TraceID = data
		}
	case optionFedAuthRequired:
		if len(data) != 1 {
			return bad("FEDAUTHREQUIRED")
		}
		p.HasFedAuthRequired, p.FedAuthRequired = true, data[0] != 0
	case optionNonce:
		if len(data) != nonceLen {
			return bad("NONCEOPT")
		}
		p.Nonce = data
	}
	return nil
}

// Append appends the data of a PRELOGIN message.
func (p *PreLogin) Append(b []byte) []byte {
	type option struct {
		id   byte
		data []byte
	}
	flag := func(set bool) []byte {
		if set {
			return []byte{1}
		}
		return []byte{0}
	}
	version := binary.LittleEndian.AppendUint16(binary.BigEndian.AppendUint32(nil, p.Version), p.SubBuild)
	options := []option{{optionVersion, version}}
	if p.HasEncryption {
		options = append(options, option{optionEncryption, []byte{byte(p.Encryption)}})
	}
	switch {
	case p.Instance == nil:
	case len(p.Instance) == 1 && p.Instance[0] <= 1: // a server's word on it, or no name
		options = append(options, option{optionInstance, p.Instance})
	default:
		options = append(options, option{optionInstance, append(append([]byte(nil), p.Instance...), 0)})
	}
	if p.HasThreadID {
		options = append(options, option{optionThreadID, binary.BigEndian.AppendUint32(nil, p.ThreadID)})
	}
	if p.HasMARS {
		options = append(options, option{optionMARS, flag(p.MARS)})
	}
	if p.TraceID != nil {
		options = append(options, option{optionTraceID, p.TraceID})
	}
	if p.HasFedAuthRequired {
		options = append(options, option{optionFedAuthRequired, flag(p.FedAuthRequired)})
	}
	if p.Nonce != nil {
		options = append(options, option{optionNonce, p.Nonce})
	}
	from := len(options)*optionLen + 1
	for _, o := range options {
		b = append(b, o.id)
		b = binary.BigEndian.AppendUint16(b, uint16(from))
		b = binary.BigEndian.AppendUint16(b, uint16(len(o.data)))
		from += len(o.data)
	}
	b = append(b, optionTerminator)
	for _, o := range options {
		b = append(b, o.data...)
	}
	return b
}
