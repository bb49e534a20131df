package mysqlwire

// Command is the first byte of what a client sends in the command phase (enum_server_command).
type Command uint8

// Commands.
const (
	ComSleep            Command = 0x00 // COM_SLEEP: the server's own
	ComQuit             Command = 0x01 // COM_QUIT: no answer
	ComInitDB           Command = 0x02 // COM_INIT_DB
	ComQuery            Command = 0x03 // COM_QUERY
	ComFieldList        Command = 0x04 // COM_FIELD_LIST
	ComCreateDB         Command = 0x05 // COM_CREATE_DB
	ComDropDB           Command = 0x06 // COM_DROP_DB
	ComRefresh          Command = 0x07 // COM_REFRESH
	ComShutdown         Command = 0x08 // COM_SHUTDOWN
	ComStatistics       Command = 0x09 // COM_STATISTICS: the answer is a text
	ComProcessInfo      Command = 0x0a // COM_PROCESS_INFO
	ComConnect          Command = 0x0b // COM_CONNECT: the server's own
	ComProcessKill      Command = 0x0c // COM_PROCESS_KILL
	ComDebug            Command = 0x0d // COM_DEBUG
	ComPing             Command = 0x0e // COM_PING
	ComTime             Command = 0x0f // COM_TIME: the server's own
	ComDelayedInsert    Command = 0x10 // COM_DELAYED_INSERT: the server's own
	ComChangeUser       Command = 0x11 // COM_CHANGE_USER
	ComBinlogDump       Command = 0x12 // COM_BINLOG_DUMP
	ComTableDump        Command = 0x13 // COM_TABLE_DUMP
	ComConnectOut       Command = 0x14 // COM_CONNECT_OUT: the server's own
	ComRegisterSlave    Command = 0x15 // COM_REGISTER_SLAVE
	ComStmtPrepare      Command = 0x16 // COM_STMT_PREPARE
	ComStmtExecute      Command = 0x17 // COM_STMT_EXECUTE
	ComStmtSendLongData Command = 0x18 // COM_STMT_SEND_LONG_DATA: no answer
	ComStmtClose        Command = 0x19 // COM_STMT_CLOSE: no answer
	ComStmtReset        Command = 0x1a // COM_STMT_RESET
	ComSetOption        Command = 0x1b // COM_SET_OPTION
	ComStmtFetch        Command = 0x1c // COM_STMT_FETCH
	ComDaemon           Command = 0x1d // COM_DAEMON: the server's own
	ComBinlogDumpGTID   Command = 0x1e // COM_BINLOG_DUMP_GTID
	ComResetConnection  Command = 0x1f // COM_RESET_CONNECTION
	ComClone            Command = 0x20 // COM_CLONE
	ComStmtBulkExecute  Command = 0xfa // COM_STMT_BULK_EXECUTE, MariaDB
)

// First bytes of a server's answers.
const (
	HeaderOK            = 0x00 // OK_Packet, COM_STMT_PREPARE_OK
	HeaderAuthMoreData  = 0x01 // AuthMoreData, in the connection phase
	HeaderNextFactor    = 0x02 // AuthNextFactor, in the connection phase
	HeaderLocalInfile   = 0xfb // LOCAL INFILE Request, in answer to COM_QUERY
	HeaderEOF           = 0xfe // EOF_Packet, or the OK_Packet that replaces it
	HeaderAuthSwitch    = 0xfe // AuthSwitchRequest, in the connection phase
	HeaderERR           = 0xff // ERR_Packet
	maxEOFPayload       = 8    // bytes; longer ones that begin with 0xFE are rows or OK packets
	progressReportError = 0xffff
)

// IsOK reports whether a payload is an OK packet where one, an error or rows may come. deprecateEOF says whether
// CLIENT_DEPRECATE_EOF is agreed on, so that one ends a result set.
func IsOK(payload []byte, deprecateEOF bool) bool {
	if len(payload) == 0 {
		return false
	}
	return payload[0] == HeaderOK || deprecateEOF && payload[0] == HeaderEOF && len(payload) < MaxPayload
}

// IsEOF reports whether a payload is an EOF packet; a row may begin with the same byte.
func IsEOF(payload []byte) bool {
	return len(payload) > 0 && len(payload) <= maxEOFPayload && payload[0] == HeaderEOF
}

// IsERR reports whether a payload is an ERR packet.
func IsERR(payload []byte) bool { return len(payload) > 0 && payload[0] == HeaderERR }
