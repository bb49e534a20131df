package mysql

import (
	"testing"

	"forebay/internal/engine/mysql/sqltext"
)

// Only of a statement that is one call, and nothing else, does the answer tell what has become of the lock.
func TestLockCall(t *testing.T) {
	t.Parallel()
	mode := sqltext.Mode{Version: 80036, SQLModeKnown: true, Charset: sqltext.UTF8}
	for sql, want := range map[string]lockCall{
		"SELECT GET_LOCK('a', 10)":                            takesLock,
		"select get_lock(?, ?)":                               takesLock,
		"SELECT GET_LOCK( 'a' , -1 ) AS got;":                 takesLock,
		"SELECT GET_LOCK(@name, @timeout) l":                  takesLock,
		"/* x */ SELECT RELEASE_LOCK('a')":                    freesLock,
		"SELECT RELEASE_LOCK(?) `freed`":                      freesLock,
		"SELECT RELEASE_ALL_LOCKS()":                          freesAllLocks,
		"SELECT GET_LOCK('a', 10), 1":                         noLockCall,
		"SELECT GET_LOCK('a', 10) + 1":                        noLockCall,
		"SELECT GET_LOCK('a', 10) = 1":                        noLockCall,
		"SELECT NOT GET_LOCK('a', 10)":                        noLockCall,
		"SELECT GET_LOCK('a', 10) LIMIT 0":                    noLockCall,
		"SELECT GET_LOCK('a', 10) WHERE 0":                    noLockCall,
		"SELECT GET_LOCK('a', 10) FROM t":                     noLockCall,
		"SELECT GET_LOCK('a', 10) INTO @x":                    noLockCall,
		"SELECT GET_LOCK(f('a'), 10)":                         noLockCall,
		"SELECT GET_LOCK((SELECT 'a'), 10)":                   noLockCall,
		"SELECT GET_LOCK('a', 10); SELECT 1":                  noLockCall,
		"SELECT GET_LOCK('a', 10) AS release_all_locks":       takesLock,
		"SELECT RELEASE_ALL_LOCKS(), GET_LOCK('a', 1)":        noLockCall,
		"SELECT RELEASE_ALL_LOCKS() FROM t":                   noLockCall,
		"SELECT RELEASE_LOCK('a') OR 1":                       noLockCall,
		"SELECT IF(0, RELEASE_ALL_LOCKS(), 1)":                noLockCall,
		"DO GET_LOCK('a', 10)":                                noLockCall,
		"SELECT GET_LOCK('a', 10) UNION ALL SELECT 0":         noLockCall,
		"SELECT GET_LOCK('a', RELEASE_LOCK('b'))":             noLockCall,
		"SELECT DISTINCT GET_LOCK('a', 10)":                   noLockCall,
		"SELECT SQL_CALC_FOUND_ROWS GET_LOCK('a', 10)":        noLockCall,
		"WITH x AS (SELECT 1) SELECT GET_LOCK('a', 10)":       noLockCall,
		"EXPLAIN SELECT GET_LOCK('a', 10)":                    noLockCall,
		"SELECT GET_LOCK('a', 10) FOR UPDATE":                 noLockCall,
		"SELECT GET_LOCK('a', 10) PROCEDURE ANALYSE()":        noLockCall,
		"SELECT GET_LOCK('a', 10) having 0":                   noLockCall,
		"SELECT GET_LOCK('a', 10) AS l ORDER BY SLEEP(5) > 0": noLockCall,
	} {
		var a sqltext.Analysis
		sqltext.Analyze([]byte(sql), mode, &a)
		digest := string(sqltext.AppendDigest(nil, []byte(sql), mode, maxDigest))
		if got := lockCallOf(&a, digest); got != want {
			t.Errorf("%s (digest %q): %d, want %d", sql, digest, got, want)
		}
	}
}

func TestLockAnswer(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]lockAnswer{"\x011": lockYes, "\x010": lockNo, "\xfb": lockNo, "\x012": noLockAnswer, "\x0211": noLockAnswer, "": noLockAnswer} {
		if got := lockAnswerOf([]byte(row), false); got != want {
			t.Errorf("%q: %d, want %d", row, got, want)
		}
	}
	for row, want := range map[string]lockAnswer{
		"\x00\x00\x01\x00\x00\x00": lockYes, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00": lockNo, "\x00\x04": lockNo, "\x00\x00\x01": lockYes,
		"\x00\x00\x02\x00\x00\x00": noLockAnswer, "\x00\x00\x01\x01\x00\x00": noLockAnswer, "\x00": noLockAnswer, "\x00\x00": noLockAnswer, "": noLockAnswer,
	} {
		if got := lockAnswerOf([]byte(row), true); got != want {
			t.Errorf("binary %q: %d, want %d", row, got, want)
		}
	}
}
