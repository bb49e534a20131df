package sqlserver

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"forebay/internal/wire/tds"
)

// versions are those that clients speak; with 8.0 TLS comes first.
var versions = map[string]tds.Version{
	"7.1": tds.V71R, "7.2": tds.V72, "7.3a": tds.V73A, "7.3b": tds.V73B, "7.4": tds.V74, "8.0": tds.V80,
}

// raw is a client that speaks the version it is told to, which no driver does, and keeps what a driver keeps of its session.
type raw struct {
	t        *testing.T
	conn     net.Conn
	version  tds.Version
	size     int // of packets
	tran     [8]byte
	first    [2]string // database and language, as the log-in was told them
	database string    // as it was told last
	language string
}

// answer is what a message of the server's has.
type answer struct {
	rows   []string // values with a comma between, NULL for none
	errors []int32
	resets int // acknowledgements of a reset
}

// dialRaw connects and logs in.
func dialRaw(t *testing.T, p place, version tds.Version) *raw {
	t.Helper()
	r := connectRaw(t, p, version)
	if a := r.login(tds.Login7{UserName: p.user, Password: p.password, Database: p.database}); len(a.errors) > 0 {
		t.Fatalf("logging in: error %d", a.errors[0])
	}
	return r
}

// login logs in, with what is set in l and what all have.
func (r *raw) login(l tds.Login7) answer {
	r.t.Helper()
	l.Version, l.PacketSize, l.Flags1, l.Flags2, l.AppName = r.version, uint32(r.size), tds.Flag1UseDB|tds.Flag1SetLanguage, tds.Flag2ODBC, "raw"
	data, err := l.Append(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.send(tds.PacketLogin7, 0, data)
	a := r.read()
	r.first = [2]string{r.database, r.language}
	return a
}

// connectRaw connects, up to the answer of PRELOGIN.
func connectRaw(t *testing.T, p place, version tds.Version) *raw {
	t.Helper()
	r := &raw{t: t, version: version, size: 4096}
	var err error
	if version == tds.V80 {
		pem, err := os.ReadFile(p.ca)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		r.conn, err = tls.Dial("tcp", p.addr(), &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"tds/8.0"}})
		if err != nil {
			t.Fatal(err)
		}
	} else if r.conn, err = net.Dial("tcp", p.addr()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.conn.Close() }) // the test may have closed it
	pre := tds.PreLogin{HasEncryption: true, Encryption: tds.EncryptNotSupported, Instance: []byte{0}}
	r.send(tds.PacketPreLogin, 0, pre.Append(nil))
	r.message()
	return r
}

func (r *raw) send(typ tds.PacketType, status tds.PacketStatus, data []byte) {
	r.t.Helper()
	if _, err := r.conn.Write(tds.AppendMessage(nil, typ, status, r.size, 0, data)); err != nil {
		r.t.Fatal(err)
	}
}

// message reads one message.
func (r *raw) message() []byte {
	r.t.Helper()
	var all []byte
	for {
		var head [tds.HeaderSize]byte
		if _, err := io.ReadFull(r.conn, head[:]); err != nil {
			r.t.Fatal(err)
		}
		h, err := tds.ParseHeader(head[:])
		if err != nil {
			r.t.Fatal(err)
		}
		data := make([]byte, h.Length-tds.HeaderSize)
		if _, err := io.ReadFull(r.conn, data); err != nil {
			r.t.Fatal(err)
		}
		if all = append(all, data...); h.Status&tds.StatusEOM != 0 {
			return all
		}
	}
}

// read reads a message and looks through it.
func (r *raw) read() (a answer) {
	r.t.Helper()
	data := r.message()
	sc := &tds.Scanner{Version: r.version, Capture: true}
	for len(data) > 0 {
		n, ev, err := sc.Scan(data)
		if err != nil {
			r.t.Fatalf("%v in %x", err, data)
		}
		data = data[n:]
		switch ev {
		case tds.EventRow:
			var row []string
			for _, c := range sc.Cells {
				if c == nil {
					row = append(row, "NULL")
				} else {
					row = append(row, string(bytes.ReplaceAll(c, []byte{0}, nil))) // varchar, or ASCII as nvarchar
				}
			}
			a.rows = append(a.rows, strings.Join(row, ","))
		case tds.EventError:
			a.errors = append(a.errors, sc.Message.Number)
		case tds.EventEnvChange:
			if r.changed(sc.Env) {
				a.resets++
			}
		}
	}
	if err := sc.End(); err != nil {
		r.t.Fatal(err)
	}
	return a
}

// changed notes an ENVCHANGE; reset: it acknowledges a reset, with which drivers go back to what the log-in was told.
func (r *raw) changed(env []byte) (reset bool) {
	name := func() string { return tds.DecodeText(env[2 : 2+2*int(env[1])]) }
	switch tds.EnvType(env[0]) {
	case tds.EnvDatabase:
		r.database = name()
	case tds.EnvLanguage:
		r.language = name()
	case tds.EnvBegin:
		copy(r.tran[:], env[2:])
	case tds.EnvCommit, tds.EnvRollback, tds.EnvTransactionEnded:
		r.tran = [8]byte{}
	case tds.EnvReset:
		r.database, r.language = r.first[0], r.first[1]
		return true
	}
	return false
}

// batch runs a text.
func (r *raw) batch(status tds.PacketStatus, text string) answer {
	r.t.Helper()
	r.send(tds.PacketSQLBatch, status, tds.AppendText(tds.AppendAllHeaders(nil, r.version, r.tran), text))
	return r.read()
}

// do runs a text in which nothing fails.
func (r *raw) do(text string) answer {
	r.t.Helper()
	a := r.batch(0, text)
	if len(a.errors) > 0 {
		r.t.Fatalf("%s: error %d", text, a.errors[0])
	}
	return a
}

// expect wants one row.
func (r *raw) expect(text, want string) {
	r.t.Helper()
	if a := r.do(text); len(a.rows) != 1 || a.rows[0] != want {
		r.t.Errorf("%s: %q, want %q", text, a.rows, want)
	}
}
