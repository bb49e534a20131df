package controlplane

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Table is the rows of one kind, by key. Rows are never changed, only replaced. The zero Table is empty.
//
// A copy of a Table shares what it holds. Whichever is changed first gets rows and keys of its own by that.
type Table[T any] struct {
	rows map[string]*T
	keys []string // sorted
	own  bool     // rows and keys are this Table's alone
}

// Get returns a row, or nil.
func (t *Table[T]) Get(key string) *T { return t.rows[key] }

// Len is the number of rows.
func (t *Table[T]) Len() int { return len(t.rows) }

// All goes through the rows in the order of their keys.
func (t *Table[T]) All() iter.Seq2[string, *T] {
	return func(yield func(string, *T) bool) {
		for _, k := range t.keys {
			if !yield(k, t.rows[k]) {
				return
			}
		}
	}
}

// Find returns the first row for which ok holds, or nil.
func (t *Table[T]) Find(ok func(*T) bool) *T {
	for _, row := range t.All() {
		if ok(row) {
			return row
		}
	}
	return nil
}

// TxTable is a Table that a transaction can change.
type TxTable[T any] struct {
	Table[T]
	kind    string
	changed map[string]*T // nil value: deleted
}

// Put sets a row. The caller does not change it afterwards.
func (t *TxTable[T]) Put(key string, row *T) { t.set(key, row) }

// Delete removes a row, if there is one.
func (t *TxTable[T]) Delete(key string) {
	if t.rows[key] != nil {
		t.set(key, nil)
	}
}

func (t *TxTable[T]) set(key string, row *T) {
	if t.changed == nil {
		t.changed = map[string]*T{}
	}
	t.changed[key] = row
	t.Table.set(key, row)
}

// share returns a copy that stays as it is, whatever becomes of t.
func (t *Table[T]) share() Table[T] {
	t.seal()
	return *t
}

func (t *Table[T]) set(key string, row *T) {
	if !t.own {
		*t = Table[T]{rows: maps.Clone(t.rows), keys: slices.Clone(t.keys), own: true}
		if t.rows == nil {
			t.rows = map[string]*T{}
		}
	}
	i, there := slices.BinarySearch(t.keys, key)
	switch {
	case row == nil && there:
		t.keys = slices.Delete(t.keys, i, i+1)
		delete(t.rows, key)
	case row != nil:
		if !there {
			t.keys = slices.Insert(t.keys, i, key)
		}
		t.rows[key] = row
	}
}

// table is a Table whatever its rows are: what loading needs of it.
type table interface {
	decode(key string, value []byte) error // nil value: deleted
	seal()
}

// seal ends the changes of a table that others are about to see.
func (t *Table[T]) seal() { t.own = false }

func (t *Table[T]) decode(key string, value []byte) error {
	if value == nil {
		t.set(key, nil)
		return nil
	}
	row := new(T)
	if err := json.Unmarshal(value, row); err != nil {
		return fmt.Errorf("row %q: %w", key, err)
	}
	t.set(key, row)
	return nil
}
