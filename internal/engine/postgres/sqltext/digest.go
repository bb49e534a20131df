package sqltext

import (
	"bytes"
	"strconv"
)

// digestLen bounds a digest, in bytes; a longer one is cut after a token and ends in "...".
const digestLen = 512

// AppendDigest appends the text with its literals replaced by $1, $2, ... to dst: lower case, comments dropped, white
// space made one space (contract 8.4). No literal's content gets into it, so it is fit for logs. Quoted identifiers
// stay as they are, but for the value in SET name = value, which the server takes without quotes too.
func AppendDigest(dst, text []byte) []byte {
	x := lexer{text: text}
	begin, literals, end := len(dst), 0, 0
	var value setValue
	for x.next(); x.kind != kEOF; x.next() {
		mark := len(dst)
		if x.start > end && mark > begin {
			dst = append(dst, ' ')
		}
		end = x.end
		kind := x.kind
		if value.next(&x) && (kind == kWord || kind == kQuoted || kind == kUQuoted) {
			kind = kString
		}
		switch kind {
		case kWord, kPunct:
			for _, c := range text[x.start:min(x.end, x.start+digestLen)] {
				dst = append(dst, lower(c))
			}
		case kQuoted, kUQuoted:
			if x.broken {
				dst = append(dst, "..."...)
				break
			}
			dst = append(dst, text[x.start:min(x.end, x.start+digestLen)]...)
		default:
			literals++
			dst = append(dst, '$')
			dst = strconv.AppendInt(dst, int64(literals), 10)
		}
		if len(dst)-begin > digestLen-len("...") {
			return append(dst[:mark], "..."...)
		}
		if x.unclear {
			// The rest may be the inside of a string.
			return append(dst, " ..."...)
		}
	}
	return dst
}

// setValue follows a text to the value of SET, ALTER ROLE ... SET and the like.
type setValue struct {
	begun bool // the statement's first word was seen,
	alter bool // and it is ALTER
	set   bool // SET was seen
	value bool // and = or TO
}

// next takes the token that x has found and reports whether it is part of a value.
func (s *setValue) next(x *lexer) bool {
	token := x.text[x.start:x.end]
	switch {
	case x.kind == kPunct && x.b == ';':
		*s = setValue{}
	case s.value:
		return true
	case !s.begun:
		s.begun = true
		s.set = bytes.EqualFold(token, []byte("set"))
		s.alter = bytes.EqualFold(token, []byte("alter"))
	case !s.set:
		s.set = s.alter && bytes.EqualFold(token, []byte("set"))
	default:
		s.value = x.kind == kPunct && x.b == '=' || bytes.EqualFold(token, []byte("to"))
	}
	return false
}
