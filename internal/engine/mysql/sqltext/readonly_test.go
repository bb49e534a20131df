package sqltext

import "testing"

func TestDeclaresReadOnly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"START TRANSACTION READ ONLY":                            true,
		"start transaction with consistent snapshot, read only;": true,
		"/* app */ START TRANSACTION READ ONLY # really":         true,
		"START TRANSACTION":                                      false,
		"START TRANSACTION READ WRITE":                           false,
		"BEGIN":                                                  false,
		"START TRANSACTION READ ONLY; SELECT 1":                  false,
		"START TRANSACTION /*!99999 READ ONLY */":                false,
		"START TRANSACTION /* READ ONLY */":                      false,
		"SET TRANSACTION READ ONLY":                              false,
		"START GROUP_REPLICATION":                                false,
		"":                                                       false,
	} {
		if got := DeclaresReadOnly([]byte(text), Mode{}); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func TestEndsTransaction(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"COMMIT":                           true,
		"/* app */ rollback ;":             true,
		"COMMIT AND CHAIN":                 true,
		"ROLLBACK TO SAVEPOINT a":          true,
		"SAVEPOINT a":                      true,
		"RELEASE SAVEPOINT a":              true,
		"COMMIT; INSERT INTO t VALUES (1)": false,
		"COMMIT; COMMIT":                   false,
		"BEGIN":                            false,
		"START TRANSACTION":                false,
		"":                                 false,
	} {
		if got := EndsTransaction([]byte(text), Mode{}); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
	if !Calls([]byte("/* app */ call p()"), Mode{}) || Calls([]byte("SELECT p()"), Mode{}) {
		t.Error("what calls a procedure is not told from what does not")
	}
}
