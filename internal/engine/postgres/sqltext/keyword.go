package sqltext

// kwid names the keywords that Analyze acts on.
type kwid uint8

const (
	wNone  kwid = iota // not a keyword that matters here
	wOther             // a keyword that matters only because it may stand before a parenthesis
	wAbort
	wAll
	wAlter
	wAnalyze
	wAs
	wAtomic
	wAuthorization
	wBegin
	wCall
	wCharacteristics
	wCheckpoint
	wClose
	wCluster
	wColumn
	wComment
	wCommit
	wConstraints
	wCopy
	wCreate
	wCurrent
	wDatabase
	wDeallocate
	wDeclare
	wDefault
	wDelete
	wDiscard
	wDo
	wDrop
	wElse
	wEnd
	wExecute
	wExists
	wExplain
	wFetch
	wFor
	wForeign
	wFrom
	wGlobal
	wGrant
	wGroup
	wHold
	wIf
	wImport
	wIndex
	wInsert
	wInto
	wKey
	wLarge
	wListen
	wLoad
	wLocal
	wLock
	wLoop
	wMaterialized
	wMerge
	wMove
	wNames
	wNot
	wNotify
	wOf
	wOn
	wOnly
	wOr
	wOrdinality
	wOwned
	wPlans
	wPrepare
	wPublication
	wReassign
	wReferences
	wRefresh
	wReindex
	wRelease
	wReplace
	wReset
	wRevoke
	wRole
	wRollback
	wSavepoint
	wSchema
	wSecurity
	wSelect
	wSequence
	wSequences
	wServer
	wSession
	wSet
	wShow
	wStart
	wStatistics
	wSubscription
	wSystem
	wTable
	wTablespace
	wTemp
	wThen
	wTime
	wTo
	wTransaction
	wTrue
	wTruncate
	wType
	wUnique
	wUnlisten
	wUnlogged
	wUpdate
	wUser
	wVacuum
	wValues
	wVerbose
	wWith
	wWithout
	wXML
)

// keyword is what Analyze knows of a word.
type keyword struct {
	k1, k2 uint64 // the word, folded (foldedKeys)
	id     kwid
	hard   bool // cannot name a routine unless quoted or qualified (reserved and column-name keywords)
	soft   bool // often stands before a parenthesis without naming a routine, but can name one
	n      uint8
}

var notKeyword keyword

// keywordIDs are the words that Analyze acts on.
var keywordIDs = map[string]kwid{
	"abort": wAbort, "all": wAll, "alter": wAlter, "analyse": wAnalyze, "analyze": wAnalyze, "as": wAs,
	"atomic": wAtomic, "authorization": wAuthorization, "begin": wBegin, "call": wCall,
	"characteristics": wCharacteristics, "checkpoint": wCheckpoint, "close": wClose, "cluster": wCluster,
	"column": wColumn, "comment": wComment, "commit": wCommit, "constraints": wConstraints, "copy": wCopy,
	"create": wCreate, "current": wCurrent, "database": wDatabase, "deallocate": wDeallocate, "declare": wDeclare,
	"default": wDefault, "delete": wDelete, "discard": wDiscard, "do": wDo, "drop": wDrop, "else": wElse, "end": wEnd,
	"execute": wExecute, "exists": wExists, "explain": wExplain, "fetch": wFetch, "for": wFor, "foreign": wForeign,
	"from": wFrom, "global": wGlobal, "grant": wGrant, "group": wGroup, "hold": wHold, "if": wIf, "import": wImport,
	"index": wIndex, "insert": wInsert, "into": wInto, "key": wKey, "large": wLarge, "listen": wListen,
	"load": wLoad, "local": wLocal, "lock": wLock, "loop": wLoop, "materialized": wMaterialized, "merge": wMerge,
	"move": wMove, "names": wNames, "not": wNot, "notify": wNotify, "of": wOf, "on": wOn, "only": wOnly, "or": wOr,
	"ordinality": wOrdinality, "owned": wOwned, "plans": wPlans, "prepare": wPrepare, "publication": wPublication,
	"reassign": wReassign, "references": wReferences, "refresh": wRefresh, "reindex": wReindex,
	"release": wRelease, "replace": wReplace, "reset": wReset, "revoke": wRevoke, "role": wRole,
	"rollback": wRollback, "savepoint": wSavepoint, "schema": wSchema, "security": wSecurity, "select": wSelect,
	"sequence": wSequence, "sequences": wSequences, "server": wServer, "session": wSession, "set": wSet,
	"show": wShow, "start": wStart, "statistics": wStatistics, "subscription": wSubscription, "system": wSystem,
	"table": wTable, "tablespace": wTablespace, "temp": wTemp, "temporary": wTemp, "then": wThen, "time": wTime,
	"to": wTo, "transaction": wTransaction, "true": wTrue, "truncate": wTruncate, "type": wType,
	"unique": wUnique, "unlisten": wUnlisten, "unlogged": wUnlogged, "update": wUpdate, "user": wUser,
	"vacuum": wVacuum, "values": wValues, "verbose": wVerbose, "with": wWith, "without": wWithout, "xml": wXML,
}

