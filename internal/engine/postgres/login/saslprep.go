package login

import (
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
)

// saslPrep normalises a password as PostgreSQL and libpq do (pg_saslprep, RFC 4013): plain ASCII and whatever SASLprep
// refuses is used as it is, byte for byte.
func saslPrep(password string) string {
	ascii := true
	for i := range len(password) {
		if password[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii || !utf8.ValidString(password) {
		return password
	}
	// RFC 4013 lists the zero width space twice: as a space and as nothing. PostgreSQL looks for spaces first, the
	// library for nothing.
	prepared, err := stringprep.SASLprep.Prepare(strings.ReplaceAll(password, "\u200b", " "))
	if err != nil || prepared == "" {
		return password
	}
	return prepared
}
