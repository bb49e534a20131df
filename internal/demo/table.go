package demo

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// row is one line of the comparison: its name, then a cell for each way to each database.
type row struct {
	name  string
	cells []cell
}

type cell struct{ text, colour string }

// lines are what a table is drawn with: left end, crossing of a group, crossing within a group, right end of each rule,
// then the two strokes.
type lines struct{ top, head, middle, bottom, stroke, bar string }

var (
	asciiLines = lines{"++-+", "++++", "++++", "++++", "-", "|"}
	boxLines   = lines{"┌┬─┐", "├┼┬┤", "├┼┼┤", "└┴┴┘", "─", "│"}
)

// table prints rows under a head of two lines: the groups, and in each group the same columns. The first column is aligned to
// the left, the values to the right.
func (s *screen) table(groups, columns []string, rows []row) {
	name, width := 0, 0 // all columns of values are equally wide
	for _, c := range columns {
		width = max(width, utf8.RuneCountInString(c))
	}
	for _, g := range groups { // its columns, and the bars between them
		need := utf8.RuneCountInString(g) - 3*(len(columns)-1)
		width = max(width, (need+len(columns)-1)/len(columns))
	}
	for _, r := range rows {
		name = max(name, utf8.RuneCountInString(r.name))
		for _, c := range r.cells {
			width = max(width, utf8.RuneCountInString(c.text))
		}
	}
	l := asciiLines
	if s.fancy {
		l = boxLines
	}
	var b strings.Builder
	rule := func(joints string) {
		j := []rune(joints)
		fmt.Fprintf(&b, "  %c%s", j[0], strings.Repeat(l.stroke, name+2))
		for range groups {
			for i := range columns {
				fmt.Fprintf(&b, "%c%s", j[1+min(i, 1)], strings.Repeat(l.stroke, width+2))
			}
		}
		fmt.Fprintf(&b, "%c\n", j[3])
	}
	line := func(r row, width int) {
		fmt.Fprintf(&b, "  %s %s", l.bar, s.pad(r.name, name, true, ""))
		for _, c := range r.cells {
			fmt.Fprintf(&b, " %s %s", l.bar, s.pad(c.text, width, false, c.colour))
		}
		fmt.Fprintf(&b, " %s\n", l.bar)
	}
	var above, head row
	groupWidth := len(columns)*(width+3) - 3
	for _, g := range groups {
		above.cells = append(above.cells, cell{centred(g, groupWidth), bold})
		for _, c := range columns {
			head.cells = append(head.cells, cell{c, bold})
		}
	}
	b.WriteByte('\n')
	rule(l.top)
	line(above, groupWidth)
	rule(l.head)
	line(head, width)
	rule(l.middle)
	for _, r := range rows {
		line(r, width)
	}
	rule(l.bottom)
	b.WriteByte('\n')
	io.WriteString(s.w, b.String())
}

// centred puts blanks behind text, so that it stands in the middle when aligned to the right.
func centred(text string, n int) string {
	return text + strings.Repeat(" ", max(n-utf8.RuneCountInString(text), 0)/2)
}

// pad fills text up to n characters, which a colour does not count among.
func (s *screen) pad(text string, n int, left bool, colour string) string {
	fill := strings.Repeat(" ", max(n-utf8.RuneCountInString(text), 0))
	if left {
		return s.colour(colour, text) + fill
	}
	return fill + s.colour(colour, text)
}
