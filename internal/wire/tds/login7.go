package tds

import (
	"encoding/binary"
)

// Flags of LOGIN7 ([MS-TDS] 2.2.6.4).
const (
	Flag1ByteOrder     = 0x01 // the client's numbers are of the other byte order
	Flag1Char          = 0x02 // EBCDIC
	Flag1Float         = 0x0C // 0: IEEE 754
	Flag1DumpLoad      = 0x10
	Flag1UseDB         = 0x20 // tell of a change of database
	Flag1DatabaseFatal = 0x40 // a wrong initial database fails the login
	Flag1SetLanguage   = 0x80 // tell of a change of language

	Flag2LanguageFatal      = 0x01 // a wrong initial language fails the login
	Flag2ODBC               = 0x02 // the session begins with the settings of ODBC
	Flag2TransBoundary      = 0x04
	Flag2CacheConnect       = 0x08
	Flag2UserType           = 0x70
	Flag2IntegratedSecurity = 0x80 // SSPI

	FlagTypeSQL            = 0x0F
	FlagTypeOLEDB          = 0x10 // the session begins with the settings of OLE DB
	FlagTypeReadOnlyIntent = 0x20

	Flag3ChangePassword   = 0x01
	Flag3BinaryXML        = 0x02
	Flag3UserInstance     = 0x04
	Flag3UnknownCollation = 0x08
	Flag3Extension        = 0x10
)

// Login7 is LOGIN7 ([MS-TDS] 2.2.6.4). Strings are decoded, the passwords with the obfuscation off.
type Login7 struct {
	Version      Version
	PacketSize   uint32
	ProgVersion  uint32 // of the client's library
	PID          uint32 // of the client
	ConnectionID uint32
	Flags1       uint8
	Flags2       uint8
	TypeFlags    uint8
	Flags3       uint8 // Flag3Extension is Append's to set
	TimeZone     int32
	LCID         uint32

	HostName     string
	UserName     string
	Password     string // a secret
	AppName      string
	ServerName   string
	Library      string // CltIntName
	Language     string
	Database     string
	ClientID     [6]byte
	SSPI         []byte
	AttachDBFile string
	NewPassword  string // a secret

	// Extended is set where there is a FeatureExt, which may be empty.
	Extended bool
	Features []Feature
}

// String is the user: nothing else of a LOGIN7 may be printed.
func (l *Login7) String() string { return l.UserName }

// GoString is String, for %#v.
func (l *Login7) GoString() string { return l.UserName }

// Sizes of the fixed part, in bytes.
const (
	login7Fixed    = 94
	login7Fixed71  = 86 // up to TDS 7.1
	login7Variable = 36 // where the list of fields begins
)

// older reports whether a version is before another, in the order in which they came.
func (v Version) older(w Version) bool { return v.order() < w.order() }

func (v Version) order() uint32 {
	if major := v >> 24; 0x08 <= major && major < 0x70 { // of TDS 8 on
		return 0x80000000 | uint32(v)
	}
	return uint32(v)
}

// AtLeast reports whether v is w or newer.
func (v Version) AtLeast(w Version) bool { return !v.older(w) }

// ParseLogin7 decodes the data of a LOGIN7 message. A *MalformedError says what is wrong with it.
func ParseLogin7(b []byte) (*Login7, error) {
	bad := func(field string) (*Login7, error) { return nil, &MalformedError{"LOGIN7", field} }
	if len(b) < login7Fixed71 {
		return bad("Length")
	}
	if n := binary.LittleEndian.Uint32(b); uint64(n) > uint64(len(b)) || n < login7Fixed71 {
		return bad("Length")
	} else {
		b = b[:n]
	}
	le := binary.LittleEndian
	l := &Login7{
		Version: Version(le.Uint32(b[4:])), PacketSize: le.Uint32(b[8:]), ProgVersion: le.Uint32(b[12:]), PID: le.Uint32(b[16:]),
		ConnectionID: le.Uint32(b[20:]), Flags1: b[24], Flags2: b[25], TypeFlags: b[26], Flags3: b[27],
		TimeZone: int32(le.Uint32(b[28:])), LCID: le.Uint32(b[32:]), ClientID: [6]byte(b[72:78]),
	}
	fixed := login7Fixed71
	if l.Version.AtLeast(V72) {
		if fixed = login7Fixed; len(b) < fixed {
			return bad("Length")
		}
	}
	// field is the bytes that an entry of the list of fields names; size is that of a unit of its length.
	field := func(at, size int, name string) ([]byte, error) {
		from, n := int(le.Uint16(b[at:])), int(le.Uint16(b[at+2:]))*size
		if n == 0 {
			return nil, nil
		}
		if from < fixed || from+n > len(b) {
			return nil, &MalformedError{"LOGIN7", name}
		}
		return b[from : from+n : from+n], nil
	}
	for _, f := range []struct {
		at   int
		name string
		to   *string
	}{
		{36, "HostName", &l.HostName},
		{40, "UserName", &l.UserName},
		{48, "AppName", &l.AppName},
		{52, "ServerName", &l.ServerName},
		{60, "CltIntName", &l.Library},
		{64, "Language", &l.Language},
		{68, "Database", &l.Database},
		{82, "AtchDBFile", &l.AttachDBFile},
	} {
		data, err := field(f.at, 2, f.name)
		if err != nil {
			return nil, err
		}
		*f.to = DecodeText(data)
	}
	data, err := field(44, 2, "Password")
	if err != nil {
		return nil, err
	}
	l.Password = reveal(data)
	if fixed == login7Fixed {
		if data, err = field(86, 2, "ChangePassword"); err != nil {
			return nil, err
		}
		l.NewPassword = reveal(data)
	}
	if l.SSPI, err = field(78, 1, "SSPI"); err != nil {
		return nil, err
	}
	if n := le.Uint16(b[80:]); n == 0xFFFF && fixed == login7Fixed {
		// A long one, whose length is in cbSSPILong.
		from, long := int(le.Uint16(b[78:])), le.Uint32(b[90:])
		if long > 0 {
			if from < fixed || uint64(from)+uint64(long) > uint64(len(b)) {
				return bad("SSPI")
			}
			l.SSPI = b[from : from+int(long) : from+int(long)]
		}
	}
	if l.Flags3&Flag3Extension != 0 && l.Version.AtLeast(V74) {
		if data, err = field(56, 1, "Extension"); err != nil {
			return nil, err
		}
		if len(data) < 4 {
			return bad("Extension")
		}
		from := le.Uint32(data)
		if from < uint32(fixed) || uint64(from) >= uint64(len(b)) {
			return bad("ibFeatureExtLong")
		}
		if l.Features, _, err = ParseFeatureExt(b[from:]); err != nil {
			return bad("FeatureExt")
		}
		l.Extended = true
	}
	return l, nil
}

