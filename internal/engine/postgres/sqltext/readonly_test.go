package sqltext

import "testing"

func TestDeclaresReadOnly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"BEGIN READ ONLY":                                                   true,
		"begin transaction read only;":                                      true,
		"/* app */ START TRANSACTION READ ONLY -- really\n ;":               true,
		"BEGIN WORK ISOLATION LEVEL REPEATABLE READ, READ ONLY, DEFERRABLE": true,
		"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY":                    true,
		"BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY":                      false,
		"BEGIN READ ONLY\x00":                                               true,
		"BEGIN":                                                             false,
		"BEGIN ISOLATION LEVEL READ COMMITTED":                              false,
		"BEGIN READ WRITE":                                                  false,
		"BEGIN READ ONLY, READ WRITE":                                       false,
		"BEGIN READ ONLY; SELECT 1":                                         false,
		"BEGIN; SET TRANSACTION READ ONLY":                                  false,
		"START READ ONLY":                                                   false,
		"SELECT 'BEGIN READ ONLY'":                                          false,
		"BEGIN /* READ ONLY */":                                             false,
		"BEGIN READ ONLY /*":                                                false,
		"BEGIN \"READ\" ONLY":                                               false,
		"":                                                                  false,
	} {
		if got := DeclaresReadOnly([]byte(text), Standard, false); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
	// Where transactions are SERIALIZABLE by default.
	for text, want := range map[string]bool{
		"BEGIN READ ONLY": false,
		"BEGIN READ ONLY, ISOLATION LEVEL READ COMMITTED":                                true,
		"BEGIN ISOLATION LEVEL SERIALIZABLE, ISOLATION LEVEL REPEATABLE READ, READ ONLY": true,
		"BEGIN ISOLATION LEVEL READ COMMITTED, ISOLATION LEVEL SERIALIZABLE, READ ONLY":  false,
	} {
		if got := DeclaresReadOnly([]byte(text), Standard, true); got != want {
			t.Errorf("SERIALIZABLE by default: %q: %t", text, got)
		}
	}
}

func TestInReadOnly(t *testing.T) {
	t.Parallel()
	type is struct{ ends, writes bool }
	for text, want := range map[string]is{
		"SELECT 1":                {},
		"SELECT 1; SELECT 2;":     {},
		"SELECT 'COMMIT; INSERT'": {},
		"SET TRANSACTION ISOLATION LEVEL READ COMMITTED": {},
		"SET LOCAL statement_timeout = 5":                {},
		"SAVEPOINT a":                                    {},
		"ROLLBACK TO SAVEPOINT a; SELECT 1":              {},
		"COMMIT":                                         {ends: true},
		"ROLLBACK ;":                                     {ends: true},
		"END":                                            {ends: true},
		"PREPARE TRANSACTION 'a'":                        {ends: true},
		"SELECT 1; COMMIT":                               {ends: true},
		"PREPARE a AS SELECT 1":                          {},
		"COMMIT; INSERT INTO t VALUES (1)":               {writes: true},
		"ROLLBACK; SELECT 1":                             {writes: true},
		"COMMIT AND CHAIN; SELECT 1":                     {writes: true},
		"SET TRANSACTION READ WRITE":                     {writes: true},
		"set transaction isolation level read committed, read write": {writes: true},
		"BEGIN READ WRITE":                           {writes: true},
		"START TRANSACTION":                          {},
		"SET transaction_read_only = off":            {writes: true},
		"SET LOCAL \"transaction_read_only\" TO off": {writes: true},
		"RESET transaction_read_only":                {writes: true},
		"SELECT 1 /*":                                {writes: true},
	} {
		ends, writes := InReadOnly([]byte(text), Standard)
		if writes != want.writes || !writes && ends != want.ends {
			t.Errorf("%q: ends %t, writes %t", text, ends, writes)
		}
	}
}
