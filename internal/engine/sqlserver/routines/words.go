package routines

// words goes through the words of a text in UTF-16LE, wherever they stand: in quotes, in comments, in texts within. It does
// not allocate but for long words.
type words struct {
	text []byte
	pos  int // in bytes

	word    []byte // in lower case
	first   []byte // of the name of several parts that the word ends
	parts   int    // of that name
	strange bool   // it has letters that are not ASCII
	buf     [2][128]byte
	dots    int // since the last word
	gap     bool
	comment bool   // there was one, too
	prev    uint16 // the last unit that is of no word
}

// next goes on to the next word.
func (w *words) next() bool {
	w.strange = false
	word := w.buf[0][:0]
	for ; w.pos+1 < len(w.text); w.pos += 2 {
		c := uint16(w.text[w.pos]) | uint16(w.text[w.pos+1])<<8
		if inWord(c) {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			if c >= 0x80 {
				w.strange = true
				c = '?'
			}
			word = append(word, byte(c))
			continue
		}
		if len(word) > 0 {
			break
		}
		if c == '/' && w.prev == '*' || c == '-' && w.prev == '-' {
			w.comment = true
		}
		w.prev = c
		switch c {
		case '.':
			w.dots++
		case '[', ']', '"', ' ', '\t', '\r', '\n':
		default:
			w.gap = true
		}
	}
	if len(word) == 0 {
		return false
	}
	switch {
	case w.dots > 0 && w.comment: // in a name, maybe: it may be any
		w.parts, w.first = 3, nil
	case w.dots == 0 || w.gap || w.parts == 0:
		w.parts = 1
		w.first = append(w.buf[1][:0], word...)
	default:
		w.parts += w.dots // a part that is left out counts
	}
	w.dots, w.gap, w.comment, w.prev = 0, false, false, 0
	w.word = word
	return true
}

// inWord reports whether a unit can be part of a word: also those that a name can have in brackets alone, if they are not
// ASCII.
func inWord(c uint16) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '#' || c == '@' || c == '$' || c >= 0x80
}

// plain reports whether a name is found as one word.
func plain(name string) bool {
	for i := range len(name) {
		if name[i] >= 0x80 || !inWord(uint16(name[i])) {
			return false
		}
	}
	return name != ""
}
