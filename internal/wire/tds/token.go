package tds

import (
	"encoding/binary"
	"slices"
)

// The first bytes of the tokens of a reply ([MS-TDS] 2.2.7).
const (
	tokenOffset       = 0x78
	tokenReturnStatus = 0x79
	tokenColMetadata  = 0x81
	tokenAltMetadata  = 0x88
	tokenDataClass    = 0xA3
	tokenTabName      = 0xA4
	tokenColInfo      = 0xA5
	tokenOrder        = 0xA9
	tokenError        = 0xAA
	tokenInfo         = 0xAB
	tokenReturnValue  = 0xAC
	tokenLoginAck     = 0xAD
	tokenFeatureAck   = 0xAE
	tokenRow          = 0xD1
	tokenNBCRow       = 0xD2
	tokenAltRow       = 0xD3
	tokenEnvChange    = 0xE3
	tokenSessionState = 0xE4
	tokenSSPI         = 0xED
	tokenFedAuthInfo  = 0xEE
	tokenDone         = 0xFD
	tokenDoneProc     = 0xFE
	tokenDoneInProc   = 0xFF
)

// Bits of the status of DONE, DONEPROC and DONEINPROC ([MS-TDS] 2.2.7.6).
const (
	DoneMore      = 0x001 // another of them follows
	DoneError     = 0x002
	DoneInXact    = 0x004 // a transaction is open; not all servers say so
	DoneCount     = 0x010 // the count is valid
	DoneAttention = 0x020 // acknowledges an attention; DONE only
	DoneRPCBatch  = 0x080 // DONEPROC of a request among several in a message
	DoneSrvError  = 0x100
)

// Event is what a Scanner has come upon.
type Event uint8

// The events. Tokens without one pass unnoticed.
const (
	EventNone         Event = iota // all that was given has been scanned
	EventDone                      // DONE, DONEPROC or DONEINPROC: Scanner.Done
	EventEnvChange                 // Scanner.Env
	EventError                     // Scanner.Message
	EventInfo                      // Scanner.Message
	EventReturnStatus              // Scanner.Status
	EventReturnValue               // Scanner.Return
	EventColumns                   // COLMETADATA: rows may follow
	EventRow                       // with Scanner.Capture only: Scanner.Cells
)

// Done is a DONE, DONEPROC or DONEINPROC token.
type Done struct {
	Proc, InProc bool
	Status       uint16
	Command      uint16
	Count        uint64 // of rows, where DoneCount is set
}

// Head is what a Scanner reads of an ERROR or INFO token.
type Head struct {
	Number       int32
	State, Class uint8
	Procedure    bool // it is of a procedure, which the token names
}

// Return is a RETURNVALUE: of other values than integers only that there was one.
type Return struct {
	Ordinal uint16
	Integer bool
	Null    bool
	Value   int64
	Patched bool // Scanner.Patch has been put in its place
}

// Scanner finds the tokens of the messages that a server sends in reply ([MS-TDS] 2.2.7), as far as they say what has become
// of a session. It is given the messages' data piece by piece, without the headers of packets; rows and what else is of no
// interest are passed over by their length. Between messages it holds no buffer larger than keepScanner. The zero value but
// for its exported settings is ready for the first message.
type Scanner struct {
	Version  Version
	Features Features

	// Patch replaces the next RETURNVALUE that is a four-byte integer, in the bytes given to Scan, where PatchNext is set.
	Patch     int32
	PatchNext bool
	// Known are the columns of results whose COLMETADATA leaves them out (NoMetaData), in the message that comes next.
	Known Columns
	// Capture keeps the values of rows, of up to maxCell bytes each, for EventRow.
	Capture bool

	// What the last event was about.
	Done    Done
	Env     []byte // the type, and its data; without the data where that is long. It lasts until the next call of Scan.
	Message Head
	Status  int32
	Return  Return
	Cells   [][]byte // nil for NULL, and for a value that is too long

	state scanState
	need  int    // bytes that the state takes whole
	skip  uint64 // bytes to pass over before
	hold  []byte // what has come of need

	// Columns of the result under way.
	cols  Columns
	alts  []altForm
	altBy []columnForm
	ctx   columnContext
	left  int // columns of the metadata still to come
	row   []columnForm
	at    int    // of row
	nulls []byte // of an NBCROW

	// The TYPE_INFO under way.
	typ       TypeID // the one under way
	own       TypeID // the column's, not that of what it encrypts
	form      typeForm
	plp       bool
	encrypted bool
	inCrypto  bool
	keys      int // in the table of column encryption keys
	keyValues int
	nb, nu    int // names with a length of one byte, and of two, to pass over
	after     scanState
	token     byte
	classes   int // of a DATACLASSIFICATION: entries, columns to come
	count     uint64
}

