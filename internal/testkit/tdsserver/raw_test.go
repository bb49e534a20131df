package tdsserver

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// raw is a client that sends what a test wants, over a connection without TLS.
type raw struct {
	t       *testing.T
	c       net.Conn
	w       *wire
	version uint32
	tran    uint64 // descriptor that requests name
}

// dial connects and logs in; what the log-in is answered is returned.
func dial(t *testing.T, s *Server, version uint32, size int) (*raw, []byte) {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	r := &raw{t: t, c: c, w: &wire{rw: c, size: defaultPacket}, version: version}
	// VERSION and ENCRYPTION (not supported).
	r.send(packetPreLogin, statusEnd, []byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, 0, 0, 0, 0, 0, 0, 2})
	r.read()
	var fixed, data []byte
	field := func(v []byte, chars int) {
		fixed = binary.LittleEndian.AppendUint16(fixed, uint16(94+len(data)))
		fixed = binary.LittleEndian.AppendUint16(fixed, uint16(chars))
		data = append(data, v...)
	}
	secret := ucs2(DefaultPassword)
	for i, b := range secret {
		secret[i] = (b<<4 | b>>4) ^ 0xA5
	}
	field(nil, 0)
	field(ucs2(DefaultUser), len(DefaultUser))
	field(secret, len(secret)/2)
	for range 5 { // application, server, extension, library, language
		field(nil, 0)
	}
	field(ucs2(DefaultDatabase), len(DefaultDatabase))
	fixed = append(fixed, 0, 0, 0, 0, 0, 0) // client's id
	for range 3 {                           // SSPI, file, new password
		field(nil, 0)
	}
	fixed = append(fixed, 0, 0, 0, 0)
	l := binary.LittleEndian.AppendUint32(nil, uint32(36+len(fixed)+len(data)))
	l = binary.LittleEndian.AppendUint32(l, version)
	l = binary.LittleEndian.AppendUint32(l, uint32(size))
	l = append(l, make([]byte, 12)...)
	l = append(l, 0xE0, 0x03, 0, 0)
	l = append(l, make([]byte, 8)...)
	r.send(packetLogin, statusEnd, append(append(l, fixed...), data...))
	return r, r.read()
}

func (r *raw) send(kind, status byte, data []byte) {
	r.t.Helper()
	b := []byte{kind, status, 0, 0, 0, 0, 1, 0}
	binary.BigEndian.PutUint16(b[2:], uint16(len(data)+headerSize))
	if _, err := r.c.Write(append(b, data...)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) read() []byte {
	r.t.Helper()
	m, err := r.w.readMessage(maxPacket)
	if err != nil {
		r.t.Fatal(err)
	}
	if m.kind != packetReply {
		r.t.Fatalf("message of type %d", m.kind)
	}
	return m.data
}

func (r *raw) headers() []byte {
	if rank(r.version) < 72 {
		return nil
	}
	b := []byte{22, 0, 0, 0, 18, 0, 0, 0, 2, 0}
	return append(binary.LittleEndian.AppendUint64(b, r.tran), 1, 0, 0, 0)
}

func (r *raw) batch(status byte, text string) {
	r.send(packetBatch, status|statusEnd, append(r.headers(), ucs2(text)...))
}

func (r *raw) manager(request ...byte) []byte {
	r.send(packetTransaction, statusEnd, append(r.headers(), request...))
	return r.read()
}

// shows fails the test unless the answer is these bytes, in hexadecimal with blanks.
func (r *raw) shows(what string, got []byte, want string) {
	r.t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(want), []byte(" "), nil)))
	if err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(hex.EncodeToString(b), hex.EncodeToString(got)); diff != "" {
		r.t.Errorf("%s: %s", what, diff)
	}
}

const (
	doneOK   = "fd 0000 0000 0000000000000000"
	doneATTN = "fd 2000 0000 0000000000000000"
)

