package evloop_test

import (
	"testing"

	"forebay/internal/evloop"
)

// Where clients speak first, one that has said nothing wakes nobody: who came later and has is taken in before it.
func TestSilentClientsAreTakenInLast(t *testing.T) {
	t.Parallel()
	came := make(chan string, 2)
	l, err := evloop.Listen(t.Context(), startLoops(t, 1), "127.0.0.1:0", true, func(a evloop.Accepted) {
		came <- a.Net.RemoteAddr().String()
		a.Net.Close()
	}, func(err error) { t.Errorf("accept: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	silent, talkative := connect(t, l), connect(t, l)
	if _, err := talkative.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if first := <-came; first != talkative.LocalAddr().String() {
		t.Errorf("%s was taken in first, which has said nothing", first)
	}
	if second := <-came; second != silent.LocalAddr().String() {
		t.Errorf("%s was taken in, not the silent one", second)
	}
}
