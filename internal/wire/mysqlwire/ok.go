package mysqlwire

import "encoding/binary"

// OK ends a command that has gone well ("OK_Packet"), and with CLIENT_DEPRECATE_EOF a result set.
type OK struct {
	EOF          bool // the header is 0xFE: it ends a result set
	AffectedRows uint64
	LastInsertID uint64
	Status       Status
	Warnings     uint16
	Info         []byte // human readable; with CLIENT_SESSION_TRACK at most what its length says
	// SessionState holds session state changes, encoded: NextStateChange. It is sent with CLIENT_SESSION_TRACK and
	// StatusSessionStateChanged.
	SessionState []byte
}

// ParseOK decodes the payload as a peer with these capabilities sends it. Info points into it.
func ParseOK(b []byte, c Capability) (OK, error) {
	fail := func(field string) (OK, error) { return OK{}, &MalformedError{"OK_Packet", field} }
	if len(b) == 0 || b[0] != HeaderOK && b[0] != HeaderEOF {
		return fail("header")
	}
	p := OK{EOF: b[0] == HeaderEOF}
	var ok bool
	if p.AffectedRows, b, ok = LenEncInt(b[1:]); !ok {
		return fail("affected_rows")
	}
	if p.LastInsertID, b, ok = LenEncInt(b); !ok {
		return fail("last_insert_id")
	}
	if c.Has(ClientProtocol41) {
		if len(b) < 4 {
			return fail("status_flags")
		}
		p.Status, p.Warnings, b = Status(binary.LittleEndian.Uint16(b)), binary.LittleEndian.Uint16(b[2:]), b[4:]
	} else if c.Has(ClientTransactions) {
		if len(b) < 2 {
			return fail("status_flags")
		}
		p.Status, b = Status(binary.LittleEndian.Uint16(b)), b[2:]
	}
	if len(b) == 0 {
		return p, nil // servers leave out what is empty
	}
	if !c.Has(ClientSessionTrack) {
		// The documentation has string<EOF> here, but servers write string<lenenc> and libmysql reads that.
		if info, rest, ok := LenEncString(b); ok && len(rest) == 0 {
			b = info
		}
		p.Info = b
		return p, nil
	}
	if p.Info, b, ok = LenEncString(b); !ok {
		return fail("info")
	}
	if p.Status.Has(StatusSessionStateChanged) && len(b) > 0 {
		if p.SessionState, _, ok = LenEncString(b); !ok {
			return fail("session state info")
		}
	}
	return p, nil
}

// Append appends the payload for a peer with these capabilities, and leaves out what is empty, as servers do.
func (p OK) Append(dst []byte, c Capability) []byte {
	if p.EOF {
		dst = append(dst, HeaderEOF)
	} else {
		dst = append(dst, HeaderOK)
	}
	dst = AppendLenEncInt(dst, p.AffectedRows)
	dst = AppendLenEncInt(dst, p.LastInsertID)
	if c.Has(ClientProtocol41) {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(p.Status))
		dst = binary.LittleEndian.AppendUint16(dst, p.Warnings)
	} else if c.Has(ClientTransactions) {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(p.Status))
	}
	state := c.Has(ClientSessionTrack) && p.Status.Has(StatusSessionStateChanged)
	if len(p.Info) > 0 || state {
		dst = AppendLenEncString(dst, p.Info)
	}
	if state {
		dst = AppendLenEncString(dst, p.SessionState)
	}
	return dst
}

// EOF ends a list of definitions or rows where CLIENT_DEPRECATE_EOF is not agreed on ("EOF_Packet").
type EOF struct {
	Warnings uint16
	Status   Status
}

// ParseEOF decodes the payload.
func ParseEOF(b []byte) (EOF, error) {
	if !IsEOF(b) || len(b) < 5 {
		return EOF{}, &MalformedError{"EOF_Packet", "fixed part"}
	}
	return EOF{Warnings: binary.LittleEndian.Uint16(b[1:]), Status: Status(binary.LittleEndian.Uint16(b[3:]))}, nil
}

// Append appends the payload.
func (p EOF) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint16(append(dst, HeaderEOF), p.Warnings)
	return binary.LittleEndian.AppendUint16(dst, uint16(p.Status))
}
