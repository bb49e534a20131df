package sqlserver_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/wire/tds"
)

// replica is a server that answers the monitor's questions alone: each by the first entry whose key is in its text.
type replica struct {
	t       *testing.T
	answers []struct {
		of    string
		row   []string // "NULL" is NULL; nil: error 300
		empty bool     // no row
	}
}

func (r *replica) Config() resource.Member {
	return resource.Member{Host: "db1", Port: 1433, TLSMode: resource.TLSDisable}
}

func (r *replica) Dial(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		_ = far.SetDeadline(time.Now().Add(20 * time.Second))
		for {
			var head [tds.HeaderSize]byte
			if _, err := io.ReadFull(far, head[:]); err != nil {
				return
			}
			h, err := tds.ParseHeader(head[:])
			if err != nil {
				r.t.Error(err)
				return
			}
			data := make([]byte, h.Length-tds.HeaderSize)
			if _, err := io.ReadFull(far, data); err != nil {
				return
			}
			if _, err := far.Write(tds.AppendMessage(nil, tds.PacketReply, 0, 4096, 0, r.answer(h.Type, data))); err != nil {
				return
			}
		}
	}()
	return near, nil
}

func (r *replica) answer(typ tds.PacketType, data []byte) []byte {
	switch typ {
	case tds.PacketPreLogin:
		return (&tds.PreLogin{Version: 0x10000FA0, HasEncryption: true, Encryption: tds.EncryptNotSupported}).Append(nil)
	case tds.PacketLogin7:
		return tds.AppendDone(tds.LoginAck{Interface: 1, Version: tds.V74, ProgVersion: 0x10000FA0}.Append(nil), tds.V74, false)
	}
	text := tds.DecodeText(data[22:])
	for _, a := range r.answers {
		if !strings.Contains(text, a.of) {
			continue
		}
		if a.row == nil {
			m := tds.Message{Number: 300, State: 1, Class: 14, Text: "VIEW SERVER STATE permission was denied."}
			return tds.AppendDone(m.Append(nil, tds.V74), tds.V74, true)
		}
		b := []byte{0x81, byte(len(a.row)), 0}
		for range a.row {
			b = append(b, 0, 0, 0, 0, 9, 0, 0xE7, 40, 0, 9, 4, 0xD0, 0, 0x34, 0)
		}
		if !a.empty {
			b = append(b, 0xD1)
			for _, v := range a.row {
				if v == "NULL" {
					b = append(b, 0xFF, 0xFF)
					continue
				}
				b = tds.AppendText(append(b, byte(2*len(v)), 0), v)
			}
		}
		return tds.AppendDone(b, tds.V74, false)
	}
	r.t.Errorf("unexpected question %q", text)
	return nil
}

// TestMonitorGroups asks a server with availability groups, as a user who may see them and as one who may not.
func TestMonitorGroups(t *testing.T) {
	t.Parallel()
	type answer = struct {
		of    string
		row   []string
		empty bool
	}
	hadr := answer{of: "IsHadrEnabled", row: []string{"1"}}
	writes := answer{of: "@@MAX_CONNECTIONS", row: []string{"32767", "5496", "READ_WRITE", "0"}}
	reads := answer{of: "@@MAX_CONNECTIONS", row: []string{"32767", "5496", "READ_ONLY", "0"}}
	groups := func(row ...string) answer { return answer{of: "dm_hadr_availability_replica_states", row: row} }
	none := groups("", "", "", "", "")
	none.empty = true
	for name, c := range map[string]struct {
		answers []answer
		want    engine.Status
		log     string
	}{
		"primary":     {[]answer{hadr, writes, groups("PRIMARY", "ONLINE", "HEALTHY", "DB1", "NULL")}, engine.Status{Role: engine.Writer, Lag: -1}, ""},
		"secondary":   {[]answer{hadr, writes, groups("SECONDARY", "NULL", "HEALTHY", "DB2", "7")}, engine.Status{Role: engine.Reader, Lag: 7 * time.Second, Source: "DB2"}, ""},
		"pending":     {[]answer{hadr, writes, groups("PRIMARY", "PENDING_FAILOVER", "HEALTHY", "DB1", "NULL")}, engine.Status{Role: engine.Writer, Lag: -1, Unusable: "it is the primary of an availability group, which is PENDING_FAILOVER"}, ""},
		"resolving":   {[]answer{hadr, writes, groups("RESOLVING", "OFFLINE", "NOT_HEALTHY", "NULL", "NULL")}, engine.Status{Lag: -1, Unusable: "its role in an availability group is RESOLVING"}, ""},
		"no group":    {[]answer{hadr, writes, none}, engine.Status{Role: engine.Writer, Lag: -1}, ""},
		"not allowed": {[]answer{hadr, reads, groups()}, engine.Status{Role: engine.Reader, Lag: -1}, "VIEW SERVER STATE"},
		"no feature":  {[]answer{{of: "IsHadrEnabled", row: []string{"0"}}, writes}, engine.Status{Role: engine.Writer, Lag: -1}, ""},
	} {
		var log bytes.Buffer
		m := sqlserver.New(slog.New(slog.DiscardHandler)).NewMonitor(engine.MonitorOptions{
			Member: &replica{t: t, answers: c.answers}, Log: slog.New(slog.NewTextHandler(&log, nil)),
			Secret: func(context.Context) (secret.Secret, error) { return secret.Secret{Username: "sa", Password: "x"}, nil },
		})
		for range 2 {
			st, err := m.Look(t.Context())
			if err != nil || st.Role != c.want.Role || st.Lag != c.want.Lag || st.Source != c.want.Source || st.Unusable != c.want.Unusable || st.Capacity.MaxConnections != 32767 || st.Version != "16.0.4000" {
				t.Errorf("%s: %+v, %v", name, st, err)
			}
		}
		m.Close()
		if n := strings.Count(log.String(), "level=WARN"); !strings.Contains(log.String(), c.log) || n != min(1, len(c.log)) {
			t.Errorf("%s: the log has %q", name, log.String())
		}
	}
}
