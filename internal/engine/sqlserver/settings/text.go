package settings

import (
	"encoding/hex"
	"strconv"
)

// Reaches reports whether a batch can turn a session with settings from into one with to. It cannot where no statement
// takes a value back: CONTEXT_INFO to never set, QUERY_GOVERNOR_COST_LIMIT to the server's own, a database to one that is
// not known. After a reset it can, as long as the reset leaves neither.
func (from Set) Reaches(to Set) bool {
	return !(from.HasContextInfo && !to.HasContextInfo) &&
		!(from.CostLimit != CostLimitDefault && to.CostLimit == CostLimitDefault) &&
		!(from.Database != to.Database && to.Database == "")
}

// Text returns the batch, in UTF-8, that turns a session with settings from into one with to; it is empty if they are
// equal. Where [Set.Reaches] is false, it sets all but what cannot be reached. It starts no transaction and returns no
// rows; USE and SET LANGUAGE send an ENVCHANGE and an INFO each, which are not for the client.
func (from Set) Text(to Set) []byte { return from.AppendText(nil, to) }

// AppendText appends what [Set.Text] returns to b.
func (from Set) AppendText(b []byte, to Set) []byte {
	if from == to {
		return b
	}
	// What is only on in from goes first: IMPLICIT_TRANSACTIONS among them, under which a statement could start a
	// transaction, and one of the two ANSI_NULL_DFLT that the other turns off anyway.
	b = appendOptions(b, from.Options&^to.Options, " OFF;")
	if from.FIPS != to.FIPS && to.FIPS == FIPSOff {
		b = append(b, "SET FIPS_FLAGGER OFF;"...)
	}
	if from.IdentityInsert != "" && from.IdentityInsert != to.IdentityInsert {
		b = append(b, "SET IDENTITY_INSERT "...)
		b = append(b, from.IdentityInsert...)
		b = append(b, " OFF;"...)
	}
	if from.Database != to.Database && to.Database != "" {
		b = append(b, "USE "...)
		b = append(appendName(b, to.Database), ';')
	}
	language := from.Language != to.Language && to.Language != ""
	if language { // it sets the two below, too
		b = append(b, "SET LANGUAGE "...)
		b = append(appendString(b, to.Language), ';')
	}
	if language || from.DateFormat != to.DateFormat {
		b = append(b, "SET DATEFORMAT "...)
		b = append(append(b, to.DateFormat...), ';')
	}
	if language || from.DateFirst != to.DateFirst {
		b = appendNumber(b, "DATEFIRST", int64(to.DateFirst))
	}
	if from.Isolation != to.Isolation {
		b = append(b, "SET TRANSACTION ISOLATION LEVEL "...)
		b = append(append(b, to.Isolation.String()...), ';')
	}
	if from.LockTimeout != to.LockTimeout {
		b = appendNumber(b, "LOCK_TIMEOUT", int64(to.LockTimeout))
	}
	if from.TextSize != to.TextSize {
		b = appendNumber(b, "TEXTSIZE", int64(to.TextSize))
	}
	if from.DeadlockPriority != to.DeadlockPriority {
		b = appendNumber(b, "DEADLOCK_PRIORITY", int64(to.DeadlockPriority))
	}
	if from.CostLimit != to.CostLimit && to.CostLimit != CostLimitDefault {
		b = appendNumber(b, "QUERY_GOVERNOR_COST_LIMIT", int64(to.CostLimit))
	}
	if to.HasContextInfo && (!from.HasContextInfo || from.ContextInfo != to.ContextInfo) {
		b = append(b, "SET CONTEXT_INFO 0x"...)
		if to.ContextInfo == "" {
			b = append(b, "00"...)
		}
		b = append(hex.AppendEncode(b, []byte(to.ContextInfo)), ';')
	}
	b = appendContext(b, from.context, to.context)
	if to.IdentityInsert != "" && from.IdentityInsert != to.IdentityInsert {
		b = append(b, "SET IDENTITY_INSERT "...)
		b = append(b, to.IdentityInsert...)
		b = append(b, " ON;"...)
	}
	if from.RowCount != to.RowCount {
		b = appendNumber(b, "ROWCOUNT", to.RowCount)
	}
	if from.FIPS != to.FIPS && to.FIPS != FIPSOff && int(to.FIPS) < len(fipsNames) {
		b = append(b, "SET FIPS_FLAGGER "...)
		b = append(append(b, fipsNames[to.FIPS]...), ';')
	}
	// What is only on in to goes last.
	return appendOptions(b, to.Options&^from.Options, " ON;")
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