// TestSelect has the bytes of [MS-TDS]: the same for every version but for the widths of user types and counts.
func TestSelect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version uint32
		want    string
	}{
		{v71r, "81 0100 0000 0800 38 01 6100 d1 07000000 fd 1000 c100 01000000"},
		{v72, "81 0100 00000000 0800 38 01 6100 d1 07000000 fd 1000 c100 0100000000000000"},
		{v73b, "81 0100 00000000 0800 38 01 6100 d1 07000000 fd 1000 c100 0100000000000000"},
		{v74, "81 0100 00000000 0800 38 01 6100 d1 07000000 fd 1000 c100 0100000000000000"},
	} {
		r, login := dial(t, Start(t, Options{}), c.version, 0)
		if ack := binary.BigEndian.AppendUint32([]byte{1}, c.version); !bytes.Contains(login, ack) {
			t.Errorf("%x: the log-in's answer has no version: %x", c.version, login)
		}
		r.batch(0, "SELECT 7 AS a")
		r.shows(strconv.FormatUint(uint64(c.version), 16), r.read(), c.want)
	}
}

func TestNullsOfVersions(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	r, _ := dial(t, s, v74, 0)
	r.batch(0, "SELECT CAST(NULL AS int) AS a, 1 AS b")
	r.shows("7.4", r.read(), "81 0200 00000000 0900 26 04 01 6100 00000000 0800 38 01 6200 d2 01 01000000 fd 1000 c100 0100000000000000")
	r, _ = dial(t, s, v72, 0)
	r.batch(0, "SELECT CAST(NULL AS int) AS a, 1 AS b")
	r.shows("7.2", r.read(), "81 0200 00000000 0900 26 04 01 6100 00000000 0800 38 01 6200 d1 00 01000000 fd 1000 c100 0100000000000000")
}

func TestAttention(t *testing.T) {
	t.Parallel()
	r, _ := dial(t, Start(t, Options{}), v74, 0)
	r.batch(0, "WAITFOR DELAY '01:00:00'")
	r.send(packetAttention, statusEnd, nil)
	r.shows("what was interrupted", r.read(), "fd 0200 0000 0000000000000000")
	r.shows("acknowledgement", r.read(), doneATTN)
	r.send(packetAttention, statusEnd, nil)
	r.shows("an attention while nothing runs", r.read(), doneATTN)
	r.batch(0, "IF 1 = 0 SELECT 1")
	r.shows("afterwards", r.read(), doneOK)

	r, _ = dial(t, Start(t, Options{AttentionInside: true}), v74, 0)
	r.batch(0, "SELECT 7 AS a; WAITFOR DELAY '01:00:00'")
	r.send(packetAttention, statusEnd, nil)
	r.send(packetAttention, statusEnd, nil)
	// The first attention may have come before the SELECT: what matters is its end.
	if got := r.read(); !bytes.HasSuffix(got, []byte{0xFD, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) {
		t.Errorf("the interrupted answer is %x", got)
	}
	r.shows("acknowledgement of the second one", r.read(), doneATTN)
	r.batch(0, "IF 1 = 0 SELECT 1")
	r.shows("afterwards", r.read(), doneOK)
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	r, _ := dial(t, s, v74, 0)
	r.batch(statusIgnore, "CREATE TABLE dbo.t (n int)")
	r.shows("a message that is to be ignored", r.read(), "fd 0200 0000 0000000000000000")
	if n := s.Count(DefaultDatabase, "t"); n != -1 {
		t.Errorf("it was not: %d", n)
	}
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	r, _ := dial(t, s, v74, 0)
	open := func() {
		t.Helper()
		got := r.manager(5, 0, 0, 0)
		if len(got) != 14+13 || got[0] != tokenEnvChange || got[3] != envBegin || got[4] != 8 {
			t.Fatalf("begin: %x", got)
		}
		r.tran = binary.LittleEndian.Uint64(got[5:])
	}
	d := func() string { return hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, r.tran)) }
	open()
	if n := s.Sessions(); len(n) != 1 || !n[0].Transaction {
		t.Errorf("sessions %+v", n)
	}
	r.batch(0, "BEGIN TRAN")
	r.shows("one deeper", r.read(), "fd 0000 d400 0000000000000000")
	r.batch(0, "COMMIT")
	r.shows("back again", r.read(), "fd 0000 d500 0000000000000000")
	r.batch(0, "COMMIT")
	r.shows("commit", r.read(), "e3 0b00 09 00 08 "+d()+"fd 0000 d500 0000000000000000")
	was := r.tran
	r.tran = 0
	r.batch(0, "IF @@TRANCOUNT = 0 SELECT 7 AS a")
	r.shows("no transaction", r.read(), "81 0100 00000000 0800 38 01 6100 d1 07000000 fd 1000 c100 0100000000000000")

	r.tran = was
	r.batch(0, "SELECT 1")
	if got := r.read(); !bytes.Contains(got, []byte{0x95, 0x0F, 0, 0}) { // 3989
		t.Errorf("a descriptor of before: %x", got)
	}
	r.tran = 0
	if got := r.manager(1, 0, 0, 0); !bytes.Contains(got, []byte{0x35, 0x21, 0, 0}) { // 8501
		t.Errorf("propagate: %x", got)
	}
	open()
	r.shows("rollback", r.manager(8, 0, 0, 0), "e3 0b00 0a 00 08 "+d()+"fd 0000 d200 0000000000000000")
	r.tran = 0
	r.batch(0, "BEGIN TRAN")
	if got := r.read(); len(got) != 14+13 || got[3] != envBegin {
		t.Errorf("a batch's begin: %x", got)
	}

	r, _ = dial(t, Start(t, Options{NoTransactionEnv: true, InTransactionBit: true}), v74, 0)
	r.batch(0, "BEGIN TRAN")
	r.shows("without ENVCHANGE", r.read(), "fd 0400 d400 0000000000000000")
}

