package mysqlwire

// Capability is a set of capability flags. The lower half are MySQL's Capabilities Flags, the upper half MariaDB's
// extended ones, as in MariaDB's source. Bits without a name here are kept as received.
type Capability uint64

// Capability flags of both servers.
const (
	// ClientLongPassword is CLIENT_LONG_PASSWORD of MySQL. MariaDB calls it CLIENT_MYSQL: a peer that leaves it out
	// speaks of MariaDB's extended capabilities where the packet of the other has zeros.
	ClientLongPassword               Capability = 1 << 0
	ClientFoundRows                  Capability = 1 << 1  // CLIENT_FOUND_ROWS
	ClientLongFlag                   Capability = 1 << 2  // CLIENT_LONG_FLAG
	ClientConnectWithDB              Capability = 1 << 3  // CLIENT_CONNECT_WITH_DB
	ClientNoSchema                   Capability = 1 << 4  // CLIENT_NO_SCHEMA
	ClientCompress                   Capability = 1 << 5  // CLIENT_COMPRESS: zlib
	ClientODBC                       Capability = 1 << 6  // CLIENT_ODBC
	ClientLocalFiles                 Capability = 1 << 7  // CLIENT_LOCAL_FILES
	ClientIgnoreSpace                Capability = 1 << 8  // CLIENT_IGNORE_SPACE
	ClientProtocol41                 Capability = 1 << 9  // CLIENT_PROTOCOL_41
	ClientInteractive                Capability = 1 << 10 // CLIENT_INTERACTIVE
	ClientSSL                        Capability = 1 << 11 // CLIENT_SSL
	ClientIgnoreSigpipe              Capability = 1 << 12 // CLIENT_IGNORE_SIGPIPE
	ClientTransactions               Capability = 1 << 13 // CLIENT_TRANSACTIONS
	ClientReserved                   Capability = 1 << 14 // CLIENT_RESERVED
	ClientSecureConnection           Capability = 1 << 15 // CLIENT_SECURE_CONNECTION, CLIENT_RESERVED2 since MySQL 8
	ClientMultiStatements            Capability = 1 << 16 // CLIENT_MULTI_STATEMENTS
	ClientMultiResults               Capability = 1 << 17 // CLIENT_MULTI_RESULTS
	ClientPSMultiResults             Capability = 1 << 18 // CLIENT_PS_MULTI_RESULTS
	ClientPluginAuth                 Capability = 1 << 19 // CLIENT_PLUGIN_AUTH
	ClientConnectAttrs               Capability = 1 << 20 // CLIENT_CONNECT_ATTRS
	ClientPluginAuthLenEncClientData Capability = 1 << 21 // CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
	ClientCanHandleExpiredPasswords  Capability = 1 << 22 // CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS
	ClientSessionTrack               Capability = 1 << 23 // CLIENT_SESSION_TRACK
	ClientDeprecateEOF               Capability = 1 << 24 // CLIENT_DEPRECATE_EOF
)

// Capability flags of MySQL alone, and of client libraries.
const (
	ClientOptionalResultsetMetadata Capability = 1 << 25 // CLIENT_OPTIONAL_RESULTSET_METADATA
	ClientZstdCompression           Capability = 1 << 26 // CLIENT_ZSTD_COMPRESSION_ALGORITHM
	ClientQueryAttributes           Capability = 1 << 27 // CLIENT_QUERY_ATTRIBUTES
	ClientMultiFactorAuthentication Capability = 1 << 28 // MULTI_FACTOR_AUTHENTICATION
	ClientCapabilityExtension       Capability = 1 << 29 // CLIENT_CAPABILITY_EXTENSION
	ClientSSLVerifyServerCert       Capability = 1 << 30 // CLIENT_SSL_VERIFY_SERVER_CERT
	ClientRememberOptions           Capability = 1 << 31 // CLIENT_REMEMBER_OPTIONS
)

// Extended capability flags of MariaDB.
const (
	MariaDBClientProgress           Capability = 1 << 32 // MARIADB_CLIENT_PROGRESS
	MariaDBClientComMulti           Capability = 1 << 33 // MARIADB_CLIENT_COM_MULTI
	MariaDBClientStmtBulkOperations Capability = 1 << 34 // MARIADB_CLIENT_STMT_BULK_OPERATIONS
	MariaDBClientExtendedMetadata   Capability = 1 << 35 // MARIADB_CLIENT_EXTENDED_METADATA
	MariaDBClientCacheMetadata      Capability = 1 << 36 // MARIADB_CLIENT_CACHE_METADATA
	MariaDBClientBulkUnitResults    Capability = 1 << 37 // MARIADB_CLIENT_BULK_UNIT_RESULTS
)

// MariaDBExtended are all extended capabilities, named or not.
const MariaDBExtended Capability = 0xffffffff << 32

// Has reports whether all flags of f are set.
func (c Capability) Has(f Capability) bool { return c&f == f }

// extended returns the upper half where the peer speaks of it.
func (c Capability) extended() uint32 {
	if c.Has(ClientLongPassword) {
		return 0
	}
	return uint32(c >> 32)
}