// columnForm is how the values of a column are written.
type columnForm struct {
	form valueForm
	size uint8
}

// Columns says how the rows of a result are written.
type Columns []columnForm

// Columns returns a copy of those of the last result of the message.
func (s *Scanner) Columns() Columns { return slices.Clone(s.cols) }

// altForm are the columns of an ALTMETADATA.
type altForm struct {
	id          uint16
	from, count int // in altBy
}

type columnContext uint8

const (
	inColumns columnContext = iota
	inAlt
	inReturn
)

// Limits of what is kept of a result.
const (
	maxAlts     = 1 << 10
	maxAltCols  = 1 << 16
	maxHold     = 1 << 10 // of an ENVCHANGE
	maxCell     = 1 << 10
	keepScanner = 256 // columns, between messages
)

type scanState uint8

const (
	scanToken scanState = iota
	scanSkip2
	scanSkip4
	scanColCount
	scanKeyCount
	scanKey
	scanKeyValue
	scanKeyNames
	scanCol
	scanAltHead
	scanAltBy
	scanAltCol
	scanInfo
	scanTableParts
	scanNameB
	scanNameU
	scanInfoEnd
	scanCrypto
	scanCryptoAlgo
	scanCryptoTail
	scanColEnd
	scanAltID
	scanNulls
	scanValue
	scanLen1
	scanLen2
	scanLen4
	scanTextPtr
	scanPLP
	scanChunk
	scanCell
	scanReturnHead
	scanReturnMid
	scanReturnInt
	scanReturnEnd
	scanReturnStatus
	scanDone
	scanEnvLen
	scanEnv
	scanMsgLen
	scanMsg
	scanMsgServer
	scanMsgProcedure
	scanFeature
	scanFeatureLen
	scanClassLabels
	scanClassLabel
	scanClassTypes
	scanClassType
	scanClassCols
	scanClassCol
)

// AtToken reports whether a token may begin here: the last one is complete.
func (s *Scanner) AtToken() bool { return s.state == scanToken && s.skip == 0 && len(s.hold) == 0 }

// Rest is how much of its token is still to come behind an event, in bytes.
func (s *Scanner) Rest() uint64 { return s.skip }

// End says that the message ends here, which it may not within a token. It forgets the message's columns.
func (s *Scanner) End() error {
	if !s.AtToken() {
		return &MalformedError{"reply", "end of the message within a token"}
	}
	s.Reset()
	return nil
}

// Reset makes the scanner ready for a new message.
func (s *Scanner) Reset() {
	s.state, s.skip, s.need = scanToken, 0, 1
	s.hold, s.cols, s.alts, s.altBy = keep(s.hold), keep(s.cols), keep(s.alts), keep(s.altBy)
	s.nulls, s.row = keep(s.nulls), nil
	s.PatchNext, s.Known = false, nil
	s.inCrypto = false
}

func keep[T any](b []T) []T {
	if cap(b) > keepScanner {
		return nil
	}
	return b[:0]
}

func (s *Scanner) malformed(field string) error {
	return &MalformedError{tokenName(s.token), field}
}

func tokenName(t byte) string {
	switch t {
	case tokenColMetadata:
		return "COLMETADATA"
	case tokenAltMetadata:
		return "ALTMETADATA"
	case tokenRow, tokenNBCRow, tokenAltRow:
		return "ROW"
	case tokenReturnValue:
		return "RETURNVALUE"
	case tokenDataClass:
		return "DATACLASSIFICATION"
	case tokenEnvChange:
		return "ENVCHANGE"
	case tokenError, tokenInfo:
		return "ERROR"
	}
	return "reply"
}