func TestReset(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	r, _ := dial(t, s, v74, 0)
	begin := func(status byte) {
		t.Helper()
		r.batch(status, "BEGIN TRAN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
		got := r.read()
		at := bytes.Index(got, []byte{tokenEnvChange, 11, 0, envBegin, 8})
		if at < 0 {
			t.Fatalf("begin: %x", got)
		}
		r.tran = binary.LittleEndian.Uint64(got[at+5:])
	}
	const look = "IF 1 = (SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE session_id = @@SPID AND transaction_isolation_level = 4) SELECT 7 AS a"
	const seven = "81 0100 00000000 0800 38 01 6100 d1 07000000 fd 1000 c100 0100000000000000"
	begin(0)
	d := hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, r.tran))
	r.batch(statusReset, look)
	r.shows("a reset rolls back", r.read(), "e3 0b00 0a 00 08 "+d+"e3 0300 12 00 00"+doneOK)
	r.tran = 0
	begin(0)
	r.batch(statusResetSkip, "SET DATEFIRST 7; IF @@TRANCOUNT = 1 SELECT 7 AS a")
	r.shows("the other one does not", r.read(), "e3 0300 12 00 00 fd 0100 f900 0000000000000000"+seven)
	if n := s.Resets(); n != 2 {
		t.Errorf("%d resets", n)
	}

	r, _ = dial(t, Start(t, Options{KeepsIsolation: true, ResetAfterDone: true}), v74, 0)
	begin(0)
	r.batch(0, "ROLLBACK")
	r.read()
	r.tran = 0
	r.batch(statusReset, look)
	r.shows("as servers of old, and Babelfish", r.read(), "fd 0100 0000 0000000000000000 e3 0300 12 00 00"+seven)
}

