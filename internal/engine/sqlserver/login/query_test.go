package login

import (
	"bytes"
	"errors"
	"testing"

	"forebay/internal/wire/tds"
)

// What rows take of memory has a bound, where they are nothing but a token, too.
func TestRowsWithoutValues(t *testing.T) {
	t.Parallel()
	nulls := append([]byte{tokenNBCRow}, bytes.Repeat([]byte{0xFF}, maxColumns/8)...)
	for what, a := range map[string]*answerReader{
		"no columns":       {b: []byte{0xD1, 0xD1}},
		"nothing but NULL": {b: bytes.Repeat(nulls, 3), columns: maxColumns, max: make([]bool, maxColumns), cells: maxCells - 2*maxColumns},
	} {
		a.s = &Server{Version: tds.V74}
		var m *tds.MalformedError
		if err := a.run(); !errors.As(err, &m) || m.Structure != "ROW" {
			t.Errorf("%s: %v, %d rows", what, err, len(a.rows))
		}
	}
}