// Scan scans p up to the next event, and returns how much of p that was: all of it with EventNone. After an error the
// scanner is of no more use.
func (s *Scanner) Scan(p []byte) (n int, ev Event, err error) {
	if s.need == 0 && s.state == scanToken {
		s.need = 1
	}
	i := 0
	for {
		if s.skip > 0 {
			k := min(s.skip, uint64(len(p)-i))
			s.skip -= k
			i += int(k)
			if s.skip > 0 {
				return i, EventNone, nil
			}
		}
		var b []byte
		switch {
		case len(s.hold) == 0 && len(p)-i >= s.need:
			b = p[i : i+s.need]
			if s.state == scanReturnInt {
				s.returned(b)
				s.patch(p[i:i+s.need], 0)
			}
			i += s.need
		case i == len(p):
			return i, EventNone, nil
		default:
			k := min(s.need-len(s.hold), len(p)-i)
			at := len(s.hold)
			s.hold = append(s.hold, p[i:i+k]...)
			if s.state == scanReturnInt {
				s.patch(p[i:i+k], at)
			}
			i += k
			if len(s.hold) < s.need {
				return i, EventNone, nil
			}
			b = s.hold
			if s.state == scanReturnInt {
				s.returned(b)
			}
		}
		ev, err := s.step(b)
		s.hold = s.hold[:0]
		if ev != EventNone || err != nil {
			return i, ev, err
		}
	}
}

// patch replaces bytes of the value of a RETURNVALUE, from the at-th on.
func (s *Scanner) patch(p []byte, at int) {
	if !s.PatchNext || s.need != 4 {
		return
	}
	for j := range p {
		p[j] = byte(uint32(s.Patch) >> (8 * (at + j)))
	}
}

// returned reads the value of a RETURNVALUE.
func (s *Scanner) returned(b []byte) {
	s.Return.Integer = true
	switch len(b) {
	case 1:
		s.Return.Value = int64(b[0])
	case 2:
		s.Return.Value = int64(int16(binary.LittleEndian.Uint16(b)))
	case 4:
		s.Return.Value = int64(int32(binary.LittleEndian.Uint32(b)))
	case 8:
		s.Return.Value = int64(binary.LittleEndian.Uint64(b))
	default:
		s.Return.Integer = false
	}
}

// to goes on with a state that takes n bytes.
func (s *Scanner) to(st scanState, n int) { s.state, s.need = st, n }

// next goes on with the next token.
func (s *Scanner) next() { s.state, s.need = scanToken, 1 }

// msgString passes over n bytes of an ERROR or INFO token, and goes on at the length behind them, of one byte.
func (s *Scanner) msgString(n int, then scanState) error {
	if uint64(n)+1 > s.count {
		return s.malformed("length")
	}
	s.skip = uint64(n)
	s.count -= uint64(n) + 1
	s.to(then, 1)
	return nil
}

// names goes on behind nb names with a length of one byte and nu with a length of two.
func (s *Scanner) names(nb, nu int, after scanState, need int) {
	s.nb, s.nu, s.after, s.count = nb, nu, after, uint64(need)
	s.nextName()
}

func (s *Scanner) nextName() {
	switch {
	case s.nb > 0:
		s.nb--
		s.to(scanNameB, 1)
	case s.nu > 0:
		s.nu--
		s.to(scanNameU, 2)
	default:
		s.to(s.after, int(s.count))
	}
}

// userType is the size of a user type.
func (s *Scanner) userType() int {
	if s.Version.AtLeast(V72) {
		return 4
	}
	return 2
}

// columnHead is how long the beginning of a column is: user type, flags, type.
func (s *Scanner) columnHead() int { return s.userType() + 3 }

