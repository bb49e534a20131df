package tdsserver

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Kinds of words.
const (
	kEnd    = iota
	kName   // a name or a keyword
	kQuoted // a name in brackets or quotes
	kVar    // @name
	kGlobal // @@name
	kNumber
	kString
	kNString
	kHex
	kOp
)

type word struct {
	kind     int
	s        string // without quotes
	up       string // in capitals, of a kName or kGlobal
	line     int
	from, to int // in the text's runes
}

func syntax(near string, line int) *Error {
	return &Error{Number: 102, Class: 15, State: 1, Message: "Incorrect syntax near '" + near + "'.", Line: line}
}

// lex cuts a text into words; the last one is a kEnd.
func lex(text string, quoted bool) ([]word, *Error) {
	in := []rune(text)
	var out []word
	line := 1
	name := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '#' || r == '@' || r == '$'
	}
	for i := 0; i < len(in); {
		c := in[i]
		at := func(n int) rune {
			if i+n < len(in) {
				return in[i+n]
			}
			return 0
		}
		start := i
		add := func(kind int, s string) {
			out = append(out, word{kind: kind, s: s, up: strings.ToUpper(s), line: line, from: start, to: i})
		}
		// until reads up to a closing character, which stands twice for itself.
		until := func(end rune) (string, bool) {
			var b strings.Builder
			for i < len(in) {
				if in[i] == '\n' {
					line++
				}
				if in[i] == end {
					if i+1 < len(in) && in[i+1] == end {
						i++
					} else {
						i++
						return b.String(), true
					}
				}
				b.WriteRune(in[i])
				i++
			}
			return "", false
		}
		switch {
		case c == '\n':
			line++
			i++
		case unicode.IsSpace(c) || c == 0 || c == '\uFEFF':
			i++
		case c == '-' && at(1) == '-':
			for i < len(in) && in[i] != '\n' {
				i++
			}
		case c == '/' && at(1) == '*':
			depth := 0
			for {
				if i+1 >= len(in) {
					return nil, &Error{Number: 113, Class: 15, State: 1, Message: "Missing end comment mark '*/'.", Line: line}
				}
				if in[i] == '/' && in[i+1] == '*' {
					depth++
					i += 2
				} else if in[i] == '*' && in[i+1] == '/' {
					depth--
					i += 2
					if depth == 0 {
						break
					}
				} else {
					if in[i] == '\n' {
						line++
					}
					i++
				}
			}
		case c == '\'' || (c == 'N' || c == 'n') && at(1) == '\'' || c == '"' && !quoted:
			kind := kString
			if c != '\'' && c != '"' {
				kind = kNString
				i++
			}
			end := in[i]
			i++
			s, ok := until(end)
			if !ok {
				return nil, &Error{Number: 105, Class: 15, State: 1, Message: "Unclosed quotation mark after the character string.", Line: line}
			}
			add(kind, s)
		case c == '[' || c == '"':
			i++
			end := ']'
			if c == '"' {
				end = '"'
			}
			s, ok := until(end)
			if !ok {
				return nil, &Error{Number: 105, Class: 15, State: 1, Message: "Unclosed quotation mark after the character string.", Line: line}
			}
			add(kQuoted, s)
		case c == '0' && (at(1) == 'x' || at(1) == 'X'):
			for i += 2; i < len(in) && strings.ContainsRune("0123456789abcdefABCDEF", in[i]); {
				i++
			}
			add(kHex, string(in[start+2:i]))
		case unicode.IsDigit(c) || c == '.' && unicode.IsDigit(at(1)):
			for i < len(in) && (unicode.IsDigit(in[i]) || in[i] == '.' || (in[i] == 'e' || in[i] == 'E') || (in[i] == '-' || in[i] == '+') && (in[i-1] == 'e' || in[i-1] == 'E')) {
				i++
			}
			add(kNumber, string(in[start:i]))
		case name(c):
			for i < len(in) && name(in[i]) {
				i++
			}
			s := string(in[start:i])
			switch {
			case strings.HasPrefix(s, "@@"):
				add(kGlobal, s)
			case strings.HasPrefix(s, "@"):
				add(kVar, s)
			default:
				add(kName, s)
			}
		default:
			i++
			if two := string(in[start:min(i+1, len(in))]); slices.Contains([]string{"<=", ">=", "<>", "!=", "+=", "-="}, two) {
				i++
			}
			add(kOp, string(in[start:i]))
		}
	}
	return append(out, word{kind: kEnd, line: line, from: len(in), to: len(in)}), nil
}

