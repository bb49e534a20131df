package tds

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateGolden = flag.Bool("update", false, "write the summaries of the recorded conversations anew")

// Where the conversations with a real server are, and what is known to be in them.
const (
	conversationDir    = "testdata/conversations"
	conversationGolden = "testdata/conversations.golden"
)

// conversation is a recorded conversation: packets as they went, with their headers.
type conversation struct {
	name    string
	packets []packet
}

type packet struct {
	fromClient bool
	b          []byte
}

// message is one message of a conversation, without the headers of its packets.
type message struct {
	fromClient bool
	preLogin   bool // a PRELOGIN, or the answer to it
	kind       PacketType
	status     PacketStatus // of its first packet, without StatusEOM
	data       []byte
}

// conversations reads all that are recorded.
func conversations(t testing.TB) (all []conversation) {
	t.Helper()
	files, err := filepath.Glob(conversationDir + "/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no recorded conversations")
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := conversation{name: strings.TrimSuffix(filepath.Base(file), ".txt")}
		for n := bufio.NewScanner(bytes.NewReader(b)); n.Scan(); {
			line := n.Text()
			if line == "" || line[0] == '#' {
				continue
			}
			data, err := hex.DecodeString(line[2:])
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if line[0] == ' ' { // goes on
				last := &c.packets[len(c.packets)-1]
				last.b = append(last.b, data...)
				continue
			}
			c.packets = append(c.packets, packet{line[0] == '>', data})
		}
		all = append(all, c)
	}
	return all
}