// step takes the bytes that the state needs.
func (s *Scanner) step(b []byte) (Event, error) {
	switch s.state {
	case scanToken:
		return EventNone, s.begin(b[0])
	case scanSkip2:
		s.skip = uint64(binary.LittleEndian.Uint16(b))
		s.next()
	case scanSkip4:
		s.skip = uint64(binary.LittleEndian.Uint32(b))
		s.next()

	case scanColCount:
		n := int(binary.LittleEndian.Uint16(b))
		s.cols, s.keys = s.cols[:0], 0
		if n == 0xFFFF {
			s.cols = append(s.cols, s.Known...)
			s.next()
			return EventColumns, nil
		}
		s.left, s.ctx = n, inColumns
		if s.Features.ColumnEncryption != 0 {
			s.to(scanKeyCount, 2)
			return EventNone, nil
		}
		return s.nextColumn()
	case scanKeyCount:
		s.keys = int(binary.LittleEndian.Uint16(b))
		s.classes = s.keys
		return s.nextKey()
	case scanKey:
		s.keyValues = int(b[20])
		return s.nextKeyValue()
	case scanKeyValue:
		s.skip = uint64(binary.LittleEndian.Uint16(b))
		s.names(1, 1, scanKeyNames, 1) // key store, path; the algorithm follows
	case scanKeyNames:
		s.skip = 2 * uint64(b[0])
		return s.nextKeyValue()
	case scanCol:
		s.column(b)
	case scanAltHead:
		n := int(binary.LittleEndian.Uint16(b))
		if len(s.alts) >= maxAlts || len(s.altBy)+n > maxAltCols {
			return EventNone, s.malformed("count")
		}
		s.alts = append(s.alts, altForm{binary.LittleEndian.Uint16(b[2:]), len(s.altBy), n})
		s.left, s.ctx, s.keys = n, inAlt, 0
		s.skip = 2 * uint64(b[4])
		return s.nextColumn()
	case scanAltCol:
		s.column(b[3:])
	case scanInfo:
		return EventNone, s.info(b)
	case scanTableParts:
		s.names(0, int(b[0]), scanInfoEnd, 0)
	case scanNameB:
		s.skip = 2 * uint64(b[0])
		s.nextName()
	case scanNameU:
		s.skip = 2 * uint64(binary.LittleEndian.Uint16(b))
		s.nextName()
	case scanInfoEnd:
		s.infoEnd()
	case scanCrypto:
		return EventNone, s.typeInfo(b[len(b)-1])
	case scanCryptoAlgo:
		if b[0] == 0 {
			s.names(1, 0, scanCryptoTail, 2)
		} else {
			s.to(scanCryptoTail, 2)
		}
	case scanCryptoTail:
		s.inCrypto = false
		s.typeEnds()
	case scanColEnd:
		return s.nextColumn()

	case scanAltID:
		id := binary.LittleEndian.Uint16(b)
		for j := len(s.alts) - 1; j >= 0; j-- { // the last of that number
			if a := s.alts[j]; a.id == id {
				s.row = s.altBy[a.from : a.from+a.count]
				return s.rowBegins()
			}
		}
		return EventNone, s.malformed("id")
	case scanNulls:
		s.nulls = append(s.nulls[:0], b...)
		return s.nextValue()
	case scanValue:
		return s.nextValue()
	case scanLen1:
		return s.value(uint64(b[0]), b[0] == 0)
	case scanLen2:
		n := binary.LittleEndian.Uint16(b)
		return s.value(uint64(n), n == lenNull)
	case scanLen4:
		n := binary.LittleEndian.Uint32(b)
		if s.form.value == formText {
			return s.value(uint64(n), n == 0xFFFFFFFF)
		}
		return s.value(uint64(n), n == 0)
	case scanTextPtr:
		if b[0] == 0 {
			return s.value(0, true)
		}
		s.skip = uint64(b[0]) + 8
		s.form.value = formText
		s.to(scanLen4, 4)
	case scanPLP:
		if binary.LittleEndian.Uint64(b) == plpNull {
			return s.value(0, true)
		}
		s.to(scanChunk, 4)
	case scanChunk:
		if n := binary.LittleEndian.Uint32(b); n != 0 {
			s.skip = uint64(n)
			return EventNone, nil
		}
		if s.Capture && s.ctx != inReturn {
			s.Cells = append(s.Cells, nil)
		}
		return s.valueEnds()
	case scanCell:
		s.Cells = append(s.Cells, append(make([]byte, 0, len(b)), b...))
		return s.valueEnds()

	case scanReturnHead:
		s.Return = Return{Ordinal: binary.LittleEndian.Uint16(b)}
		s.skip = 2 * uint64(b[2])
		s.to(scanReturnMid, 1+s.columnHead())
	case scanReturnMid:
		s.ctx, s.keys = inReturn, 0
		s.column(b[1:])
	case scanReturnInt:
		s.Return.Patched = s.PatchNext && len(b) == 4
		s.PatchNext = false
		s.next()
		return EventReturnValue, nil
	case scanReturnEnd:
		s.next()
		return EventReturnValue, nil
	case scanReturnStatus:
		s.Status = int32(binary.LittleEndian.Uint32(b))
		s.next()
		return EventReturnStatus, nil

	case scanDone:
		s.Done = Done{
			Proc: s.token == tokenDoneProc, InProc: s.token == tokenDoneInProc,
			Status: binary.LittleEndian.Uint16(b), Command: binary.LittleEndian.Uint16(b[2:]),
		}
		if len(b) == 12 {
			s.Done.Count = binary.LittleEndian.Uint64(b[4:])
		} else {
			s.Done.Count = uint64(binary.LittleEndian.Uint32(b[4:]))
		}
		s.next()
		return EventDone, nil
	case scanEnvLen:
		n := int(binary.LittleEndian.Uint16(b))
		switch {
		case n == 0:
			return EventNone, s.malformed("length")
		case n > maxHold:
			s.count = uint64(n - 1)
			s.to(scanEnv, 1)
		default:
			s.count = 0
			s.to(scanEnv, n)
		}
	case scanEnv:
		s.Env, s.skip = b, s.count
		s.next()
		return EventEnvChange, nil
	case scanMsgLen:
		n := binary.LittleEndian.Uint16(b)
		if n < 8 {
			return EventNone, s.malformed("length")
		}
		s.count = uint64(n - 8)
		s.to(scanMsg, 8)
	case scanMsg:
		s.Message = Head{Number: int32(binary.LittleEndian.Uint32(b)), State: b[4], Class: b[5]}
		return EventNone, s.msgString(2*int(binary.LittleEndian.Uint16(b[6:])), scanMsgServer)
	case scanMsgServer:
		return EventNone, s.msgString(2*int(b[0]), scanMsgProcedure)
	case scanMsgProcedure:
		s.Message.Procedure = b[0] > 0
		s.skip = s.count
		s.next()
		if s.token == tokenInfo {
			return EventInfo, nil
		}
		return EventError, nil
	case scanFeature:
		if b[0] == 0xFF {
			s.next()
		} else {
			s.to(scanFeatureLen, 4)
		}
	case scanFeatureLen:
		s.skip = uint64(binary.LittleEndian.Uint32(b))
		s.to(scanFeature, 1)

	case scanClassLabels:
		s.classes = int(binary.LittleEndian.Uint16(b))
		s.nextClass(scanClassLabel, scanClassTypes, 2)
	case scanClassLabel:
		s.nextClass(scanClassLabel, scanClassTypes, 2)
	case scanClassTypes:
		s.classes = int(binary.LittleEndian.Uint16(b))
		s.nextClass(scanClassType, scanClassCols, s.rank()+2)
	case scanClassType:
		s.nextClass(scanClassType, scanClassCols, s.rank()+2)
	case scanClassCols:
		s.classes = int(binary.LittleEndian.Uint16(b[s.rank():]))
		s.nextClassCol()
	case scanClassCol:
		s.skip = uint64(binary.LittleEndian.Uint16(b)) * uint64(4+s.rank())
		s.nextClassCol()
	}
	return EventNone, nil
}