// parser goes through the words of a text. What is wrong with it is a panic with an *Error, which parse catches.
type parser struct {
	text  []rune
	words []word
	i     int
}

func (p *parser) cur() word  { return p.words[p.i] }
func (p *parser) peek() word { return p.words[min(p.i+1, len(p.words)-1)] }

func (p *parser) fail() {
	w := p.cur()
	panic(syntax(w.s, w.line))
}

// kw takes keywords that stand here one after the other, all or none.
func (p *parser) kw(words ...string) bool {
	if !p.isKw(words...) {
		return false
	}
	p.i += len(words)
	return true
}

func (p *parser) isKw(words ...string) bool {
	for n, w := range words {
		if p.i+n >= len(p.words) || p.words[p.i+n].kind != kName || p.words[p.i+n].up != w {
			return false
		}
	}
	return true
}

func (p *parser) oneOf(words ...string) string {
	for _, w := range words {
		if p.kw(w) {
			return w
		}
	}
	return ""
}

func (p *parser) op(s string) bool {
	if w := p.cur(); w.kind == kOp && w.s == s {
		p.i++
		return true
	}
	return false
}

func (p *parser) isOp(s string) bool { w := p.cur(); return w.kind == kOp && w.s == s }

func (p *parser) need(ok bool) {
	if !ok {
		p.fail()
	}
}

// reserved cannot be an alias, or begin an expression.
var reserved = strings.Fields(`SELECT FROM WHERE ORDER GROUP HAVING UNION INTO VALUES SET INSERT UPDATE DELETE BEGIN END COMMIT ROLLBACK
	SAVE IF ELSE WHILE DECLARE EXEC EXECUTE PRINT RAISERROR THROW WAITFOR USE CREATE DROP ALTER TRUNCATE RETURN FETCH OPEN CLOSE
	DEALLOCATE AND OR NOT IN IS LIKE BETWEEN ON AS ASC DESC WHEN THEN FOR WITH TRY CATCH DBCC OPTION OFFSET BREAK CONTINUE KILL GO
	OUTPUT DEFAULT`)

func isReserved(w word) bool { return w.kind == kName && slices.Contains(reserved, w.up) }

// ident takes a name.
func (p *parser) ident() string {
	w := p.cur()
	p.need(w.kind == kQuoted || w.kind == kName && !isReserved(w))
	p.i++
	return w.s
}

// parts takes a name with its parts; those left out are empty.
func (p *parser) parts() []string {
	out := []string{p.ident()}
	for p.op(".") {
		for p.op(".") {
			out = append(out, "")
		}
		w := p.cur()
		p.need(w.kind == kQuoted || w.kind == kName)
		p.i++
		out = append(out, w.s)
	}
	return out
}

// typ takes a type.
func (p *parser) typ() sqlType {
	parts := p.parts()
	name := parts[len(parts)-1]
	if strings.EqualFold(name, "double") && p.kw("PRECISION") {
		name = "float"
	}
	if p.kw("VARYING") {
		name = "var" + name
	}
	var args []int
	if p.op("(") {
		for {
			if p.kw("MAX") {
				args = append(args, -1)
			} else {
				args = append(args, p.integer())
			}
			if !p.op(",") {
				break
			}
		}
		p.need(p.op(")"))
	}
	t, ok := typeNamed(name, args)
	if !ok {
		panic(&Error{Number: 2715, Class: 16, State: 6, Message: "Column, parameter, or variable #1: Cannot find data type " + name + ".", Line: p.cur().line})
	}
	return t
}

func (p *parser) integer() int {
	w := p.cur()
	p.need(w.kind == kNumber)
	p.i++
	var n int
	if _, err := fmt.Sscan(w.s, &n); err != nil {
		panic(syntax(w.s, w.line))
	}
	return n
}

// balanced passes over parentheses and what is in them.
func (p *parser) balanced() {
	p.need(p.op("("))
	for depth := 1; depth > 0; p.i++ {
		p.need(p.cur().kind != kEnd)
		if p.isOp("(") {
			depth++
		}
		if p.isOp(")") {
			depth--
		}
	}
}