// hardKeywords can stand before a parenthesis, but only quoted or qualified can they name a routine: the reserved and
// the column-name keywords of src/include/parser/kwlist.h, up to version 15. Later ones (json_value, ...) were names
// before, and are soft here.
const hardKeywords = `all analyse analyze and any array as asc asymmetric both case cast check collate column
	constraint create current_catalog current_date current_role current_time current_user default
	deferrable desc distinct do else end except false fetch for foreign from grant group having in initially
	intersect into lateral leading limit localtime localtimestamp not null offset on only or order placing primary
	references returning select session_user some symmetric table then to trailing true union unique user using
	variadic when where window with
	between bigint bit boolean char character coalesce dec decimal exists extract float greatest grouping inout int
	integer interval least national nchar none normalize nullif numeric out overlay position precision real row setof
	smallint substring time timestamp treat trim values varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest
	xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable`

// softKeywords stand before a parenthesis in everyday statements, without naming a routine. A routine of such a name
// can exist: it counts if Routines has it. Index methods stand here too.
const softKeywords = `by cluster conflict copy cube cycle data escape exclude excluded explain filter first force_not_null force_null
	force_quote generated groups header identity ilike include including inherits insert is isnull join json json_array
	json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value
	key last left like list materialized merge_action modulus natural next notnull nothing options over overlaps partition range
	recursive reindex reset rollup rows search set sets similar stdin stdout storage tablesample ties using vacuum verbose within zone
	bloom brin btree gin gist hash hnsw ivfflat spgist`

// keywords is an open hash table of all words above; empty slots have n = 0.
var keywords = func() (t [keywordSlots]keyword) {
	words := map[string]keyword{}
	for w, id := range keywordIDs {
		words[w] = keyword{id: id}
	}
	for w := range fields(softKeywords) {
		k := words[w]
		k.soft = true
		words[w] = k
	}
	for w := range fields(hardKeywords) {
		k := words[w]
		k.hard, k.soft = true, false
		words[w] = k
	}
	for w, k := range words {
		k.n = uint8(len(w))
		k.k1, k.k2 = foldedKeys([]byte(w), 0, len(w))
		if k.id == wNone {
			k.id = wOther
		}
		i := keywordHash(k.k1, k.k2, len(w))
		for t[i].n != 0 {
			i = (i + 1) % keywordSlots
		}
		t[i] = k
	}
	return t
}()

const keywordSlots = 1024

// keywordHash spreads words over the table. Words over 16 bytes hash by their beginning.
func keywordHash(k1, k2 uint64, n int) uint {
	h := (k1 ^ k2<<7 ^ uint64(n)) * 0x9e3779b97f4a7c15
	return uint(h >> 54)
}

// longestKeyword is the number of bytes that the keys hold. One keyword is longer, current_timestamp; it is left out,
// and found among the built-in names.
const longestKeyword = 16

// findKeyword returns the keyword with these keys and length, or &notKeyword.
func findKeyword(k1, k2 uint64, n int) *keyword {
	if n > longestKeyword {
		return &notKeyword
	}
	for i := keywordHash(k1, k2, n); ; i = (i + 1) % keywordSlots {
		k := &keywords[i]
		if k.n == 0 {
			return &notKeyword
		}
		if k.k1 == k1 && k.k2 == k2 && int(k.n) == n {
			return k
		}
	}
}

// isSoft reports whether a folded name is a keyword that may stand before a parenthesis without naming a routine.
func isSoft(name string) bool {
	k1, k2 := foldedKeys([]byte(name), 0, len(name))
	return findKeyword(k1, k2, len(name)).soft
}
