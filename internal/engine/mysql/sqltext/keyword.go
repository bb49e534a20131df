package sqltext

import (
	"encoding/binary"
	"strings"
)

// kwid names the words that Analyze acts on.
type kwid uint8

const (
	wNone kwid = iota // no word that matters
	wAlter
	wAnalyze
	wAs
	wBackup
	wBegin
	wBinlog
	wCache
	wCall
	wCase
	wChange
	wChar
	wCharset
	wCheck
	wChecksum
	wClone
	wClose
	wCollate
	wCommit
	wConnection
	wCount
	wCreate
	wCurrval
	wDatabase
	wDeallocate
	wDeclare
	wDefault
	wDelete
	wDesc
	wDiagnostics
	wDo
	wDrop
	wEach
	wElse
	wEnd
	wErrors
	wEvent
	wExecute
	wExplain
	wExport
	wFlush
	wFor
	wFrom
	wFull
	wFunction
	wGet
	wGlobal
	wGrant
	wGroup
	wHandler
	wHelp
	wIf
	wImport
	wIndex
	wInsert
	wInstall
	wInstance
	wInto
	wKill
	wLastInsertID
	wLastval
	wLoad
	wLocal
	wLock
	wLoop
	wNames
	wNextval
	wNext
	wNo
	wNot
	wOpen
	wOptimize
	wPackage
	wPassword
	wPersist
	wPersistOnly
	wPrepare
	wPrevious
	wProcedure
	wProcesslist
	wPurge
	wQuery
	wRelease
	wRename
	wRepair
	wRepeat
	wReplace
	wReset
	wResource
	wRestart
	wReturn
	wReturns
	wRevoke
	wRole
	wRollback
	wRow
	wSavepoint
	wSelect
	wSequence
	wSession
	wSet
	wShow
	wShutdown
	wSignal
	wSQLCalcFoundRows
	wStage
	wStart
	wStatement
	wStop
	wTable
	wTables
	wTemporary
	wThen
	wTo
	wTransaction
	wTrigger
	wTruncate
	wUninstall
	wUnlock
	wUntil
	wUpdate
	wUse
	wUser
	wValue
	wValues
	wView
	wWarnings
	wWhile
	wWith
	wWork
	wXA
)

// keyword is what Analyze knows of a word.
type keyword struct {
	k1, k2 uint64 // the word's first 16 bytes, folded
	name   string
	id     kwid
	syntax bool // stands before a parenthesis without naming a function
	// The lowest versions that have a function of this name built in; 0 if none has.
	mysql, mariadb uint32
	lost           uint32  // the MySQL since which it has it no more; 0: none
	eff            Effects // of the function
}

var notKeyword keyword

// keywordIDs are the words that Analyze acts on.
var keywordIDs = map[string]kwid{
	"alter": wAlter, "analyze": wAnalyze, "as": wAs, "backup": wBackup, "begin": wBegin, "binlog": wBinlog,
	"cache": wCache, "call": wCall, "case": wCase, "change": wChange, "char": wChar, "character": wChar,
	"charset": wCharset, "check": wCheck, "checksum": wChecksum, "clone": wClone, "close": wClose,
	"collate": wCollate, "commit": wCommit, "connection": wConnection, "count": wCount, "create": wCreate,
	"currval": wCurrval, "database": wDatabase, "deallocate": wDeallocate, "declare": wDeclare,
	"default": wDefault, "delete": wDelete, "desc": wDesc, "describe": wDesc, "diagnostics": wDiagnostics, "do": wDo,
	"drop": wDrop, "each": wEach, "else": wElse, "end": wEnd, "errors": wErrors, "event": wEvent,
	"execute": wExecute, "explain": wExplain, "export": wExport, "flush": wFlush, "for": wFor, "from": wFrom,
	"full": wFull, "function": wFunction, "get": wGet, "global": wGlobal, "grant": wGrant, "group": wGroup,
	"handler": wHandler, "help": wHelp, "if": wIf, "import": wImport, "index": wIndex, "insert": wInsert,
	"install": wInstall, "instance": wInstance, "into": wInto, "kill": wKill, "last_insert_id": wLastInsertID,
	"lastval": wLastval, "load": wLoad, "local": wLocal, "lock": wLock, "loop": wLoop, "names": wNames,
	"nextval": wNextval, "next": wNext, "no": wNo, "not": wNot, "open": wOpen, "optimize": wOptimize,
	"package": wPackage, "password": wPassword, "persist": wPersist, "persist_only": wPersistOnly,
	"prepare": wPrepare, "previous": wPrevious, "procedure": wProcedure, "processlist": wProcesslist,
	"purge": wPurge, "query": wQuery, "release": wRelease,
	"rename": wRename, "repair": wRepair, "repeat": wRepeat, "replace": wReplace, "reset": wReset,
	"resource": wResource, "restart": wRestart, "return": wReturn, "returns": wReturns, "revoke": wRevoke,
	"role": wRole, "rollback": wRollback, "row": wRow, "savepoint": wSavepoint, "schema": wDatabase,
	"select": wSelect, "sequence": wSequence, "session": wSession, "set": wSet, "show": wShow,
	"shutdown": wShutdown, "signal": wSignal, "resignal": wSignal, "sql_calc_found_rows": wSQLCalcFoundRows,
	"stage": wStage, "start": wStart, "statement": wStatement, "stop": wStop, "table": wTable, "tables": wTables,
	"temporary": wTemporary, "then": wThen, "to": wTo, "transaction": wTransaction, "trigger": wTrigger,
	"truncate": wTruncate, "uninstall": wUninstall, "unlock": wUnlock, "until": wUntil, "update": wUpdate,
	"use": wUse, "user": wUser, "value": wValue, "values": wValues, "view": wView, "warnings": wWarnings,
	"while": wWhile, "with": wWith, "work": wWork, "xa": wXA,
}

