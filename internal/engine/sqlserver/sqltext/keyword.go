package sqltext

import "strings"

// kwid names the words that Inspect acts on.
type kwid uint8

const (
	wNone kwid = iota
	wAll
	wAlter
	wAs
	wBackup
	wBegin
	wBreak
	wBulk
	wCase
	wCheckpoint
	wClose
	wCommit
	wContinue
	wCreate
	wCurrent
	wCursor
	wDbcc
	wDeallocate
	wDeclare
	wDefault
	wDelete
	wDeny
	wDrop
	wElse
	wEnd
	wExcept
	wExec
	wExists
	wFetch
	wFor
	wFrom
	wGoto
	wGrant
	wIf
	wInsert
	wIntersect
	wInto
	wJoin
	wKill
	wMerge
	wOff
	wOn
	wOpen
	wOutput
	wPrint
	wRaiserror
	wReadtext
	wReconfigure
	wRestore
	wReturn
	wRevert
	wRevoke
	wRollback
	wRow
	wSave
	wSelect
	wSet
	wSetuser
	wShutdown
	wTable
	wThen
	wTo
	wTruncate
	wUnion
	wUpdate
	wUpdatetext
	wUse
	wValues
	wWaitfor
	wWhile
	wWith
	wWritetext
)

// keyword is what Inspect knows of a word.
type keyword struct {
	id     kwid
	starts bool    // begins a statement, where no other one can have it
	eff    Effects // of naming it
}

// starters begin a statement: all are reserved words.
const starters = `alter backup begin break bulk checkpoint close commit continue create dbcc deallocate declare delete deny
	drop exec execute fetch goto grant if insert kill merge open print raiserror readtext reconfigure restore return revert
	revoke rollback save select set setuser shutdown truncate update updatetext use waitfor while writetext`

var keywordIDs = map[string]kwid{
	"all": wAll, "alter": wAlter, "as": wAs, "backup": wBackup, "begin": wBegin, "break": wBreak, "bulk": wBulk, "case": wCase,
	"checkpoint": wCheckpoint, "close": wClose, "commit": wCommit, "continue": wContinue, "create": wCreate, "current": wCurrent,
	"cursor": wCursor, "dbcc": wDbcc, "deallocate": wDeallocate, "declare": wDeclare, "default": wDefault, "delete": wDelete,
	"deny": wDeny, "drop": wDrop, "else": wElse, "end": wEnd, "except": wExcept, "exec": wExec, "execute": wExec,
	"exists": wExists, "fetch": wFetch, "for": wFor, "from": wFrom, "goto": wGoto, "grant": wGrant, "if": wIf,
	"insert": wInsert, "intersect": wIntersect, "into": wInto, "join": wJoin, "kill": wKill, "merge": wMerge, "off": wOff,
	"on": wOn, "open": wOpen, "output": wOutput, "print": wPrint, "raiserror": wRaiserror, "readtext": wReadtext,
	"reconfigure": wReconfigure, "restore": wRestore, "return": wReturn, "revert": wRevert, "revoke": wRevoke,
	"rollback": wRollback, "row": wRow, "rows": wRow, "save": wSave, "select": wSelect, "set": wSet, "setuser": wSetuser,
	"shutdown": wShutdown, "table": wTable, "then": wThen, "to": wTo, "truncate": wTruncate, "union": wUnion,
	"update": wUpdate, "updatetext": wUpdatetext, "use": wUse, "values": wValues, "waitfor": wWaitfor, "while": wWhile,
	"with": wWith, "writetext": wWritetext,
}

// wordEffects are those of functions and views, by their names.
var wordEffects = map[string]Effects{
	"scope_identity": ReadsScopeIdentity, "rowcount_big": ReadsRowCount, "cursor_status": ReadsFetch,
	"xact_state": ReadsTransaction, "current_transaction_id": ReadsTransaction, "context_info": ReadsContext,
	"session_context": ReadsContext, "openquery": Remote, "openrowset": Remote, "opendatasource": Remote,
	"sysprocesses": ReadsSPID,
}

// sysEffects are those of @@x.
var sysEffects = map[string]Effects{
	"identity": ReadsIdentity, "rowcount": ReadsRowCount, "error": ReadsError, "fetch_status": ReadsFetch,
	"cursor_rows": ReadsFetch, "trancount": ReadsTransaction, "spid": ReadsSPID, "connections": ReadsSPID,
}

var keywords = func() map[string]keyword {
	m := make(map[string]keyword, 128)
	for w, id := range keywordIDs {
		m[w] = keyword{id: id}
	}
	for w := range strings.FieldsSeq(starters) {
		m[w] = keyword{id: m[w].id, starts: true}
	}
	for w, e := range wordEffects {
		m[w] = keyword{eff: e}
	}
	return m
}()
