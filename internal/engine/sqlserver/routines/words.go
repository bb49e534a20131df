package routines

// words goes through the words of a text in UTF-16LE, wherever they stand: in quotes, in comments, in texts within. It does
// not allocate but for long words.
type words struct {
	text []byte
	pos  int // in bytes

	parts   int  // of the name that the word ends
	strange bool // it has letters that are not ASCII

	n, nFirst int // how long the word is, and the first one of the name; 0: longer than any name
	buf, head [128]byte
	dots      int // since the last word
	gap       bool
	comment   bool   // there was one, too
	prev      uint16 // the last unit that is of no word
}

// next goes on to the next word.
func (w *words) next() bool {
	w.strange = false
	n := 0
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
			if n < len(w.buf) {
				w.buf[n] = byte(c)
			}
			n++
			continue
		}
		if n > 0 {
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
	if n == 0 {
		return false
	}
	if w.n = n; n > len(w.buf) {
		w.n = 0
	}
	switch {
	case w.dots > 0 && w.comment: // in a name, maybe: it may be any
		w.parts, w.nFirst = 3, 0
	case w.dots == 0 || w.gap || w.parts == 0:
		w.parts = 1
		w.nFirst = copy(w.head[:], w.buf[:w.n])
	default:
		w.parts += w.dots // a part that is left out counts
	}
	w.dots, w.gap, w.comment, w.prev = 0, false, false, 0
	return true
}

// word is the word, in lower case.
func (w *words) word() []byte { return w.buf[:w.n] }

// first is the first part of the name.
func (w *words) first() []byte { return w.head[:w.nFirst] }

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
