package settings

import (
	"encoding/hex"
	"strconv"
)

// Reaches reports whether a batch can turn a session with settings s into one with to. It cannot where no statement
// takes a value back: CONTEXT_INFO to never set, QUERY_GOVERNOR_COST_LIMIT to the server's own, a database to one that is
// not known. After a reset it can, as long as the reset leaves neither.
func (s Set) Reaches(to Set) bool {
	return !(s.HasContextInfo && !to.HasContextInfo) &&
		!(s.CostLimit != CostLimitDefault && to.CostLimit == CostLimitDefault) &&
		!(s.Database != to.Database && to.Database == "")
}

// Text returns the batch, in UTF-8, that turns a session with settings s into one with to; it is empty if they are
// equal. Where [Set.Reaches] is false, it sets all but what cannot be reached. It starts no transaction and returns no
// rows; USE and SET LANGUAGE send an ENVCHANGE and an INFO each, which are not for the client.
func (s Set) Text(to Set) []byte { return s.AppendText(nil, to) }

// AppendText appends what [Set.Text] returns to b.
func (s Set) AppendText(b []byte, to Set) []byte {
	if s == to {
		return b
	}
	// What is only on in s goes first: IMPLICIT_TRANSACTIONS among them, under which a statement could start a
	// transaction, and one of the two ANSI_NULL_DFLT that the other turns off anyway.
	b = appendOptions(b, s.Options&^to.Options, " OFF;")
	if s.FIPS != to.FIPS && to.FIPS == FIPSOff {
		b = append(b, "SET FIPS_FLAGGER OFF;"...)
	}
	if s.IdentityInsert != "" && s.IdentityInsert != to.IdentityInsert {
		b = append(b, "SET IDENTITY_INSERT "...)
		b = append(b, s.IdentityInsert...)
		b = append(b, " OFF;"...)
	}
	if s.Database != to.Database && to.Database != "" {
		b = append(b, "USE "...)
		b = append(appendName(b, to.Database), ';')
	}
	language := s.Language != to.Language && to.Language != ""
	if language { // it sets the two below, too
		b = append(b, "SET LANGUAGE "...)
		b = append(appendString(b, to.Language), ';')
	}
	if language || s.DateFormat != to.DateFormat {
		b = append(b, "SET DATEFORMAT "...)
		b = append(append(b, to.DateFormat...), ';')
	}
	if language || s.DateFirst != to.DateFirst {
		b = appendNumber(b, "DATEFIRST", int64(to.DateFirst))
	}
	if s.Isolation != to.Isolation {
		b = append(b, "SET TRANSACTION ISOLATION LEVEL "...)
		b = append(append(b, to.Isolation.String()...), ';')
	}
	if s.LockTimeout != to.LockTimeout {
		b = appendNumber(b, "LOCK_TIMEOUT", int64(to.LockTimeout))
	}
	if s.TextSize != to.TextSize {
		b = appendNumber(b, "TEXTSIZE", int64(to.TextSize))
	}
	if s.DeadlockPriority != to.DeadlockPriority {
		b = appendNumber(b, "DEADLOCK_PRIORITY", int64(to.DeadlockPriority))
	}
	if s.CostLimit != to.CostLimit && to.CostLimit != CostLimitDefault {
		b = appendNumber(b, "QUERY_GOVERNOR_COST_LIMIT", int64(to.CostLimit))
	}
	if to.HasContextInfo && (!s.HasContextInfo || s.ContextInfo != to.ContextInfo) {
		b = append(b, "SET CONTEXT_INFO 0x"...)
		if to.ContextInfo == "" {
			b = append(b, "00"...)
		}
		b = append(hex.AppendEncode(b, []byte(to.ContextInfo)), ';')
	}
	b = appendContext(b, s.context, to.context)
	if to.IdentityInsert != "" && s.IdentityInsert != to.IdentityInsert {
		b = append(b, "SET IDENTITY_INSERT "...)
		b = append(b, to.IdentityInsert...)
		b = append(b, " ON;"...)
	}
	if s.RowCount != to.RowCount {
		b = appendNumber(b, "ROWCOUNT", to.RowCount)
	}
	if s.FIPS != to.FIPS && to.FIPS != FIPSOff && int(to.FIPS) < len(fipsNames) {
		b = append(b, "SET FIPS_FLAGGER "...)
		b = append(append(b, fipsNames[to.FIPS]...), ';')
	}
	// What is only on in to goes last.
	return appendOptions(b, to.Options&^s.Options, " ON;")
}

func appendNumber(b []byte, name string, n int64) []byte {
	b = append(b, "SET "...)
	b = append(append(b, name...), ' ')
	return append(strconv.AppendInt(b, n, 10), ';')
}

// appendOptions appends a SET for each of the options.
func appendOptions(b []byte, o Options, value string) []byte {
	for i, n := range optionNames {
		if o&(1<<i) != 0 {
			b = append(b, "SET "...)
			b = append(append(b, n...), value...)
		}
	}
	return b
}