// TestResetReturns has resets return the database and the language, which some tell and some do not, or leave what they leave.
func TestResetReturns(t *testing.T) {
	t.Parallel()
	const nothing = "IF 1 = 0 SELECT 1"
	tokens := func(all ...[]byte) string { return hex.EncodeToString(bytes.Join(all, nil)) }
	for name, c := range map[string]struct {
		o        Options
		database string
		language string
		told     func(s *session) string
	}{
		"silent": {Options{}, "app", "us_english", func(*session) string { return "e3 0300 12 00 00" }},
		"told before": {Options{ResetTells: ResetTellsBefore}, "app", "us_english", func(s *session) string {
			return tokens(envStrings(envDatabase, "app", "master"), s.messageToken(tokenInfo, &Error{Number: 5701, State: 2, Message: "Changed database context to 'app'."}),
				envStrings(envLanguage, "us_english", "Deutsch"), s.messageToken(tokenInfo, &Error{Number: 5703, State: 1, Message: "Changed language setting to us_english."})) +
				"e3 0300 12 00 00"
		}},
		"told behind": {Options{ResetTells: ResetTellsBehind}, "app", "us_english", func(s *session) string {
			return "e3 0300 12 00 00" + tokens(envStrings(envDatabase, "app", "master"), s.messageToken(tokenInfo, &Error{Number: 5701, State: 2, Message: "Changed database context to 'app'."}),
				envStrings(envLanguage, "us_english", "Deutsch"), s.messageToken(tokenInfo, &Error{Number: 5703, State: 1, Message: "Changed language setting to us_english."}))
		}},
		"kept": {Options{KeepsDatabase: true, KeepsContext: true, ResetTells: ResetTellsBehind}, "master", "us_english", func(s *session) string {
			return "e3 0300 12 00 00" + tokens(envStrings(envLanguage, "us_english", "Deutsch"), s.messageToken(tokenInfo, &Error{Number: 5703, State: 1, Message: "Changed language setting to us_english."}))
		}},
	} {
		s := Start(t, c.o)
		r, login := dial(t, s, v74, 0)
		if !bytes.Contains(login, []byte{16, 0, 0x10, 0, tokenDone}) {
			t.Errorf("%s: the log-in's answer has no release: %x", name, login)
		}
		r.batch(0, "USE master; SET LANGUAGE Deutsch; SET CONTEXT_INFO 0x01; EXEC sp_set_session_context N'k', N'v'")
		r.read()
		r.batch(statusReset, nothing)
		s.mu.Lock()
		ses := s.all[0]
		s.mu.Unlock()
		r.shows(name, r.read(), c.told(ses)+doneOK)
		r.batch(0, "IF DB_NAME() = '"+c.database+"' AND @@LANGUAGE = '"+c.language+"' SELECT 7 AS a")
		r.shows(name, r.read(), "81 0100 00000000 0800 38 01 6100 d1 07000000 fd 1000 c100 0100000000000000")
		r.batch(0, "IF CONTEXT_INFO() IS NULL SELECT 7 AS a")
		if got := r.read(); (got[0] == tokenColMetaData) == c.o.KeepsContext {
			t.Errorf("%s: CONTEXT_INFO is there, or not: %x", name, got)
		}
		r.batch(0, "IF SESSION_CONTEXT(N'k') IS NULL SELECT 7 AS a")
		if got := r.read(); (got[0] == tokenColMetaData) == c.o.KeepsContext {
			t.Errorf("%s: SESSION_CONTEXT is there, or not: %x", name, got)
		}
	}
	_, login := dial(t, Start(t, Options{ProgVersion: BabelfishProg}), v74, 0)
	if !bytes.Contains(login, []byte{12, 0, 7, 0xD0, tokenDone}) {
		t.Errorf("the log-in's answer has no release: %x", login)
	}
}

func TestPacketSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int{512, 4096, 32767} {
		s := Start(t, Options{})
		r, login := dial(t, s, v74, size)
		if changed := bytes.Contains(login, envStrings(envPacketSize, strconv.Itoa(size), "4096")); changed != (size != 4096) {
			t.Errorf("%d: ENVCHANGE 4 is %v", size, changed)
		}
		r.batch(0, "SELECT REPLICATE(CAST('x' AS varchar(max)), 100000)")
		r.read()
		packets := r.w.recorded()
		for i, p := range packets[2:] {
			if n := len(p.Data) + headerSize; n > size || n < size && p.Status&statusEnd == 0 {
				t.Errorf("packet %d of %d has %d bytes", i, size, n)
			}
		}
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	for name, send := range map[string]func(r *raw){
		"no headers":       func(r *raw) { r.send(packetBatch, statusEnd, []byte{1}) },
		"headers too long": func(r *raw) { r.send(packetBatch, statusEnd, []byte{200, 0, 0, 0, 1}) },
		"no descriptor":    func(r *raw) { r.send(packetBatch, statusEnd, []byte{4, 0, 0, 0}) },
		"short RPC":        func(r *raw) { r.send(packetRPC, statusEnd, append(r.headers(), 0xFF, 0xFF, 10, 0, 0, 0, 0, 0, 0x26)) },
		"unknown type":     func(r *raw) { r.send(99, statusEnd, r.headers()) },
		"short packet":     func(r *raw) { _, _ = r.c.Write([]byte{1, 1, 0, 4, 0, 0, 0, 0}) },
		"log-in again":     func(r *raw) { r.send(packetLogin, statusEnd, r.headers()) },
	} {
		r, _ := dial(t, s, v74, 0)
		send(r)
		if b, err := r.w.readPacket(maxPacket); err == nil {
			t.Errorf("%s: answered with %x", name, b.Data)
		}
	}
	s.Wait(t, "the end of all sessions", func(all []Session) bool { return len(all) == 0 })
}

