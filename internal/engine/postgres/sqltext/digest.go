package sqltext

import "strconv"

// digestLen bounds a digest, in bytes; a longer one is cut after a token and ends in "...".
const digestLen = 512

// AppendDigest appends the text with its literals replaced by $1, $2, ... to dst: lower case, comments dropped, white
// space made one space (contract 8.4). No literal's content gets into it, so it is fit for logs. Quoted identifiers
// stay as they are.
func AppendDigest(dst, text []byte) []byte {
	x := lexer{text: text}
	begin, literals, end := len(dst), 0, 0
	for x.next(); x.kind != kEOF; x.next() {
		mark := len(dst)
		if x.start > end && mark > begin {
			dst = append(dst, ' ')
		}
		end = x.end
		switch x.kind {
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
