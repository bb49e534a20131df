package tdsserver

import (
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// column is a table's.
type column struct {
	name     string
	t        sqlType
	notNull  bool
	identity bool
	unique   bool // alone is a key
	def      *expr
}

// row's values are replaced as a whole, never one by one: who reads holds them without a lock.
type row struct{ vals []any }

type table struct {
	name  string
	cols  []column
	rows  []*row
	next  int64 // identity
	step  int64
	last  int64
	key   []int // columns of the primary key, where it has more than one
	owner *session
}

// store is all that the sessions share. There are no locks but application locks: a session sees what another one has not
// committed.
type store struct {
	mu     sync.Mutex
	dbs    map[string]*database // does not change; what is in a database is guarded by mu
	global map[string]*table    // guarded by mu; ##tables
	locks  map[string][]*holder // guarded by mu
	freed  chan struct{}        // guarded by mu; closed when a lock is released

	descriptors atomic.Uint64
}

type database struct {
	name   string
	tables map[string]*table
	procs  map[string]*procedure
	made   int64 // procedures, as their object_id counts
}

// holder holds an application lock.
type holder struct {
	s           *session
	shared      bool
	transaction bool
	count       int
}

func newStore(o Options) *store {
	st := &store{dbs: map[string]*database{}, global: map[string]*table{}, locks: map[string][]*holder{}, freed: make(chan struct{})}
	st.descriptors.Store(0x3600000000)
	for _, name := range append([]string{"master", "tempdb"}, o.Databases...) {
		st.dbs[strings.ToLower(name)] = &database{name: name, tables: map[string]*table{"alltypes": allTypes()}, procs: map[string]*procedure{}}
	}
	return st
}

// enter locks mu for a session, which may have locked it already: an expression inside of a change may look into the store.
func (st *store) enter(s *session) (leave func()) {
	if s.inside {
		return func() {}
	}
	st.mu.Lock()
	s.inside = true
	return func() {
		s.inside = false
		st.mu.Unlock()
	}
}

func (st *store) descriptor() uint64 { return st.descriptors.Add(1) }

// find is the name of a database as it is written, "" where there is none.
func (st *store) find(name string) string {
	if db := st.dbs[strings.ToLower(name)]; db != nil {
		return db.name
	}
	return ""
}

// undo runs what undoes, last first.
func (st *store) undo(all []func()) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, f := range slices.Backward(all) {
		f()
	}
}

// forget drops what a session has in the store.
func (st *store) forget(s *session) {
	st.mu.Lock()
	for name, t := range st.global {
		if t.owner == s {
			delete(st.global, name)
		}
	}
	st.mu.Unlock()
	st.release(s, false)
}

// release lets go of a session's application locks, or of those of its transaction.
func (st *store) release(s *session, transaction bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for name, all := range st.locks {
		st.locks[name] = slices.DeleteFunc(all, func(h *holder) bool { return h.s == s && (!transaction || h.transaction) })
		if len(st.locks[name]) == 0 {
			delete(st.locks, name)
		}
	}
	close(st.freed)
	st.freed = make(chan struct{})
}

// lock tries to take an application lock. Where it cannot, the channel closes when it may be worth another try.
func (st *store) lock(s *session, name string, shared, transaction bool) (ok bool, wait <-chan struct{}) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, h := range st.locks[name] {
		if h.s != s && (!shared || !h.shared) {
			return false, st.freed
		}
	}
	for _, h := range st.locks[name] {
		if h.s == s && h.transaction == transaction {
			h.count++
			h.shared = h.shared && shared
			return true, nil
		}
	}
	st.locks[name] = append(st.locks[name], &holder{s, shared, transaction, 1})
	return true, nil
}

func (st *store) unlock(s *session, name string, transaction bool) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, h := range st.locks[name] {
		if h.s == s && h.transaction == transaction {
			if h.count--; h.count == 0 {
				st.locks[name] = slices.Delete(st.locks[name], i, i+1)
				close(st.freed)
				st.freed = make(chan struct{})
			}
			return true
		}
	}
	return false
}

// lookup finds a table by its name's parts. mu is held.
func (st *store) lookup(s *session, parts []string) (*table, map[string]*table) {
	name := strings.ToLower(parts[len(parts)-1])
	switch {
	case strings.HasPrefix(name, "##"):
		return st.global[name], st.global
	case strings.HasPrefix(name, "#"):
		return s.temp[name], s.temp
	}
	db := s.database
	if len(parts) >= 3 && parts[len(parts)-3] != "" {
		db = parts[len(parts)-3]
	}
	d := st.dbs[strings.ToLower(db)]
	if d == nil {
		return nil, nil
	}
	return d.tables[name], d.tables
}

// violation is the error of a row that would make a key appear twice; nil: it does not. mu is held.
func (t *table) violation(c *codec, vals []any, but *row) *Error {
	same := func(cols []int) bool {
		for _, r := range t.rows {
			if r == but {
				continue
			}
			if !slices.ContainsFunc(cols, func(i int) bool {
				if vals[i] == nil || r.vals[i] == nil {
					return vals[i] != nil || r.vals[i] != nil
				}
				n, err := c.compare(value{t.cols[i].t, vals[i]}, value{t.cols[i].t, r.vals[i]})
				return err != nil || n != 0
			}) {
				return true
			}
		}
		return false
	}
	var keys [][]int
	if len(t.key) > 0 {
		keys = append(keys, t.key)
	}
	for i, col := range t.cols {
		if col.unique {
			keys = append(keys, []int{i})
		}
	}
	for _, k := range keys {
		if same(k) {
			var shown []string
			for _, i := range k {
				shown = append(shown, value{t.cols[i].t, vals[i]}.String())
			}
			return &Error{Number: 2627, Class: 14, State: 1, Message: "Violation of PRIMARY KEY constraint 'PK_" + t.name + "'. Cannot insert duplicate key in object 'dbo." + t.name + "'. The duplicate key value is (" + strings.Join(shown, ", ") + ")."}
		}
	}
	return nil
}