// syntaxWords stand before a parenthesis without naming a function: reserved words of both servers, types, and words of
// the grammar. ("Keywords and Reserved Words", "Function Name Parsing and Resolution")
const syntaxWords = `add against algorithm all and any as between by case change check collate column columns
	constraint cross cube default distinct distinctrow div do drop else elseif end escape except exists for force
	foreign from fulltext generated group having hash high_priority if ignore in index inner intersect interval into
	is join key kill lateral left less like limit list match minus modify natural nested not offset on or order over
	partition partitions path primary range recursive references regexp returning right rlike rollup row select
	separator set some spatial sql_big_result sql_buffer_result sql_cache sql_calc_found_rows sql_no_cache
	sql_small_result straight_join subpartition subpartitions table tables than then to union unique until update use
	using value values when where while window with xor
	bigint binary bit blob bool boolean char character datetime dec decimal double enum fixed float float4 float8 int
	int1 int2 int3 int4 int8 integer longtext mediumint mediumtext national nchar number numeric nvarchar precision raw
	real signed smallint text tinyint tinytext unsigned varbinary varchar varcharacter varying vector year`

// slots is the size of the hash table; about one in three is used.
const slots = 2048

// keywords are all words above and the built-in functions. The first is none of them. index is an open hash table of
// them: small, so that it stays in the cache.
var keywords, index = func() ([]keyword, *[slots]uint16) {
	words := map[string]keyword{}
	edit := func(w string, f func(*keyword)) {
		k := words[w]
		f(&k)
		words[w] = k
	}
	for w, id := range keywordIDs {
		edit(w, func(k *keyword) { k.id = id })
	}
	for w := range strings.FieldsSeq(syntaxWords) {
		edit(w, func(k *keyword) { k.syntax = true })
	}
	for _, g := range functions {
		for w := range strings.FieldsSeq(g.names) {
			edit(w, func(k *keyword) {
				if g.mysql != 0 {
					k.mysql = g.mysql
				}
				if g.mariadb != 0 {
					k.mariadb = g.mariadb
				}
			})
		}
	}
	for w, since := range lostInMySQL {
		edit(w, func(k *keyword) { k.lost = since })
	}
	for w, e := range functionEffects {
		edit(w, func(k *keyword) { k.eff = e })
	}
	list, t := make([]keyword, 1, len(words)+1), new([slots]uint16)
	for w, k := range words {
		k.name = w
		k.k1, k.k2 = foldedKeys([]byte(w), 0, len(w))
		i := hash(k.k1, k.k2, len(w))
		for t[i] != 0 {
			i = (i + 1) % slots
		}
		t[i] = uint16(len(list))
		list = append(list, k)
	}
	return list, t
}()

// hash spreads words over the table.
func hash(k1, k2 uint64, n int) uint {
	return uint((k1 ^ k2<<7 ^ uint64(n)) * 0x9e3779b97f4a7c15 >> 53)
}

// findKeyword returns what is known of the n-byte word at i, or &notKeyword.
func findKeyword(b []byte, at, n int) *keyword {
	k1, k2 := foldedKeys(b, at, n)
	for h := hash(k1, k2, n); ; h = (h + 1) % slots {
		i := index[h%slots]
		if i == 0 {
			return &notKeyword
		}
		k := &keywords[i]
		if k.k1 == k1 && k.k2 == k2 && len(k.name) == n && (n <= 16 || equalFold(b[at+16:at+n], k.name[16:])) {
			return k
		}
	}
}

// fold has the bit that makes an ASCII letter lower-case, in each byte. It also turns '_' into 0x7f, which no word has.
const fold = 0x2020202020202020

// foldedKeys returns the first and second 8 bytes of the n-byte word at i, folded, with 0 after its end.
func foldedKeys(b []byte, i, n int) (k1, k2 uint64) {
	switch {
	case n >= 8:
		k1 = binary.LittleEndian.Uint64(b[i:]) | fold
		if n > 8 {
			m := min(n, 16)
			k2 = (binary.LittleEndian.Uint64(b[i+m-8:]) | fold) >> (8 * uint(16-m))
		}
	case i+8 <= len(b):
		k1 = (binary.LittleEndian.Uint64(b[i:]) | fold) & (1<<(8*uint(n)) - 1)
	case i+n >= 8: // at the end of the text: the bytes before the word are shifted out
		k1 = (binary.LittleEndian.Uint64(b[i+n-8:]) | fold) >> (8 * uint(8-n))
	default:
		for j := range n {
			k1 |= uint64(b[i+j]|0x20) << (8 * uint(j))
		}
	}
	return k1, k2
}

// lower folds an ASCII letter.
func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// equalFold reports whether b is the lower-case ASCII word w, in any case.
func equalFold(b []byte, w string) bool {
	if len(b) != len(w) {
		return false
	}
	for i, c := range b {
		if lower(c) != w[i] {
			return false
		}
	}
	return true
}
