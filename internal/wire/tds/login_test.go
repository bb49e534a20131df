package tds

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unhex decodes hexadecimal digits with blanks between them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// malformed reports whether err is a *MalformedError of that field.
func malformed(err error, field string) bool {
	var m *MalformedError
	return errors.As(err, &m) && m.Field == field
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "sa", "Grüße", "日本", "😀x"} {
		b := AppendText(nil, s)
		if got := DecodeText(b); got != s || len(b) != 2*textUnits(s) {
			t.Errorf("%q: %x, decoded %q", s, b, got)
		}
	}
	for in, want := range map[string]string{"3dd8": "�", "3dd86100": "�a", "00dc": "�", "6100ff": "a"} {
		if got := DecodeText(unhex(t, in)); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	if s := clipText("a😀b", 2); s != "a" {
		t.Errorf("clipped to %q", s)
	}
}

// preLoginSample is the example of [MS-TDS] 4.1, without its packet header.
const preLoginSample = `00 00 1A 00 06 01 00 20 00 01 02 00 21 00 01 03 00 22 00 04 04 00 26 00 01 FF
	09 00 00 00 00 00 01 00 B8 0D 00 00 01`

func TestPreLogin(t *testing.T) {
	t.Parallel()
	p, err := ParsePreLogin(unhex(t, preLoginSample))
	if err != nil {
		t.Fatal(err)
	}
	want := &PreLogin{
		Version: 0x09000000, HasEncryption: true, Encryption: EncryptOn, Instance: []byte{0}, HasThreadID: true, ThreadID: 0xB80D0000,
		HasMARS: true, MARS: true,
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	if got := p.Append(nil); !bytes.Equal(got, unhex(t, preLoginSample)) {
		t.Errorf("%x", got)
	}
	full := &PreLogin{
		Version: 0x10000FA0, SubBuild: 3, HasEncryption: true, Encryption: EncryptRequired, Instance: []byte("SHOP"), HasThreadID: true, ThreadID: 7,
		HasMARS: true, TraceID: bytes.Repeat([]byte{5}, 36), HasFedAuthRequired: true, FedAuthRequired: true, Nonce: bytes.Repeat([]byte{6}, 32),
	}
	if p, err = ParsePreLogin(full.Append(nil)); err != nil || cmp.Diff(full, p) != "" {
		t.Errorf("%v\n%s", err, cmp.Diff(full, p))
	}
	if p, err = ParsePreLogin(unhex(t, "00 0010 0006 05 0000 0000 09 0016 0001 FF 10000FA0 0000 AA")); err != nil || p.Version != 0x10000FA0 || p.TraceID != nil {
		t.Errorf("an unknown option, and one that is empty: %+v, %v", p, err)
	}
}

func TestPreLoginMalformed(t *testing.T) {
	t.Parallel()
	for in, field := range map[string]string{
		"":                              "TERMINATOR",
		"FF":                            "VERSION",
		"00 0000 0006 09 0000 0001":     "TERMINATOR",
		"00 000B 00":                    "PL_OFFSET",
		"00 FFFF 0006 FF 09000000 0000": "PL_OPTION_LENGTH",
		"00 0006 0005 FF 09000000 00":   "VERSION",
		"01 0006 0001 FF 00":            "order of options",
		"00 000B 0006 00 000B 0006 FF 09000000 0000": "order of options",
		"00 000B 0006 01 0011 0000 FF 09000000 0000": "ENCRYPTION",
		"00 000B 0006 03 000B 0003 FF 09000000 0000": "THREADID",
		"00 000B 0006 04 000B 0002 FF 09000000 0000": "MARS",
		"00 000B 0006 05 000B 0003 FF 09000000 0000": "TRACEID",
		"00 000B 0006 06 000B 0000 FF 09000000 0000": "FEDAUTHREQUIRED",
		"00 000B 0006 07 000B 0001 FF 09000000 0000": "NONCEOPT",
	} {
		if p, err := ParsePreLogin(unhex(t, in)); !malformed(err, field) {
			t.Errorf("%s: %+v, %v; want %s", in, p, err, field)
		}
	}
}

func fullLogin7() *Login7 {
	fed := FedAuth{Library: FedAuthSecurityToken, Echo: true, Token: "tokén"}
	return &Login7{
		Version: V74, PacketSize: 8000, ProgVersion: 7, PID: 100, ConnectionID: 9, Flags1: Flag1UseDB | Flag1SetLanguage, Flags2: Flag2ODBC,
		TypeFlags: FlagTypeReadOnlyIntent, Flags3: Flag3UnknownCollation | Flag3Extension, TimeZone: -60, LCID: 0x409,
		HostName: "skostov1", UserName: "sa", Password: "p@ß😀", AppName: "OSQL-32", ServerName: "db", Library: "ODBC", Language: "Deutsch",
		Database: "shop", ClientID: [6]byte{0, 0x50, 0x8B, 0xE2, 0xB7, 0x8F}, SSPI: []byte{1, 2, 3}, AttachDBFile: "x.mdf", NewPassword: "new",
		Extended: true,
		Features: []Feature{
			{FeatureFedAuth, fed.Append(nil)},
			{FeatureUTF8Support, []byte{}},
			{FeatureColumnEncryption, []byte{1}},
			{FeatureSessionRecovery, []byte{}},
			{FeatureUserAgent, []byte("agent")},
		},
	}
}

func TestLogin7(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*Login7){
		func(*Login7) {},
		func(l *Login7) { l.Version, l.Features, l.Extended, l.Flags3 = V73B, nil, false, 0 },
		func(l *Login7) {
			l.Version, l.Features, l.Extended, l.Flags3, l.NewPassword = V71R, nil, false, 0, ""
		},
		func(l *Login7) { l.Version = V80 },
		func(l *Login7) { l.Features = nil },
		func(l *Login7) { *l = Login7{Version: V74} },
	} {
		want := fullLogin7()
		change(want)
		b, err := want.Append([]byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseLogin7(append(b[6:], "behind"...))
		if err != nil {
			t.Fatalf("%#x: %v", want.Version, err)
		}
		type plain Login7 // without String
		if diff := cmp.Diff((*plain)(want), (*plain)(got)); diff != "" {
			t.Error(diff)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", fullLogin7(), fullLogin7(), fullLogin7()); strings.Contains(text, "p@") {
		t.Errorf("the password is in %q", text)
	}
	// [MS-TDS] 2.2.6.4: each half of a byte is swapped, then it is turned over with 0xA5.
	if got := obscure("ab"); !bytes.Equal(got, []byte{0xB3, 0xA5, 0x83, 0xA5}) {
		t.Errorf("%x", got)
	}
	long := fullLogin7()
	long.AppName = strings.Repeat("x", 1<<15)
	if _, err := long.Append(nil); !malformed(err, "ServerName") {
		t.Error(err)
	}
}

func TestLogin7Malformed(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	for _, c := range []struct {
		field  string
		change func(b []byte) []byte
	}{
		{"Length", func(b []byte) []byte { return b[:85] }},
		{"Length", func(b []byte) []byte { le.PutUint32(b, uint32(len(b)+1)); return b }},
		{"Length", func(b []byte) []byte { le.PutUint32(b, 85); return b }},
		{"Length", func(b []byte) []byte { le.PutUint32(b, 93); return b }},
		{"HostName", func(b []byte) []byte { le.PutUint16(b[36:], 93); return b }},
		{"UserName", func(b []byte) []byte { le.PutUint16(b[40:], 0xFFFF); return b }},
		{"Password", func(b []byte) []byte { le.PutUint16(b[46:], 0xFFFF); return b }},
		{"SSPI", func(b []byte) []byte { le.PutUint16(b[80:], 0xFFFE); return b }},
		{"SSPI", func(b []byte) []byte { le.PutUint16(b[80:], 0xFFFF); le.PutUint32(b[90:], 1<<31); return b }},
		{"ChangePassword", func(b []byte) []byte { le.PutUint16(b[86:], 1); return b }},
		{"Extension", func(b []byte) []byte { le.PutUint16(b[58:], 3); return b }},
		{"Extension", func(b []byte) []byte { le.PutUint16(b[56:], uint16(len(b)-1)); return b }},
		{"ibFeatureExtLong", func(b []byte) []byte { le.PutUint32(b[le.Uint16(b[56:]):], uint32(len(b))); return b }},
		{"ibFeatureExtLong", func(b []byte) []byte { le.PutUint32(b[le.Uint16(b[56:]):], 3); return b }},
		{"FeatureExt", func(b []byte) []byte { b[len(b)-1] = 0x10; return b }},
	} {
		b, err := fullLogin7().Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := ParseLogin7(c.change(b)); !malformed(err, c.field) {
			t.Errorf("%s: %v, %v", c.field, l, err)
		}
	}
	many := &Login7{Version: V74, Features: make([]Feature, maxFeatures+1)}
	b, err := many.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseLogin7(b); !malformed(err, "FeatureExt") {
		t.Errorf("too many features: %v", err)
	}
}

func TestFedAuth(t *testing.T) {
	t.Parallel()
	nonce := bytes.Repeat([]byte{9}, 32)
	type plain FedAuth
	for _, f := range []*FedAuth{
		{Library: FedAuthSecurityToken, Token: "abc"},
		{Library: FedAuthSecurityToken, Echo: true, Token: "tökén", Nonce: nonce},
		{Library: FedAuthADAL, Workflow: 1},
		{Library: FedAuthADAL, Echo: true, Workflow: 3},
		{Library: FedAuthLiveID, Echo: true},
	} {
		got, err := ParseFedAuth(f.Append(nil))
		if err != nil || cmp.Diff((*plain)(f), (*plain)(got)) != "" {
			t.Errorf("%+v: %v\n%s", plain(*f), err, cmp.Diff((*plain)(f), (*plain)(got)))
		}
	}
	if b := (&FedAuth{Library: FedAuthSecurityToken, Echo: true, Token: "a"}).Append(nil); !bytes.Equal(b, unhex(t, "03 02000000 6100")) {
		t.Errorf("%x", b) // contract 6.5: library 0x01, and the token in UTF-16LE behind 4 bytes of length
	}
	for in, field := range map[string]string{
		"":                    "Options",
		"02 0200":             "FedAuthToken",
		"02 03000000 610061":  "FedAuthToken",
		"02 04000000 6100":    "FedAuthToken",
		"02 FFFFFFFF 6100":    "FedAuthToken",
		"02 02000000 6100 01": "Nonce",
		"05 01 02":            "length",
	} {
		if f, err := ParseFedAuth(unhex(t, in)); !malformed(err, field) {
			t.Errorf("%s: %v, %v; want %s", in, f, err, field)
		}
	}
	for _, m := range []*FedAuthToken{{Token: "jwt"}, {Token: "ß", Nonce: nonce}, {}} {
		got, err := ParseFedAuthToken(m.Append(nil))
		if err != nil || got.Token != m.Token || !bytes.Equal(got.Nonce, m.Nonce) {
			t.Errorf("%q: %+v, %v", m.Token, got, err)
		}
	}
	for in, field := range map[string]string{"": "DataLen", "05000000 02000000": "DataLen", "06000000 04000000 6100": "FedAuthToken"} {
		if f, err := ParseFedAuthToken(unhex(t, in)); !malformed(err, field) {
			t.Errorf("%s: %v, %v; want %s", in, f, err, field)
		}
	}
	info := FedAuthInfo{STSURL: "https://sts/", SPN: "https://db/"}
	b := info.Append(nil)
	got, n, err := ParseFedAuthInfo(append(b, 1))
	if err != nil || *got != info || n != len(b) {
		t.Errorf("%+v, %d, %v", got, n, err)
	}
	binary.LittleEndian.PutUint32(b[14:], 0xFFFFFFF0)
	if _, _, err := ParseFedAuthInfo(b); !malformed(err, "FedAuthInfoDataOffset") {
		t.Error(err)
	}
	for _, s := range []string{fmt.Sprintf("%+v", &FedAuth{Token: "geheim"}), fmt.Sprintf("%#v", &FedAuthToken{Token: "geheim"})} {
		if strings.Contains(s, "geheim") {
			t.Errorf("the token is in %q", s)
		}
	}
}

func TestFeatures(t *testing.T) {
	t.Parallel()
	all := Features{ColumnEncryption: 3, DataClassification: 2, JSON: 1, Vector: 1, UTF8: true}
	if got := FeaturesOf(all.Request()); got != all {
		t.Errorf("%+v", got)
	}
	if got := FeaturesOf(all.Acknowledgement()); got != all {
		t.Errorf("%+v", got)
	}
	newer := []Feature{{FeatureColumnEncryption, []byte{9}}, {FeatureJSONSupport, []byte{2}}, {FeatureVectorSupport, nil}, {FeatureUTF8Support, []byte{0}}}
	if got := FeaturesOf(newer); got != (Features{ColumnEncryption: 3, JSON: 1}) {
		t.Errorf("%+v", got)
	}
	if got := all.And(Features{ColumnEncryption: 1, UTF8: true}); got != (Features{ColumnEncryption: 1, UTF8: true}) {
		t.Errorf("%+v", got)
	}
	list, n, err := ParseFeatureExtAck(append(AppendFeatureExtAck(nil, all.Acknowledgement()), 7))
	if err != nil || FeaturesOf(list) != all || n != 1+5*5+5+1+1 {
		t.Errorf("%d entries, %d bytes, %v", len(list), n, err)
	}
}

func TestLoginAck(t *testing.T) {
	t.Parallel()
	for v, first := range map[Version]byte{V70: 0x07, V71: 0x07, V71R: 0x71, V72: 0x72, V74: 0x74, V80: 0x08} {
		want := LoginAck{Interface: 1, Version: v, ProgName: "Microsoft SQL Server", ProgVersion: 0x10000FA0}
		b := want.Append(nil)
		got, n, err := ParseLoginAck(b)
		if err != nil || got != want || n != len(b) || b[4] != first {
			t.Errorf("%#x: %+v, %d of %d, %v; %x", v, got, n, len(b), err, b)
		}
		for i := range b {
			if _, _, err := ParseLoginAck(b[:i]); !errors.Is(err, ErrShort) {
				t.Errorf("%d bytes: %v", i, err)
			}
		}
		b[1]--
		if _, _, err := ParseLoginAck(b); !malformed(err, "ProgVersion") {
			t.Error(err)
		}
	}
}

func TestVersionOrder(t *testing.T) {
	t.Parallel()
	order := []Version{0, 0x04020000, 0x07010000, V70, V71, V71R, V72, V73A, V73B, V74, V80, V80 + 1}
	for i, v := range order {
		for j, w := range order {
			if v.AtLeast(w) != (i >= j) {
				t.Errorf("%#x at least %#x: %t", v, w, v.AtLeast(w))
			}
		}
	}
}

func TestEnvChange(t *testing.T) {
	t.Parallel()
	descriptor := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	for _, e := range []EnvChange{
		TextChange(EnvDatabase, "shop", "master"), TextChange(EnvLanguage, "us_english", ""), TextChange(EnvPacketSize, "8000", "4096"),
		TextChange(EnvMirroringPartner, "db2", ""), TextChange(EnvUserInstance, "x", ""), TextChange(EnvCharset, "iso_1", ""),
		{EnvCollation, []byte{9, 4, 0xD0, 0, 0x34}, nil},
		{EnvBegin, descriptor, nil},
		{EnvCommit, nil, descriptor},
		{EnvRollback, nil, descriptor},
		{EnvEnlist, descriptor, nil},
		{EnvDefect, nil, descriptor},
		{EnvTransactionEnded, nil, descriptor},
		{EnvTransactionManager, descriptor, nil},
		{EnvPromote, bytes.Repeat([]byte{7}, 300), nil},
		{EnvReset, nil, nil},
		Routing{"db2.internal", 1433}.Change(),
		{99, []byte{1, 2, 3}, nil},
	} {
		b := e.Append(nil)
		got, n, err := ParseEnvChange(append(b, 0))
		if err != nil || n != len(b) || got.Type != e.Type || !bytes.Equal(got.New, e.New) || !bytes.Equal(got.Old, e.Old) {
			t.Errorf("%+v: %+v, %d of %d, %v", e, got, n, len(b), err)
		}
		for i := range b {
			if _, _, err := ParseEnvChange(b[:i]); !errors.Is(err, ErrShort) {
				t.Errorf("type %d, %d bytes: %v", e.Type, i, err)
			}
		}
	}
	// [MS-TDS] 2.2.7.9: type 18 has two empty values.
	if b := (EnvChange{Type: EnvReset}).Append(nil); !bytes.Equal(b, unhex(t, "E3 0300 12 00 00")) {
		t.Errorf("%x", b)
	}
	r, err := Routing{"db2", 14330}.Change().Routing()
	if err != nil || r != (Routing{"db2", 14330}) {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := (EnvChange{Type: EnvRouting, New: []byte{1, 0, 0, 0, 0}}).Routing(); !malformed(err, "Protocol") {
		t.Error(err)
	}
	for in, field := range map[string]string{
		"E3 0000":             "Type",
		"E3 0200 01 05":       "NewValue",
		"E3 0300 01 00 01":    "OldValue",
		"E3 0400 08 00 00 00": "Length",
		"E3 0500 0F FFFFFFFF": "NewValue",
		"E3 0300 14 FFFF":     "NewValue",
	} {
		if e, _, err := ParseEnvChange(unhex(t, in)); !malformed(err, field) {
			t.Errorf("%s: %+v, %v; want %s", in, e, err, field)
		}
	}
	long := TextChange(EnvDatabase, strings.Repeat("x", 300), "")
	if got, _, err := ParseEnvChange(long.Append(nil)); err != nil || len(got.New) != 510 {
		t.Errorf("%d bytes, %v", len(got.New), err)
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	for _, v := range []Version{V71, V72, V74, V80} {
		for _, m := range []Message{
			{Number: 18456, State: 1, Class: 14, Text: "Login failed for user 'ä'.", Server: "DB1", Line: 1},
			{Info: true, Number: 5701, State: 2, Class: 0, Text: "Changed database context to 'master'.", Server: "DB1", Procedure: "p", Line: 9},
			{Number: -5},
		} {
			b := m.Append(nil, v)
			got, n, err := ParseMessage(append(b, 0xFD), v)
			if err != nil || n != len(b) || *got != m {
				t.Errorf("%#x: %+v, %d of %d, %v", v, got, n, len(b), err)
			}
			for i := range b {
				if _, _, err := ParseMessage(b[:i], v); !errors.Is(err, ErrShort) {
					t.Errorf("%d bytes: %v", i, err)
				}
			}
		}
	}
	long := Message{Text: strings.Repeat("ä", 1<<16), Server: strings.Repeat("s", 300)}
	got, _, err := ParseMessage(long.Append(nil, V74), V74)
	if err != nil || len(got.Text) != 2*maxMessageText || len(got.Server) != 255 {
		t.Errorf("%v: %d bytes", err, len(got.Text))
	}
	if _, _, err := ParseMessage(unhex(t, "AA 0400 01000000"), V74); !malformed(err, "State") {
		t.Error(err)
	}
	if b := AppendDone(nil, V74, true); !bytes.Equal(b, unhex(t, "FD 0200 0000 0000000000000000")) {
		t.Errorf("%x", b)
	}
	if b := AppendDone(nil, V71R, false); !bytes.Equal(b, unhex(t, "FD 0000 0000 00000000")) {
		t.Errorf("%x", b)
	}
}

func FuzzPreLogin(f *testing.F) {
	f.Add(unhex(f, preLoginSample))
	f.Add((&PreLogin{Instance: []byte("x"), HasFedAuthRequired: true, Nonce: make([]byte, 32), TraceID: make([]byte, 36)}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePreLogin(b)
		if err != nil {
			return
		}
		again, err := ParsePreLogin(p.Append(nil))
		if err != nil {
			t.Fatalf("%v: %+v", err, p)
		}
		if p.Instance == nil && again.Instance != nil || p.Encryption != again.Encryption || p.MARS != again.MARS {
			t.Fatalf("%+v, then %+v", p, again)
		}
	})
}

func FuzzLogin7(f *testing.F) {
	for _, v := range []Version{V71, V72, V74, V80} {
		l := fullLogin7()
		l.Version = v
		b, err := l.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLogin7(b)
		if err != nil {
			return
		}
		for _, e := range l.Features {
			if e.ID == FeatureFedAuth {
				_, _ = ParseFedAuth(e.Data)
			}
		}
		FeaturesOf(l.Features)
		out, err := l.Append(nil)
		if err != nil {
			return // fields that overlapped may be too long one behind the other
		}
		again, err := ParseLogin7(out)
		if err != nil {
			t.Fatal(err)
		}
		if again.UserName != l.UserName || again.Password != l.Password || len(again.Features) != len(l.Features) {
			t.Fatalf("%q, then %q", l.UserName, again.UserName)
		}
	})
}

func FuzzLoginTokens(f *testing.F) {
	f.Add(LoginAck{Version: V74, ProgName: "x"}.Append(nil))
	f.Add(TextChange(EnvDatabase, "a", "b").Append(nil))
	f.Add(Routing{"h", 1}.Change().Append(nil))
	f.Add((&Message{Number: 1, Text: "x"}).Append(nil, V74))
	f.Add(AppendFeatureExtAck(nil, Features{UTF8: true, JSON: 1}.Acknowledgement()))
	f.Add((&FedAuthInfo{STSURL: "a", SPN: "b"}).Append(nil))
	f.Add((&FedAuthToken{Token: "a"}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		lengths := map[string]int{}
		_, lengths["LOGINACK"], _ = ParseLoginAck(b)
		var e EnvChange
		e, lengths["ENVCHANGE"], _ = ParseEnvChange(b)
		_, _ = e.Routing()
		_, lengths["ERROR"], _ = ParseMessage(b, V74)
		_, lengths["ERROR of 7.1"], _ = ParseMessage(b, V71)
		_, lengths["FEATUREEXTACK"], _ = ParseFeatureExtAck(b)
		_, lengths["FEDAUTHINFO"], _ = ParseFedAuthInfo(b)
		_, _ = ParseFedAuthToken(b)
		for name, n := range lengths {
			if n > len(b) {
				t.Errorf("%s has %d bytes of %d", name, n, len(b))
			}
		}
	})
}
