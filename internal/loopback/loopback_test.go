package loopback_test

import (
	"errors"
	"testing"

	"forebay/internal/loopback"
)

func TestListen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		address string
		remote  bool
		want    error
	}{
		{"127.0.0.1:0", false, nil},
		{"localhost:0", false, nil},
		{"0.0.0.0:0", false, loopback.ErrNotLoopback},
		{":0", false, loopback.ErrNotLoopback},
		{"0.0.0.0:0", true, nil},
	}
	for _, tt := range tests {
		l, err := loopback.Listen(t.Context(), tt.address, tt.remote)
		if !errors.Is(err, tt.want) {
			t.Errorf("Listen(%q, %t): got %v, want %v", tt.address, tt.remote, err, tt.want)
		}
		if err == nil {
			l.Close()
		}
	}
}

func TestListenInUse(t *testing.T) {
	t.Parallel()
	l, err := loopback.Listen(t.Context(), "127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := loopback.Listen(t.Context(), l.Addr().String(), false); err == nil || errors.Is(err, loopback.ErrNotLoopback) {
		t.Errorf("an address in use: got %v", err)
	}
}
