package sqltext

// comment skips the comment at i, or its opening if it is code, and returns the index after it. ("Comments"; "Comment
// Syntax", MariaDB)
func (x *lexer) comment(i int) int {
	b := x.text
	j := i + 2
	marked := x.mode.MariaDB && j+1 < len(b) && b[j] == 'M' && b[j+1] == '!'
	switch {
	case marked:
		j++
	case j < len(b) && b[j] == '+':
		return x.hint(j + 1)
	case j >= len(b) || b[j] != '!':
		return x.plainComment(j)
	}
	j++
	if x.inCode {
		x.unclear = true // the servers do not agree on where this ends
	}
	n, v := 0, uint32(0)
	for n < 6 && j+n < len(b) && class[b[j+n]] == cDigit {
		v = v*10 + uint32(b[j+n]-'0')
		n++
	}
	if n == 6 && !x.mode.MariaDB {
		x.unclear = true // five digits and a number, or six digits: that depends on the version
	}
	if n < 5 {
		x.inCode = true
		return j
	}
	if x.mode.MariaDB && !marked && v >= 50700 && v <= 99999 {
		return x.skipCode(j + n) // features of MySQL that MariaDB does not have
	}
	if v > x.version {
		if x.higher == 0 || v < x.higher {
			x.higher = v
		}
		return x.skipCode(j + n)
	}
	x.inCode = true
	return j + n
}

// plainComment returns the index after a comment; comments do not nest. i is after the opening.
func (x *lexer) plainComment(i int) int {
	b := x.text
	for ; i+1 < len(b); i++ {
		if b[i] == '*' && b[i+1] == '/' {
			return i + 2
		}
	}
	x.unclear = true
	return len(b)
}

// skipCode returns the index after code that is not for this server. Comments in it nest, once.
func (x *lexer) skipCode(i int) int {
	b := x.text
	for ; i+1 < len(b); i++ {
		switch {
		case b[i] == '*' && b[i+1] == '/':
			return i + 2
		case b[i] == '/' && b[i+1] == '*':
			i = x.plainComment(i+2) - 1
		}
	}
	x.unclear = true
	return len(b)
}

// hint returns the index after an optimizer hint; the variables that SET_VAR sets are restored after the statement
// ("Optimizer Hints"). To some servers a hint is a comment, whose end may not stand in quotes.
func (x *lexer) hint(i int) int {
	b := x.text
	end := x.plainComment(i)
	quote := byte(0)
	for _, c := range b[i:max(i, end-2)] {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"' || c == '`'):
			quote = c
		}
	}
	if quote != 0 {
		x.unclear = true
	}
	return end
}