// rank is the size of a sensitivity rank, which newer versions of the feature have.
func (s *Scanner) rank() int {
	if s.Features.DataClassification >= 2 {
		return 4
	}
	return 0
}

// nextClass passes over a label or information type, each two names, or goes on behind them.
func (s *Scanner) nextClass(each, then scanState, need int) {
	if s.classes == 0 {
		s.to(then, need)
		return
	}
	s.classes--
	s.names(2, 0, each, 0)
}

func (s *Scanner) nextClassCol() {
	if s.classes == 0 {
		s.next()
		return
	}
	s.classes--
	s.to(scanClassCol, 2)
}

// begin begins a token.
func (s *Scanner) begin(t byte) error {
	s.token = t
	switch t {
	case tokenDone, tokenDoneProc, tokenDoneInProc:
		if s.Version.AtLeast(V72) {
			s.to(scanDone, 12)
		} else {
			s.to(scanDone, 8)
		}
	case tokenRow, tokenNBCRow:
		if len(s.cols) == 0 { // what is in it would pass for tokens
			return s.malformed("no columns are known")
		}
		return s.beginRow(t)
	case tokenAltRow:
		s.to(scanAltID, 2)
	case tokenColMetadata:
		s.to(scanColCount, 2)
	case tokenAltMetadata:
		s.to(scanAltHead, 5)
	case tokenEnvChange:
		s.to(scanEnvLen, 2)
	case tokenError, tokenInfo:
		s.to(scanMsgLen, 2)
	case tokenReturnStatus:
		s.to(scanReturnStatus, 4)
	case tokenReturnValue:
		s.to(scanReturnHead, 3)
	case tokenOrder, tokenTabName, tokenColInfo, tokenLoginAck, tokenSSPI:
		s.to(scanSkip2, 2)
	case tokenSessionState, tokenFedAuthInfo:
		s.to(scanSkip4, 4)
	case tokenOffset:
		s.skip = 4
		s.next()
	case tokenFeatureAck:
		s.to(scanFeature, 1)
	case tokenDataClass:
		s.to(scanClassLabels, 2)
	default:
		return &MalformedError{"reply", "token"}
	}
	return nil
}

