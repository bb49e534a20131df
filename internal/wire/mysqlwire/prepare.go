package mysqlwire

import "encoding/binary"

// PrepareOK is the first packet of the answer to COM_STMT_PREPARE ("COM_STMT_PREPARE_OK"). Definitions of parameters and
// columns follow, in this order.
type PrepareOK struct {
	StatementID uint32
	Columns     uint16
	Params      uint16
	Warnings    uint16
	// NoMetadata says that no definitions follow (metadata_follows is RESULTSET_METADATA_NONE); sent with
	// CLIENT_OPTIONAL_RESULTSET_METADATA.
	NoMetadata bool
}

// ParsePrepareOK decodes the payload as a server with these capabilities sends it.
func ParsePrepareOK(b []byte, c Capability) (PrepareOK, error) {
	if len(b) < 9 || b[0] != HeaderOK {
		return PrepareOK{}, &MalformedError{"COM_STMT_PREPARE_OK", "fixed part"}
	}
	p := PrepareOK{
		StatementID: binary.LittleEndian.Uint32(b[1:]),
		Columns:     binary.LittleEndian.Uint16(b[5:]),
		Params:      binary.LittleEndian.Uint16(b[7:]),
	}
	if len(b) >= 12 {
		p.Warnings = binary.LittleEndian.Uint16(b[10:])
	}
	if len(b) >= 13 && c.Has(ClientOptionalResultsetMetadata) {
		p.NoMetadata = b[12] == 0
	}
	return p, nil
}

// Append appends the payload for a client with these capabilities.
func (p PrepareOK) Append(dst []byte, c Capability) []byte {
	dst = binary.LittleEndian.AppendUint32(append(dst, HeaderOK), p.StatementID)
	dst = binary.LittleEndian.AppendUint16(dst, p.Columns)
	dst = binary.LittleEndian.AppendUint16(dst, p.Params)
	dst = binary.LittleEndian.AppendUint16(append(dst, 0), p.Warnings)
	if c.Has(ClientOptionalResultsetMetadata) {
		if p.NoMetadata {
			return append(dst, 0)
		}
		return append(dst, 1)
	}
	return dst
}