// write writes the conversation's file.
func (c conversation) write(t testing.TB, comment string) {
	t.Helper()
	var b bytes.Buffer
	for line := range strings.Lines(comment) {
		b.WriteString("# " + line)
	}
	for _, p := range c.packets {
		mark := "< "
		if p.fromClient {
			mark = "> "
		}
		for line := range slices.Chunk(p.b, 64) {
			fmt.Fprintf(&b, "%s%x\n", mark, line)
			mark = "  "
		}
	}
	if err := os.MkdirAll(conversationDir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(conversationDir, c.name+".txt"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// messages puts the packets' data together.
func (c conversation) messages(t testing.TB) (all []message) {
	t.Helper()
	open := map[bool]*message{}
	pre := false
	for _, p := range c.packets {
		h, err := ParseHeader(p.b)
		if err != nil || h.Length != len(p.b) {
			t.Fatalf("%s: a packet of %d bytes whose header says %d: %v", c.name, len(p.b), h.Length, err)
		}
		m := open[p.fromClient]
		if m == nil {
			m = &message{fromClient: p.fromClient, kind: h.Type, status: h.Status &^ StatusEOM}
			open[p.fromClient] = m
		}
		m.data = append(m.data, p.b[HeaderSize:]...)
		if h.Status&StatusEOM == 0 {
			continue
		}
		if m.kind == PacketPreLogin {
			m.preLogin, pre = true, true
		} else if !m.fromClient && pre {
			m.preLogin, pre = true, false
		}
		all = append(all, *m)
		open[p.fromClient] = nil
	}
	if open[true] != nil || open[false] != nil {
		t.Errorf("%s ends within a message", c.name)
	}
	return all
}

// summary says what a request is, or fails.
func (m message) summary(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "type %d", m.kind)
	if m.status != 0 {
		fmt.Fprintf(&b, " status %#x", byte(m.status))
	}
	data := m.data
	if m.kind == PacketSQLBatch || m.kind == PacketRPC || m.kind == PacketTransaction {
		h, n, err := ParseAllHeaders(data, V74)
		if err != nil {
			t.Error(err)
			return ""
		}
		fmt.Fprintf(&b, " transaction %x", h.Transaction)
		data = data[n:]
	}
	b.WriteByte('\n')
	switch m.kind {
	case PacketSQLBatch:
		fmt.Fprintf(&b, "text %.300q\n", DecodeText(data))
	case PacketRPC:
		for len(data) > 0 {
			var r RPC
			var err error
			if data, err = r.Next(data, V74, Features{}); err != nil {
				t.Error(err)
				break
			}
			fmt.Fprintf(&b, "call %d %q options %d parameters %d\n", r.ID, DecodeText(r.Name), r.Options, r.Params)
			for i := range min(r.Params, MaxParams) {
				p := r.First[i]
				fmt.Fprintf(&b, "  %q type %#x output %v null %v", DecodeText(p.Name), byte(p.Type), p.Output, p.Null)
				if v, _, ok := p.Int(); ok {
					fmt.Fprintf(&b, " %d", v)
				}
				if s, ok := p.Text(nil); ok {
					fmt.Fprintf(&b, " %.100q", DecodeText(s))
				}
				b.WriteByte('\n')
			}
		}
	case PacketTransaction:
		r, err := ParseTransactionManager(data)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(&b, "%+v\n", r)
	case PacketLogin7:
		l, err := ParseLogin7(data)
		if err != nil {
			t.Error(err)
			break
		}
		if strings.Trim(l.UserName+l.Password+l.HostName, "x") != "" {
			t.Error("the LOGIN7 has a user, a password or a host's name")
		}
		fmt.Fprintf(&b, "version %#x flags %#x %#x %#x %#x application %q database %q features %d\n",
			uint32(l.Version), l.Flags1, l.Flags2, l.TypeFlags, l.Flags3, l.AppName, l.Database, len(l.Features))
	case PacketPreLogin:
	case PacketBulkLoad:
		b.WriteString(describePieces(t, &Scanner{Version: V74}, [][]byte{data}))
	case PacketAttention:
		if len(data) != 0 {
			t.Error("an attention with data")
		}
	default:
		t.Errorf("an unknown request: %d", m.kind)
	}
	return b.String()
}

// TestConversations reads what a real server said: each reply has to end where a token does, to be the same tokens however it is cut,
// and to have as many rows as it says.
func TestConversations(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, c := range conversations(t) {
		fmt.Fprintf(&all, "== %s\n", c.name)
		for _, m := range c.messages(t) {
			switch {
			case m.preLogin:
				p, err := ParsePreLogin(m.data)
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
					continue
				}
				fmt.Fprintf(&all, "PRELOGIN client %v encryption %v\n", m.fromClient, p.Encryption)
			case m.fromClient:
				all.WriteString("> " + m.summary(t))
			default:
				got := describePieces(t, &Scanner{Version: V74}, [][]byte{m.data})
				if bad := strings.Contains(got, "error tds:") || strings.Contains(got, "end:"); bad && cursorWithoutRowStat(c, m) {
					all.WriteString("< " + strings.ReplaceAll(strings.TrimSpace(got), "\n", "\n< ") + "\n")
					continue
				} else if bad {
					t.Errorf("%s: the scanner fails:\n%s", c.name, got)
				}
				all.WriteString("< " + strings.TrimSuffix(strings.ReplaceAll(got, "\n", "\n< "), "< "))
				step := 1 + len(m.data)/3000
				for i := step; i < len(m.data); i += step {
					cut := describePieces(t, &Scanner{Version: V74}, [][]byte{m.data[:i], m.data[i:]})
					if d := cmp.Diff(got, cut); d != "" {
						t.Errorf("%s, cut at %d: %s", c.name, i, d)
						break
					}
				}
				countRows(t, c.name, m.data)
			}
		}
	}
	if *updateGolden {
		if err := os.WriteFile(conversationGolden, []byte(all.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(conversationGolden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), all.String()); d != "" {
		t.Error(d)
	}
}

// cursorWithoutRowStat reports whether a reply is what Babelfish 4.3 answers to sp_cursorfetch: rows with a column ROWSTAT, which
// its COLMETADATA leaves out. By its own words it has no end, so that the scanner is to refuse it.
func cursorWithoutRowStat(c conversation, m message) bool {
	return c.name == "rpc_cursor" && bytes.HasPrefix(m.data, []byte{tokenColMetadata, 1, 0})
}

// countRows compares the rows of results with the counts of the server.
func countRows(t *testing.T, name string, reply []byte) {
	t.Helper()
	const selects = 0xC1
	s := &Scanner{Version: V74, Capture: true}
	rows, columns := uint64(0), false
	for p := reply; len(p) > 0; {
		n, ev, err := s.Scan(p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		p = p[n:]
		switch ev {
		case EventColumns:
			rows, columns = 0, true
		case EventRow:
			rows++
		case EventDone:
			if columns && s.Done.Status&DoneCount != 0 && s.Done.Command == selects && s.Done.Count != rows {
				t.Errorf("%s: %d rows, and the server says %d", name, rows, s.Done.Count)
			}
			columns = false
		}
	}
}
