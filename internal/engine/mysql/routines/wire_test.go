package routines_test

import (
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"forebay/internal/engine/mysql/login"
	"forebay/internal/localserver"
	"forebay/internal/wire/mysqlwire"
)

// tracked is a session whose changes the server reports.
type tracked struct {
	*login.Server
	t testing.TB
}

func track(t *testing.T, m *localserver.MySQL, database string, caps mysqlwire.Capability) tracked {
	t.Helper()
	s := dial(t, m, "root", m.Password(), database, mysqlwire.ClientSessionTrack|caps)
	for _, v := range []string{"state_change = ON", "schema = ON", "system_variables = '*'"} {
		must(t, s, "SET SESSION session_track_"+v)
	}
	return tracked{s, t}
}

// report runs a command and lists what the OK packets of its answer report: variables with their values, the schema, and
// STATE for other changes; "error" if it failed. What the same packet or a later one says again is left out.
func (c tracked) report(command mysqlwire.Command, text string) string {
	c.t.Helper()
	out, _ := mysqlwire.AppendPacket(nil, 0, append([]byte{byte(command)}, text...))
	if _, err := c.Conn.Write(out); err != nil {
		c.t.Fatal(err)
	}
	var list []string
	for more := true; more; {
		b := readPacket(c.t, c.Conn)
		if !mysqlwire.IsOK(b, false) && !mysqlwire.IsERR(b) {
			b = c.rows(int(b[0]))
		}
		switch {
		case mysqlwire.IsERR(b):
			list = append(list, "error")
			more = false
		case mysqlwire.IsEOF(b) && !c.Capabilities.Has(mysqlwire.ClientDeprecateEOF):
			p, err := mysqlwire.ParseEOF(b)
			if err != nil {
				c.t.Fatal(err)
			}
			more = p.Status.Has(mysqlwire.StatusMoreResultsExist)
		default:
			p, err := mysqlwire.ParseOK(b, c.Capabilities)
			if err != nil {
				c.t.Fatal(err)
			}
			list = append(list, changes(c.t, p.SessionState)...)
			more = p.Status.Has(mysqlwire.StatusMoreResultsExist)
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " ")
}

// rows reads a result set of n columns and returns the packet that ends it.
func (c tracked) rows(n int) []byte {
	c.t.Helper()
	if !c.Capabilities.Has(mysqlwire.ClientDeprecateEOF) {
		n++
	}
	for range n {
		readPacket(c.t, c.Conn)
	}
	for {
		if b := readPacket(c.t, c.Conn); b[0] == mysqlwire.HeaderEOF || mysqlwire.IsERR(b) {
			return b
		}
	}
}

func changes(t testing.TB, state []byte) (list []string) {
	t.Helper()
	for len(state) > 0 {
		var e mysqlwire.StateChange
		var err error
		if e, state, err = mysqlwire.NextStateChange(state); err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Type == mysqlwire.TrackStateChange:
			list = append(list, "STATE")
		case e.Type == mysqlwire.TrackSchema:
			list = append(list, "schema="+string(e.Value))
		case e.Type == mysqlwire.TrackSystemVariables && string(e.Name) != "statement_id":
			list = append(list, string(e.Name)+"="+string(e.Value))
		}
	}
	return list
}

func readPacket(t testing.TB, c net.Conn) []byte {
	t.Helper()
	b := make([]byte, mysqlwire.HeaderLen)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	h, err := mysqlwire.ParseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	b = make([]byte, h.Length)
	if _, err := io.ReadFull(c, b); err != nil || len(b) == 0 {
		t.Fatalf("packet of %d bytes: %v", len(b), err)
	}
	return b
}