func TestControls(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{MaxConnections: 2, LimitError: 10928})
	a, _ := dial(t, s, v74, 0)
	b, _ := dial(t, s, v74, 0)
	_, refused := dial(t, s, v74, 0)
	if refused[0] != tokenError || binary.LittleEndian.Uint32(refused[3:]) != 10928 {
		t.Errorf("one too many: %x", refused)
	}
	s.Limit(0)
	s.Refuse(&Error{Number: 40613, Class: 17, State: 1, Message: "not now"})
	_, refused = dial(t, s, v74, 0)
	if refused[0] != tokenError || binary.LittleEndian.Uint32(refused[3:]) != 40613 {
		t.Errorf("refused: %x", refused)
	}
	s.Refuse(nil)
	all := s.Sessions()
	if len(all) != 2 || all[0].User != DefaultUser || all[0].Database != DefaultDatabase || all[0].Version != v74 {
		t.Fatalf("sessions %+v", all)
	}
	release := s.Hold()
	a.batch(0, "IF 1 = 0 SELECT 1")
	a.send(packetAttention, statusEnd, nil)
	a.shows("held, then interrupted", a.read(), "fd 0200 0000 0000000000000000")
	a.shows("its acknowledgement", a.read(), doneATTN)
	b.batch(0, "IF 1 = 0 SELECT 1")
	release()
	b.shows("held, then let go", b.read(), doneOK)
	if !s.Kill(all[0].SPID) {
		t.Error("nothing to kill")
	}
	s.Wait(t, "one session", func(all []Session) bool { return len(all) == 1 })
	if s.Kill(all[0].SPID) {
		t.Error("killed twice")
	}
	found := 0
	for _, c := range s.Conversations() {
		for _, p := range c {
			if p.FromClient && p.Type == packetBatch {
				found++
			}
		}
	}
	if found != 2 {
		t.Errorf("%d batches in the record", found)
	}
	s.KillAll()
	s.Wait(t, "no session", func(all []Session) bool { return len(all) == 0 })
}

func TestAppLocks(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	a, _ := dial(t, s, v74, 0)
	b, _ := dial(t, s, v74, 0)
	const take = "DECLARE @r int; EXEC @r = sp_getapplock @Resource = 'x', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = "
	status := func(r *raw) int32 {
		got := r.read()
		at := bytes.IndexByte(got, tokenReturnStatus)
		return int32(binary.LittleEndian.Uint32(got[at+1:]))
	}
	a.batch(0, take+"0")
	if n := status(a); n != 0 {
		t.Errorf("the first one: %d", n)
	}
	b.batch(0, take+"0")
	if n := status(b); n != -1 {
		t.Errorf("taken: %d", n)
	}
	b.batch(0, take+"-1")
	a.batch(statusReset, "IF 1 = 0 SELECT 1") // a reset lets it go
	a.read()
	if n := status(b); n < 0 { // 1 after a wait, 0 where the reset came first
		t.Errorf("let go: %d", n)
	}
}

func TestRecordIsBounded(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	r, _ := dial(t, s, v74, maxPacket)
	r.batch(0, "SELECT REPLICATE(CAST('x' AS varchar(max)), 20000000)")
	if n := len(r.read()); n < 20_000_000 {
		t.Fatalf("%d bytes", n)
	}
	bytes, cut := 0, 0
	for _, p := range s.Conversations()[0] {
		if bytes += len(p.Data); p.Cut {
			cut++
		}
	}
	if bytes > recordLimit || bytes < recordLimit/2 || cut == 0 {
		t.Errorf("%d bytes recorded, %d packets cut", bytes, cut)
	}
}
