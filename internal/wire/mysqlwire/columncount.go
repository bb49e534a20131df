package mysqlwire

// maxColumns is how many a result set may have. A table has at most 4096, but a SELECT without one may have more.
const maxColumns = 1<<16 - 1

// ColumnCount decodes the first packet of a result set, and whether column definitions follow. The flag that says so, MySQL's
// (metadata_follows) or MariaDB's, stands behind the count. MySQL's documentation has it in front, where 0 would look like
// an OK packet; no bytes mean different things by the two orders, so both are taken.
func ColumnCount(b []byte, c Capability) (n int, definitions, ok bool) {
	count, rest, ok := LenEncInt(b)
	flagged := c.Has(ClientOptionalResultsetMetadata) || c.Has(MariaDBClientCacheMetadata)
	switch {
	case !ok || !flagged && len(rest) > 0 || len(rest) == 0:
	case len(rest) == 1 && rest[0] <= 1:
		return int(count), rest[0] == 1, count > 0 && count <= maxColumns
	default:
		flag := count
		count, rest, ok = LenEncInt(rest)
		ok = ok && flag == 1
	}
	return int(count), true, ok && len(rest) == 0 && count > 0 && count <= maxColumns
}