// beginRow begins a ROW or an NBCROW.
func (s *Scanner) beginRow(t byte) error {
	s.row, s.ctx, s.at = s.cols, inColumns, -1
	s.nulls, s.Cells = s.nulls[:0], s.Cells[:0]
	if t == tokenRow {
		s.to(scanValue, 0)
	} else {
		s.to(scanNulls, (len(s.cols)+7)/8)
	}
	return nil
}

// nextKey goes on with the next entry of the table of column encryption keys.
func (s *Scanner) nextKey() (Event, error) {
	if s.classes == 0 {
		return s.nextColumn()
	}
	s.classes--
	s.to(scanKey, 21) // database, id, version, metadata version, number of values
	return EventNone, nil
}

func (s *Scanner) nextKeyValue() (Event, error) {
	if s.keyValues == 0 {
		return s.nextKey()
	}
	s.keyValues--
	s.to(scanKeyValue, 2)
	return EventNone, nil
}

// nextColumn goes on with the next column of the metadata.
func (s *Scanner) nextColumn() (Event, error) {
	if s.left == 0 {
		s.next()
		if s.ctx == inColumns {
			return EventColumns, nil
		}
		return EventNone, nil
	}
	s.left--
	if s.ctx == inAlt {
		s.to(scanAltCol, 3+s.columnHead()) // operator and operand before
	} else {
		s.to(scanCol, s.columnHead())
	}
	return EventNone, nil
}

// column takes the beginning of a column: user type, flags, type.
func (s *Scanner) column(b []byte) {
	flags := binary.LittleEndian.Uint16(b[s.userType():])
	s.encrypted = flags&0x0800 != 0 && s.Features.ColumnEncryption != 0
	s.inCrypto = false
	s.state = scanInfo
	s.typ = TypeID(b[len(b)-1])
	s.own = s.typ
	s.form = typeForms[s.typ]
	s.plp = s.form.value == formPLP
	s.infoNeeds()
}

// typeInfo takes the type's byte of a TYPE_INFO that is not the column's own.
func (s *Scanner) typeInfo(t byte) error {
	s.inCrypto = true
	s.typ = TypeID(t)
	s.state = scanInfo
	s.infoNeeds()
	return nil
}

// infoNeeds says how much of the TYPE_INFO comes behind the type's byte.
func (s *Scanner) infoNeeds() {
	switch typeForms[s.typ].info {
	case infoNone, infoTVP:
		s.need = 0
	case infoLen1, infoXML:
		s.need = 1
	case infoDecimal, infoVector:
		s.need = 3
	case infoLen2, infoUDT:
		s.need = 2
	case infoLen2Col:
		s.need = 2 + collationSize
	case infoLen4, infoImage:
		s.need = 4
	case infoText:
		s.need = 4 + collationSize
	}
}

// info takes what comes behind the type's byte.
func (s *Scanner) info(b []byte) error {
	f := typeForms[s.typ]
	if f.value == formNone || f.value == formTVP {
		return s.malformed("type")
	}
	s.state = scanInfoEnd
	s.need = 0
	switch f.info {
	case infoLen2, infoLen2Col:
		if !s.inCrypto && binary.LittleEndian.Uint16(b) == lenNull {
			s.plp = true
		}
	case infoXML:
		if b[0] != 0 {
			s.names(2, 1, scanInfoEnd, 0)
		}
	case infoUDT:
		s.names(3, 1, scanInfoEnd, 0)
	case infoText, infoImage:
		switch {
		case s.inCrypto || s.ctx == inReturn:
		case s.userType() == 4:
			s.to(scanTableParts, 1)
		default:
			s.names(0, 1, scanInfoEnd, 0)
		}
	}
	return nil
}

