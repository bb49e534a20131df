package settings

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// Ask is the batch that asks a session for its settings, as far as they can be asked for: one row, all of it NVARCHAR. It
// reads a view, so under IMPLICIT_TRANSACTIONS it starts a transaction: ask outside of one, and only where that is OFF; and
// it changes @@ROWCOUNT and @@ERROR. ("sys.dm_exec_sessions", of which a session may always see its own row.) The view is asked for what
// nothing else tells alone: on Babelfish it has defaults in the place of what has not been set.
const Ask = `SELECT CAST(DB_NAME() AS nvarchar(128)),CAST(@@OPTIONS AS nvarchar(20)),CAST(@@LANGUAGE AS nvarchar(128)),` +
	`CAST(date_format AS nvarchar(3)),CAST(@@DATEFIRST AS nvarchar(3)),CAST(transaction_isolation_level AS nvarchar(3)),` +
	`CAST(@@LOCK_TIMEOUT AS nvarchar(20)),CAST(text_size AS nvarchar(20)),CAST(deadlock_priority AS nvarchar(3)),` +
	`CONVERT(nvarchar(258),CONTEXT_INFO(),1) FROM sys.dm_exec_sessions WHERE session_id=@@SPID`

// AskColumns is how many columns the answer to Ask has.
const AskColumns = 10

// Answer returns s with what the row that Ask brings says; nil stands for NULL. What cannot be asked for stays as it is in
// s: ROWCOUNT, IDENTITY_INSERT, QUERY_GOVERNOR_COST_LIMIT, FIPS_FLAGGER, session_context, and the options that are not in
// [Reported]. It reports false, and returns s, if the row is not such an answer.
func (s Set) Answer(row []*string) (Set, bool) {
	if len(row) != AskColumns {
		return s, false
	}
	for _, v := range row[:AskColumns-1] {
		if v == nil {
			return s, false
		}
	}
	is := s
	is.Database, is.Language = *row[0], *row[2]
	ok := is.SetDateFormat(*row[3])
	number := func(v *string, low, high int64) int64 {
		n, err := strconv.ParseInt(*v, 10, 64)
		ok = ok && err == nil && n >= low && n <= high
		return n
	}
	is = is.WithOptions(uint32(number(row[1], 0, 1<<31-1)))
	is.DateFirst = uint8(number(row[4], 1, 7))
	is.Isolation = Isolation(number(row[5], int64(ReadUncommitted), int64(Snapshot)))
	is.LockTimeout = int32(number(row[6], -1, 1<<31-1))
	is.SetTextSize(int32(number(row[7], -1, 1<<31-1)))
	is.DeadlockPriority = int8(number(row[8], -10, 10))
	is.HasContextInfo, is.ContextInfo = false, ""
	if v := row[AskColumns-1]; v != nil {
		digits, is0x := strings.CutPrefix(*v, "0x") // Babelfish tells the bytes themselves, which may look like digits
		b, err := hex.DecodeString(digits)
		ok = ok && is0x && err == nil && is.SetContextInfo(b)
	}
	if !ok {
		return s, false
	}
	return is, true
}
