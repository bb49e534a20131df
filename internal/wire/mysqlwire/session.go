package mysqlwire

// StateType says what of the session has changed (enum_session_state_type).
type StateType uint8

// Types of session state changes.
const (
	TrackSystemVariables            StateType = 0x00 // SESSION_TRACK_SYSTEM_VARIABLES: Name and Value
	TrackSchema                     StateType = 0x01 // SESSION_TRACK_SCHEMA: Value is the schema's name
	TrackStateChange                StateType = 0x02 // SESSION_TRACK_STATE_CHANGE: Value is "1"
	TrackGTIDs                      StateType = 0x03 // SESSION_TRACK_GTIDS: Value is a set of GTIDs
	TrackTransactionCharacteristics StateType = 0x04 // SESSION_TRACK_TRANSACTION_CHARACTERISTICS: Value is SQL
	TrackTransactionState           StateType = 0x05 // SESSION_TRACK_TRANSACTION_STATE: Value has 8 characters
)

// StateChange is one entry of OK.SessionState.
type StateChange struct {
	Type StateType
	Name []byte // of a system variable
	// Value is the new value. Of a type that is not known here it is the entry's data as sent.
	Value []byte
	// Encoding is the encoding specification of GTIDs: 0, text.
	Encoding uint8
}

// NextStateChange decodes the entry at the start of b; its slices point into b. rest is what follows it; the list has
// ended when that is empty.
func NextStateChange(b []byte) (e StateChange, rest []byte, err error) {
	fail := func(field string) (StateChange, []byte, error) {
		return StateChange{}, nil, &MalformedError{"session state info", field}
	}
	if len(b) == 0 {
		return fail("type")
	}
	e.Type = StateType(b[0])
	data, rest, ok := LenEncString(b[1:])
	if !ok {
		return fail("data")
	}
	switch e.Type {
	case TrackSystemVariables:
		if e.Name, data, ok = LenEncString(data); !ok {
			return fail("variable's name")
		}
	case TrackGTIDs:
		if len(data) == 0 {
			return fail("encoding of GTIDs")
		}
		e.Encoding, data = data[0], data[1:]
	case TrackStateChange:
		// Servers write the bare character; the documentation has a length before it.
		if len(data) == 2 && data[0] == 1 {
			data = data[1:]
		}
		e.Value = data
		return e, rest, nil
	case TrackSchema, TrackTransactionCharacteristics, TrackTransactionState:
	default:
		e.Value = data
		return e, rest, nil
	}
	if e.Value, data, ok = LenEncString(data); !ok || len(data) > 0 {
		return fail("value")
	}
	return e, rest, nil
}

// Append appends the entry.
func (e StateChange) Append(dst []byte) []byte {
	dst = append(dst, byte(e.Type))
	n := lenEncLen(len(e.Value))
	switch e.Type {
	case TrackSystemVariables:
		n += lenEncLen(len(e.Name))
		dst = AppendLenEncInt(dst, uint64(n))
		dst = AppendLenEncString(dst, e.Name)
	case TrackGTIDs:
		dst = AppendLenEncInt(dst, uint64(n+1))
		dst = append(dst, e.Encoding)
	case TrackSchema, TrackTransactionCharacteristics, TrackTransactionState:
		dst = AppendLenEncInt(dst, uint64(n))
	}
	return AppendLenEncString(dst, e.Value)
}

// lenEncLen is the length in bytes of a length-encoded string of n bytes.
func lenEncLen(n int) int {
	switch {
	case n < Null:
		return n + 1
	case n < 1<<16:
		return n + 3
	case n < 1<<24:
		return n + 4
	}
	return n + 9
}
