package e2e

import "testing"

// TestSettingsInEncodings checks that settings are carried as the characters that they are, between clients of different
// encodings and for one that changes its own.
func TestSettingsInEncodings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	role := w.db.User + "_é"
	w.super(`CREATE ROLE "` + role + `"; GRANT "` + role + `" TO ` + w.db.User)
	t.Cleanup(func() { w.super(`DROP ROLE "` + role + `"`) })
	const state = "SELECT length(current_setting('app.x')), ascii(current_setting('app.x')), ascii(right(current_user, 1))"
	utf, latin, turn := w.open(), w.open(), w.open("options", "-c app.x=ö")
	utf.must("SET app.x = 'é'")
	utf.must(`SET search_path = 'ß'`)
	utf.must(`SET ROLE "` + role + `"`)
	latin.must("SET client_encoding = 'LATIN1'")
	latin.must("SET app.x = '\xfc'")
	turn.must("SET client_encoding = 'LATIN1'")
	for range 2 {
		for c, want := range map[*client]string{utf: "1,233,233", latin: "1,252,49", turn: "1,246,49"} {
			if want[len(want)-2:] == "49" {
				want = want[:len(want)-2] + c.must("SELECT ascii(right(session_user, 1))")
			}
			if got := c.must(state); got != want {
				t.Errorf("a client of %s sees %s, want %s", c.ParameterStatus("client_encoding"), got, want)
			}
		}
		if got := utf.must("SHOW search_path"); got != `"ß"` {
			t.Errorf("search_path is %s", got)
		}
	}
}

// TestBackslashInEncodings checks that nothing of a setting's value is run, where another client's encoding has a backslash
// as part of a character.
func TestBackslashInEncodings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	a, b, other := w.open(), w.open(), w.open()
	const value = `Ã\',false); SET search_path = evil; --`
	if r := b.params("SELECT set_config('app.x', $1, false)", value); r.Err != nil {
		t.Fatal(r.Err)
	}
	a.must("SET backslash_quote = on")
	a.must("SET client_encoding = 'SJIS'")
	if got := b.must("SHOW app.x"); got != value {
		t.Errorf("app.x is %s", got)
	}
	if got := other.must("SHOW search_path"); got != `"$user", public` {
		t.Errorf("another client sees search_path %s", got)
	}
}

// TestPreparedInEncodings checks that what EXECUTE may leave behind is known, where the client has changed its encoding, and
// with it what its PREPARE means, and the statement is made on another server connection.
func TestPreparedInEncodings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	other := w.open()
	var numbers []string
	for range 2 {
		c := w.open()
		c.must(`PREPARE p AS SELECT E'Ã\', setseed(0.5)::text --'`)
		w.pins(c) // so that its session was looked at before
		c.must("SET client_encoding = 'SJIS'")
		other.must("DEALLOCATE ALL")
		other.must("PREPARE q AS SELECT 1")
		other.must("EXECUTE q")
		c.must("EXECUTE p")
		c.leave()
		numbers = append(numbers, other.must("SELECT random()"))
	}
	if numbers[0] == numbers[1] {
		t.Errorf("another client's random numbers were seeded: %v", numbers)
	}
}
