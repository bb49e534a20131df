package e2e

import "testing"

// TestDateStyle checks that a client that sets one half of DateStyle has the other half of its own, not of the client that
// had the server connection before.
func TestDateStyle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	half, whole, given := w.open(), w.open(), w.open("datestyle", "ISO")
	half.must("SET datestyle = 'DMY'")
	whole.must("SET datestyle = 'German'")
	whole.must("SET datestyle = 'DMY'")
	for range 2 {
		for c, want := range map[*client]string{half: "ISO, DMY", whole: "German, DMY", given: "ISO, MDY"} {
			if got := c.must("SHOW datestyle") + "," + c.ParameterStatus("DateStyle"); got != want+","+want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	}
}
