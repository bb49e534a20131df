package sqltext

// Mode is what is known about how the server reads a text. The zero value assumes nothing. What is not known is read in
// every way, and the effects are united.
type Mode struct {
	// Version is the server's, as in an executable comment: 80036 for MySQL 8.0.36, 101106 for MariaDB 10.11.6. 0
	// means unknown, not older than MySQL 5.7 and MariaDB 10.3. It decides which executable comments are code, and
	// which functions are built in.
	Version uint32
	// MariaDB says that the server is one.
	MariaDB bool
	// SQLModeKnown says that the next two are as in the session's sql_mode.
	SQLModeKnown       bool
	AnsiQuotes         bool // "x" is a name, not a string
	NoBackslashEscapes bool
	// Charset is that of character_set_client.
	Charset Charset
	// SingleStatement says that a text holds one statement: it comes from COM_STMT_PREPARE, or the session does not
	// allow multiple statements. Then the server refuses what follows a semicolon, but for the body of a routine.
	SingleStatement bool
}

// Charset is what matters of a client's character set.
type Charset uint8

const (
	// Unsafe character sets have ASCII bytes as second bytes of characters, or are not known: big5, cp932, gb18030,
	// gbk, sjis. So have, as far as the servers' lexers are concerned, eucjpms, euckr, gb2312 and ujis, since the
	// byte after a lead byte is skipped in quoted names.
	Unsafe Charset = iota
	// SingleByte character sets are safe inside quotes. Outside, a byte from 0x80 up may be a letter or a space.
	SingleByte
	// UTF8 is utf8, utf8mb3 and utf8mb4.
	UTF8
)

// CharsetOf returns the class of a character set by its name in lower case. Names that it does not know are Unsafe.
func CharsetOf(name string) Charset {
	switch name {
	case "utf8mb4", "utf8mb3", "utf8":
		return UTF8
	case "armscii8", "ascii", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "dec8",
		"geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7",
		"macce", "macroman", "swe7", "tis620":
		return SingleByte
	}
	return Unsafe
}

// The oldest servers that this package is for.
const (
	oldestMySQL   = 50700
	oldestMariaDB = 100300
)

// version returns the server's version or, if that is not known, the oldest possible.
func (m Mode) version() uint32 {
	switch {
	case m.Version != 0:
		return m.Version
	case m.MariaDB:
		return oldestMariaDB
	}
	return oldestMySQL
}
