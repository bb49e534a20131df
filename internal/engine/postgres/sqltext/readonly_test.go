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