// infoEnd ends a TYPE_INFO, with the table's name.
func (s *Scanner) infoEnd() {
	switch {
	case s.inCrypto:
		s.to(scanCryptoAlgo, 1)
	case s.encrypted:
		n := 5 // user type, type
		if s.ctx != inReturn && s.keys > 0 {
			n += 2 // which key
		}
		s.to(scanCrypto, n)
	default:
		s.typeEnds()
	}
}

// typeEnds notes how the column's values are written.
func (s *Scanner) typeEnds() {
	c := columnForm{s.form.value, s.form.size}
	if s.plp {
		c.form = formPLP
	}
	switch s.ctx {
	case inReturn:
		s.form.value = c.form
		s.returnValue()
		return
	case inColumns:
		s.cols = append(s.cols, c)
	case inAlt:
		s.altBy = append(s.altBy, c)
	}
	s.names(1, 0, scanColEnd, 0)
}

// returnValue begins the value of a RETURNVALUE.
func (s *Scanner) returnValue() {
	s.row = nil
	if s.form.value == formFixed {
		s.skip = uint64(s.form.size)
		s.to(scanReturnEnd, 0)
		return
	}
	s.toValue(s.form)
}

// toValue goes on with a value of that form.
func (s *Scanner) toValue(f typeForm) {
	s.form = f
	switch f.value {
	case formLen1:
		s.to(scanLen1, 1)
	case formLen2:
		s.to(scanLen2, 2)
	case formLen4:
		s.to(scanLen4, 4)
	case formText:
		s.to(scanTextPtr, 1)
	case formPLP:
		s.to(scanPLP, 8)
	}
}

// rowBegins begins the values of a row.
func (s *Scanner) rowBegins() (Event, error) {
	s.nulls, s.ctx, s.at = s.nulls[:0], inAlt, -1
	s.Cells = s.Cells[:0]
	return s.nextValue()
}

// nextValue goes on with the next value of the row.
func (s *Scanner) nextValue() (Event, error) {
	for {
		s.at++
		if s.at >= len(s.row) {
			s.next()
			if s.Capture && s.ctx == inColumns {
				return EventRow, nil
			}
			return EventNone, nil
		}
		if len(s.nulls) > 0 && s.nulls[s.at/8]&(1<<(s.at%8)) != 0 {
			if s.Capture {
				s.Cells = append(s.Cells, nil)
			}
			continue
		}
		c := s.row[s.at]
		if c.form == formFixed {
			if !s.Capture {
				s.skip = uint64(c.size)
				s.to(scanValue, 0)
			} else {
				s.to(scanCell, int(c.size))
			}
			return EventNone, nil
		}
		s.toValue(typeForm{value: c.form})
		return EventNone, nil
	}
}

// value passes over a value of n bytes.
func (s *Scanner) value(n uint64, null bool) (Event, error) {
	if null {
		n = 0
	}
	if s.ctx == inReturn {
		if s.Return.Null = null; null {
			s.Return.Integer = s.own == TypeIntN
			s.next()
			return EventReturnValue, nil
		}
		if s.own == TypeIntN && n <= 8 {
			s.to(scanReturnInt, int(n))
			return EventNone, nil
		}
		s.skip = n
		s.to(scanReturnEnd, 0)
		return EventNone, nil
	}
	if s.Capture {
		switch {
		case null:
			s.Cells = append(s.Cells, nil)
		case n <= maxCell:
			s.to(scanCell, int(n))
			return EventNone, nil
		default:
			s.Cells = append(s.Cells, nil)
		}
	}
	s.skip = n
	s.to(scanValue, 0)
	return EventNone, nil
}

// valueEnds ends a value of which no byte is left to pass over.
func (s *Scanner) valueEnds() (Event, error) {
	if s.ctx == inReturn {
		s.next()
		return EventReturnValue, nil
	}
	return s.nextValue()
}