// Append appends the data of a LOGIN7 message. The fields together have no more than some 64 KiB, without the features:
// an offset that does not fit is a *MalformedError.
func (l *Login7) Append(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	start := len(b)
	fixed := login7Fixed71
	if l.Version.AtLeast(V72) {
		fixed = login7Fixed
	}
	extended := (l.Extended || len(l.Features) > 0) && l.Version.AtLeast(V74)
	flags3 := l.Flags3 &^ Flag3Extension
	if extended {
		flags3 |= Flag3Extension
	}
	b = append(b, make([]byte, fixed)...)
	head := func() []byte { return b[start:] }
	le.PutUint32(head()[4:], uint32(l.Version))
	le.PutUint32(head()[8:], l.PacketSize)
	le.PutUint32(head()[12:], l.ProgVersion)
	le.PutUint32(head()[16:], l.PID)
	le.PutUint32(head()[20:], l.ConnectionID)
	head()[24], head()[25], head()[26], head()[27] = l.Flags1, l.Flags2, l.TypeFlags, flags3
	le.PutUint32(head()[28:], uint32(l.TimeZone))
	le.PutUint32(head()[32:], l.LCID)
	copy(head()[72:], l.ClientID[:])

	var err error
	put := func(at int, name string, units int, encoded []byte) {
		from := len(b) - start
		if err == nil && (from > 0xFFFF || units > 0xFFFF) {
			err = &MalformedError{"LOGIN7", name}
		}
		if err != nil {
			return
		}
		le.PutUint16(head()[at:], uint16(from))
		le.PutUint16(head()[at+2:], uint16(units))
		b = append(b, encoded...)
	}
	text := func(at int, name, s string) { put(at, name, textUnits(s), AppendText(nil, s)) }
	text(36, "HostName", l.HostName)
	text(40, "UserName", l.UserName)
	put(44, "Password", textUnits(l.Password), obscure(l.Password))
	text(48, "AppName", l.AppName)
	text(52, "ServerName", l.ServerName)
	extension := len(b)
	if extended {
		put(56, "Extension", 4, make([]byte, 4))
	}
	text(60, "CltIntName", l.Library)
	text(64, "Language", l.Language)
	text(68, "Database", l.Database)
	put(78, "SSPI", len(l.SSPI), l.SSPI)
	text(82, "AtchDBFile", l.AttachDBFile)
	if fixed == login7Fixed {
		put(86, "ChangePassword", textUnits(l.NewPassword), obscure(l.NewPassword))
	}
	if err != nil {
		return nil, err
	}
	if extended {
		le.PutUint32(b[extension:], uint32(len(b)-start))
		b = AppendFeatureExt(b, l.Features)
	}
	le.PutUint32(head(), uint32(len(b)-start))
	return b, nil
}

// obscure is a password as LOGIN7 has it: each byte with its halves swapped, and turned over by 0xA5. It hides nothing.
func obscure(password string) []byte {
	b := AppendText(nil, password)
	for i, c := range b {
		b[i] = (c<<4 | c>>4) ^ 0xA5
	}
	return b
}

// reveal is the inverse of obscure.
func reveal(data []byte) string {
	b := make([]byte, len(data))
	for i, c := range data {
		c ^= 0xA5
		b[i] = c<<4 | c>>4
	}
	text := DecodeText(b)
	clear(b)
	return text
}