// insert adds a row and keeps how to undo it. mu is held.
func (t *table) insert(s *session, vals []any) *Error {
	for i, col := range t.cols {
		if col.notNull && vals[i] == nil {
			return &Error{Number: 515, Class: 16, State: 2, Message: "Cannot insert the value NULL into column '" + col.name + "', table '" + s.database + ".dbo." + t.name + "'; column does not allow nulls. INSERT fails."}
		}
	}
	if e := t.violation(&s.codec, vals, nil); e != nil {
		return e
	}
	r := &row{vals}
	t.rows = append(t.rows, r)
	s.undo = append(s.undo, func() { t.remove(r) })
	return nil
}

func (t *table) remove(r *row) {
	t.rows = slices.DeleteFunc(slices.Clone(t.rows), func(x *row) bool { return x == r })
}

// AllTypes are the columns of dbo.alltypes, in their order.
func allTypes() *table {
	t := &table{name: "alltypes", key: nil, step: 1}
	add := func(name, typ string, notNull bool, args ...int) {
		st, ok := typeNamed(typ, args)
		if !ok {
			panic("tdsserver: no type " + typ)
		}
		t.cols = append(t.cols, column{name: name, t: st, notNull: notNull, unique: notNull})
	}
	add("id", "int", true)
	add("c_bit", "bit", false)
	add("c_tinyint", "tinyint", false)
	add("c_smallint", "smallint", false)
	add("c_int", "int", false)
	add("c_bigint", "bigint", false)
	add("c_real", "real", false)
	add("c_float", "float", false)
	add("c_decimal", "decimal", false, 18, 4)
	add("c_numeric", "numeric", false, 38, 10)
	add("c_smallmoney", "smallmoney", false)
	add("c_money", "money", false)
	add("c_smalldatetime", "smalldatetime", false)
	add("c_datetime", "datetime", false)
	add("c_date", "date", false)
	add("c_time", "time", false, 7)
	add("c_datetime2", "datetime2", false, 3)
	add("c_datetimeoffset", "datetimeoffset", false, 7)
	add("c_uniqueidentifier", "uniqueidentifier", false)
	add("c_char", "char", false, 10)
	add("c_varchar", "varchar", false, 50)
	add("c_nchar", "nchar", false, 10)
	add("c_nvarchar", "nvarchar", false, 50)
	add("c_varcharmax", "varchar", false, -1)
	add("c_nvarcharmax", "nvarchar", false, -1)
	add("c_binary", "binary", false, 8)
	add("c_varbinary", "varbinary", false, 50)
	add("c_varbinarymax", "varbinary", false, -1)
	add("c_text", "text", false)
	add("c_ntext", "ntext", false)
	add("c_image", "image", false)
	add("c_xml", "xml", false)
	add("c_variant", "sql_variant", false)
	at := time.Date(2024, 2, 29, 13, 14, 15, 123_000_000, time.UTC)
	n := func(s string) *big.Int {
		i, _ := new(big.Int).SetString(s, 10)
		return i
	}
	long := strings.Repeat("forebay ", 2500)
	full := []any{
		int64(1), true, int64(255), int64(-32768), int64(2147483647), int64(-9223372036854775808), 1.5, 3.141592653589793,
		decimal{n("-12345678901234"), 4},
		decimal{n("1234567890123456789012345678901234567"), 10},
		money(-123456), money(9223372036854775807),
		at.Truncate(time.Minute), at, at.Truncate(24 * time.Hour), epoch1.Add(13*time.Hour + 14*time.Minute + 15*time.Second + 1234567*100),
		at, time.Date(2024, 2, 29, 13, 14, 15, 123456700, time.FixedZone("", 5*3600+1800)),
		guid{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF},
		"char      ", "varchar é", "nchar 水   ", "nvarchar 水𝄞", long, long + "水",
		[]byte{1, 2, 3, 4, 5, 6, 7, 8},
		[]byte{0xDE, 0xAD},
		[]byte(long),
		"text é", "ntext 水",
		[]byte{0xCA, 0xFE},
		"<a>水</a>",
		variant{value{typeInt, int64(42)}},
	}
	null := make([]any, len(t.cols))
	null[0] = int64(2)
	third := slices.Clone(full)
	third[0] = int64(3)
	for i, col := range t.cols {
		if i > 0 && i%2 == 0 {
			third[i] = nil
		}
		if col.t.id == tVariant {
			third[i] = variant{value{nvarchar(5), "hello"}}
		}
		if i%2 == 1 && col.t.plp() {
			third[i] = map[bool]any{true: []byte{}, false: ""}[col.t.binary()]
		}
	}
	t.rows = []*row{{full}, {null}, {third}}
	return t
}
