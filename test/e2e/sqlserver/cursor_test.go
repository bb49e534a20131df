package sqlserver

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/internal/wire/tds"
)

// The procedures of cursors, by number, and the option of a request that its results are to come without their columns.
const (
	procCursorOpen  = 2
	procCursorFetch = 7
	procCursorClose = 9
	noMetadata      = 2
)

// call calls a procedure by its number, as drivers do with cursors.
func (r *raw) call(id, options uint16, params ...[]byte) []byte {
	r.t.Helper()
	b := tds.AppendAllHeaders(nil, r.version, r.tran)
	b = append(b, 0xFF, 0xFF)
	b = binary.LittleEndian.AppendUint16(b, id)
	b = binary.LittleEndian.AppendUint16(b, options)
	for _, p := range params {
		b = append(b, p...)
	}
	r.send(tds.PacketRPC, 0, b)
	return r.message()
}

func intParam(n int32, output bool) []byte {
	b := []byte{0, 0, byte(tds.TypeIntN), 4, 4}
	if output {
		b[1] = 1
	}
	return binary.LittleEndian.AppendUint32(b, uint32(n))
}

// TestCursorByNumber opens a cursor, fetches its rows and closes it, by the numbers of the procedures, directly and through Forebay:
// the client gets the same bytes, whose rows may have a column that only the answer to the opening describes.
func TestCursorByNumber(t *testing.T) {
	t.Parallel()
	server := realServer(t)
	use := func(p place) (answers [][]byte) {
		r := dialRaw(t, p, tds.V74)
		opened := r.call(procCursorOpen, 0, []byte{0, 1, byte(tds.TypeIntN), 4, 0}, textParam("SELECT 7 AS a, CAST('abc' AS varchar(10)) AS b UNION ALL SELECT 8, NULL"),
			intParam(8, true), intParam(1, true), intParam(0, true))
		sc := &tds.Scanner{Version: tds.V74}
		handle := int32(0)
		for data := opened; len(data) > 0 && handle == 0; {
			n, ev, err := sc.Scan(data)
			if err != nil {
				t.Fatalf("%v in %x", err, opened)
			}
			if data = data[n:]; ev == tds.EventReturnValue {
				handle = int32(sc.Return.Value)
			}
		}
		for range 3 {
			answers = append(answers, r.call(procCursorFetch, noMetadata, intParam(handle, false), intParam(2, false), intParam(0, false), intParam(1, false)))
		}
		answers = append(answers, r.call(procCursorClose, 0, intParam(handle, false)))
		r.expect("SELECT CAST('as ever' AS varchar(10))", "as ever")
		return answers
	}
	want := use(server)
	f := testkit.StartForebaySQLServer(t, server.host, server.port, testkit.ForebayOptions{
		Users: map[string]string{server.user: server.password}, Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 },
	})
	p := server
	p.host, p.port = f.Host, f.Port
	for range 2 {
		if diff := cmp.Diff(want, use(p)); diff != "" {
			t.Error(diff)
		}
	}
	if pins := f.Plane.Pins(); pins.PinnedTotal > 0 {
		t.Errorf("pinned: %+v", pins)
	}
}
