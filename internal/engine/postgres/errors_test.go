package postgres

import (
	"fmt"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/login"
)

// TestWhyNoConnection checks that a client that waited in vain is told why no server connection could be opened, in the
// server's own words where there are any, and without addresses.
func TestWhyNoConnection(t *testing.T) {
	t.Parallel()
	const last = "The last attempt to connect to the database failed: "
	tests := []struct {
		cause error
		want  string
	}{
		{fmt.Errorf("%w: dial tcp 10.0.0.5:5432: refused", login.ErrUnreachable), last + "server unreachable"},
		{fmt.Errorf("%w: 10.0.0.5 has no certificate", login.ErrTLS), last + "TLS mismatch"},
		{&login.ServerError{Code: "53300", Message: "sorry, too many clients already"}, last + "sorry, too many clients already"},
		{fmt.Errorf("something of ours"), ""},
	}
	for _, tt := range tests {
		e := errorOf(&engine.BorrowError{Cause: wrapLogin(tt.cause)})
		if e.Code != "08000" || e.Detail != tt.want {
			t.Errorf("%v: %s, detail %q; want 08000, %q", tt.cause, e.Code, e.Detail, tt.want)
		}
	}
}

// TestAnswered checks what a failed log-in says of the target's health.
func TestAnswered(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{"28P01": true, "3D000": true, "53300": true, "57P03": false} {
		if got := answered(wrapLogin(&login.ServerError{Code: code})); got != want {
			t.Errorf("%s: %v, want %v", code, got, want)
		}
	}
	if answered(wrapLogin(login.ErrUnreachable)) {
		t.Error("an unreachable server has answered")
	}
}
