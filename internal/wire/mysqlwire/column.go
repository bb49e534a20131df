package mysqlwire

// Type is the type of a column or parameter (enum_field_types).
type Type uint8

// Types that are sent to or taken from clients.
const (
	TypeDecimal    Type = 0x00 // MYSQL_TYPE_DECIMAL
	TypeTiny       Type = 0x01 // MYSQL_TYPE_TINY
	TypeShort      Type = 0x02 // MYSQL_TYPE_SHORT
	TypeLong       Type = 0x03 // MYSQL_TYPE_LONG: 32 bits
	TypeFloat      Type = 0x04 // MYSQL_TYPE_FLOAT
	TypeDouble     Type = 0x05 // MYSQL_TYPE_DOUBLE
	TypeNull       Type = 0x06 // MYSQL_TYPE_NULL
	TypeTimestamp  Type = 0x07 // MYSQL_TYPE_TIMESTAMP
	TypeLongLong   Type = 0x08 // MYSQL_TYPE_LONGLONG: 64 bits
	TypeInt24      Type = 0x09 // MYSQL_TYPE_INT24
	TypeDate       Type = 0x0a // MYSQL_TYPE_DATE
	TypeTime       Type = 0x0b // MYSQL_TYPE_TIME
	TypeDatetime   Type = 0x0c // MYSQL_TYPE_DATETIME
	TypeYear       Type = 0x0d // MYSQL_TYPE_YEAR
	TypeVarchar    Type = 0x0f // MYSQL_TYPE_VARCHAR
	TypeBit        Type = 0x10 // MYSQL_TYPE_BIT
	TypeVector     Type = 0xf2 // MYSQL_TYPE_VECTOR, since MySQL 9
	TypeJSON       Type = 0xf5 // MYSQL_TYPE_JSON
	TypeNewDecimal Type = 0xf6 // MYSQL_TYPE_NEWDECIMAL
	TypeEnum       Type = 0xf7 // MYSQL_TYPE_ENUM
	TypeSet        Type = 0xf8 // MYSQL_TYPE_SET
	TypeTinyBlob   Type = 0xf9 // MYSQL_TYPE_TINY_BLOB
	TypeMediumBlob Type = 0xfa // MYSQL_TYPE_MEDIUM_BLOB
	TypeLongBlob   Type = 0xfb // MYSQL_TYPE_LONG_BLOB
	TypeBlob       Type = 0xfc // MYSQL_TYPE_BLOB
	TypeVarString  Type = 0xfd // MYSQL_TYPE_VAR_STRING
	TypeString     Type = 0xfe // MYSQL_TYPE_STRING
	TypeGeometry   Type = 0xff // MYSQL_TYPE_GEOMETRY
)

// Collations that the connection phase names, by their ids (information_schema.COLLATIONS). A packet holds the low byte
// of an id alone.
const (
	Latin1SwedishCI = 8   // latin1_swedish_ci
	UTF8GeneralCI   = 33  // utf8mb3_general_ci
	UTF8MB4General  = 45  // utf8mb4_general_ci
	Binary          = 63  // binary
	UTF8MB40900AICI = 255 // utf8mb4_0900_ai_ci, MySQL 8
)

// TextRow splits the payload of a Text Resultset Row into its n columns, appended to dst; nil is NULL. The columns point
// into the payload. ok is false when it does not hold just n columns.
func TextRow(dst [][]byte, payload []byte, n int) (cols [][]byte, ok bool) {
	for range n {
		if len(payload) == 0 {
			return dst, false
		}
		if payload[0] == Null {
			dst, payload = append(dst, nil), payload[1:]
			continue
		}
		var s []byte
		if s, payload, ok = LenEncString(payload); !ok {
			return dst, false
		}
		dst = append(dst, s)
	}
	return dst, len(payload) == 0
}

// ColumnName takes a column's name, as the statement has it (name, not org_name), out of the payload of a Column Definition.
// It points into the payload.
func ColumnName(payload []byte) (name []byte, ok bool) {
	for range 5 { // catalog, schema, table, org_table, name
		if name, payload, ok = LenEncString(payload); !ok {
			return nil, false
		}
	}
	return name, true
}
