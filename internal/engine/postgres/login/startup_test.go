package login

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// pairs encodes startup parameters.
func pairs(kv ...string) []byte {
	var b []byte
	for _, s := range kv {
		b = append(append(b, s...), 0)
	}
	return append(b, 0)
}

func TestParseStartup(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		version uint32
		body    []byte
		want    *startup
		refused string // SQLSTATE
	}{
		{
			name: "database defaults to user", version: protocol30, body: pairs("user", "u"),
			want: &startup{user: "u", database: "u", params: []Param{}},
		},
		{
			name: "last wins, whatever the case", version: protocol32,
			body: pairs("user", "u", "database", "d", "TimeZone", "UTC", "application_name", "x", "timezone", "CET"),
			want: &startup{user: "u", database: "d", minor: 2, params: []Param{{"application_name", "x"}, {"timezone", "CET"}}},
		},
		{
			name: "options come before the packet's own", version: protocol30,
			body: pairs("user", "u", "geqo", "on", "options", "-c geqo=off -c work_mem=1MB"),
			want: &startup{user: "u", database: "u", params: []Param{{"work_mem", "1MB"}, {"geqo", "on"}}},
		},
		{
			name: "higher minor and unknown protocol option", version: 3<<16 | 7,
			body: pairs("user", "u", "_pq_.x", "1"),
			want: &startup{
				user: "u", database: "u", minor: 2, params: []Param{},
				negotiate: []byte("v\x00\x00\x00\x13\x00\x03\x00\x02\x00\x00\x00\x01_pq_.x\x00"),
			},
		},
		{
			name: "replication off", version: protocol30, body: pairs("user", "u", "replication", "of"),
			want: &startup{user: "u", database: "u", params: []Param{}},
		},
		{name: "replication on", version: protocol30, body: pairs("user", "u", "replication", "1"), refused: "0A000"},
		{name: "replication true", version: protocol30, body: pairs("user", "u", "replication", "T"), refused: "0A000"},
		{name: "logical", version: protocol30, body: pairs("user", "u", "replication", "database"), refused: "0A000"},
		{name: "nonsense", version: protocol30, body: pairs("user", "u", "replication", "maybe"), refused: "22023"},
		{name: "no user", version: protocol30, body: pairs("database", "d"), refused: "28000"},
		{name: "no terminator", version: protocol30, body: []byte("user\x00u\x00"), refused: "08P01"},
		{name: "no value", version: protocol30, body: []byte("user\x00"), refused: "08P01"},
		{name: "bytes after the end", version: protocol30, body: append(pairs("user", "u"), 'x'), refused: "08P01"},
		{name: "empty", version: protocol30, body: nil, refused: "08P01"},
		{name: "bad options", version: protocol30, body: pairs("user", "u", "options", "-c"), refused: "42601"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, refusal := parseStartup(tt.version, tt.body)
			code := ""
			if refusal != nil {
				code = refusal.SQLSTATE
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(startup{})); diff != "" || code != tt.refused {
				t.Errorf("refused %q, want %q; (-want +got):\n%s", code, tt.refused, diff)
			}
		})
	}
}

// FuzzParseStartup checks that no packet panics, that what is accepted has a user, and that what we answer decodes.
func FuzzParseStartup(f *testing.F) {
	f.Add(uint32(protocol30), pairs("user", "u", "options", "-c a=b"))
	f.Add(uint32(3<<16|99), pairs("user", "u", "_pq_.a", "", "_pq_.b", ""))
	f.Fuzz(func(t *testing.T, version uint32, body []byte) {
		if len(body) > maxStartupLen {
			return
		}
		st, refusal := parseStartup(3<<16|version&0xffff, body)
		if (st == nil) == (refusal == nil) {
			t.Fatalf("startup %v, refusal %v", st, refusal)
		}
		if refusal != nil {
			var m pgproto3.ErrorResponse
			if b := refusal.AppendTo(nil); bytes.IndexByte([]byte(refusal.Message), 0) < 0 && m.Decode(b[5:]) != nil {
				t.Errorf("refusal % x does not decode", b)
			}
			return
		}
		if st.user == "" || st.database == "" {
			t.Errorf("user %q, database %q", st.user, st.database)
		}
		if st.negotiate != nil {
			var m pgproto3.NegotiateProtocolVersion
			if err := m.Decode(st.negotiate[5:]); err != nil {
				t.Error(err)
			}
		}
	})
}

// FuzzSASL feeds a whole SASL conversation's client messages to the server side.
func FuzzSASL(f *testing.F) {
	f.Add([]byte("SCRAM-SHA-256\x00\x00\x00\x00\x08n,,n=,r=x"), []byte("c=biws,r=x,p=AAAA"))
	f.Add([]byte("SCRAM-SHA-256\x00\xff\xff\xff\xff"), []byte(""))
	v, err := mockVerifier("u", "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, initial, final []byte) {
		m, err := parseSASLInitial(initial)
		if err != nil {
			return
		}
		if checkBindingFlag(m.data, false, false) != nil {
			return
		}
		c, err := (&acceptor{}).conversation(v, newNonce(), false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Step(m.data); err != nil {
			return
		}
		if _, err := c.Step(string(final)); err == nil {
			t.Errorf("mock verifier satisfied by %q", final)
		}
	})
}

// FuzzServerMessages feeds bytes as a server's side of a login and of a query.
func FuzzServerMessages(f *testing.F) {
	f.Add([]byte("R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I"))
	f.Add([]byte("R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"))
	f.Add([]byte("E\x00\x00\x00\x0cSFATAL\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		conn := &scriptConn{in: bytes.NewReader(b)}
		l := &dialer{
			o: DialOptions{Credentials: NewCredentials("u", "p")}, s: &Server{Conn: conn}, tls: &secured{conn: conn},
			r: newReader(conn),
		}
		defer l.r.release()
		if err := l.run(); err == nil && l.s.TxStatus == 0 {
			t.Error("logged in without ReadyForQuery")
		}
		s := &Server{Conn: &scriptConn{in: bytes.NewReader(b)}}
		if _, err := s.Query(t.Context(), "SELECT 1"); err == nil && s.broken {
			t.Error("broken without an error")
		}
	})
}
