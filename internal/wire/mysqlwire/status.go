package mysqlwire

// Status is the set of server status flags (SERVER_STATUS_flags_enum) in OK and EOF packets.
type Status uint16

// Server status flags.
const (
	StatusInTrans             Status = 0x0001 // SERVER_STATUS_IN_TRANS
	StatusAutocommit          Status = 0x0002 // SERVER_STATUS_AUTOCOMMIT
	StatusMoreResultsExist    Status = 0x0008 // SERVER_MORE_RESULTS_EXISTS
	StatusNoGoodIndexUsed     Status = 0x0010 // SERVER_QUERY_NO_GOOD_INDEX_USED
	StatusNoIndexUsed         Status = 0x0020 // SERVER_QUERY_NO_INDEX_USED
	StatusCursorExists        Status = 0x0040 // SERVER_STATUS_CURSOR_EXISTS
	StatusLastRowSent         Status = 0x0080 // SERVER_STATUS_LAST_ROW_SENT
	StatusDBDropped           Status = 0x0100 // SERVER_STATUS_DB_DROPPED
	StatusNoBackslashEscapes  Status = 0x0200 // SERVER_STATUS_NO_BACKSLASH_ESCAPES
	StatusMetadataChanged     Status = 0x0400 // SERVER_STATUS_METADATA_CHANGED
	StatusQueryWasSlow        Status = 0x0800 // SERVER_QUERY_WAS_SLOW
	StatusPSOutParams         Status = 0x1000 // SERVER_PS_OUT_PARAMS
	StatusInTransReadOnly     Status = 0x2000 // SERVER_STATUS_IN_TRANS_READONLY
	StatusSessionStateChanged Status = 0x4000 // SERVER_SESSION_STATE_CHANGED
	StatusANSIQuotes          Status = 0x8000 // SERVER_STATUS_ANSI_QUOTES, MariaDB
)

// Has reports whether all flags of f are set.
func (s Status) Has(f Status) bool { return s&f == f }
