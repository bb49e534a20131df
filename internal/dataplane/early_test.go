package dataplane

import (
	"io"
	"net"
	"testing"
	"time"

	"forebay/internal/evloop"
)

// A client that is quicker than the configuration of the proxy, whose listener is there first, finds its connection closed.
func TestTooEarly(t *testing.T) {
	t.Parallel()
	loop, err := evloop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	go loop.Run()
	defer loop.Stop()
	px := &proxy{}
	l, err := evloop.Listen(t.Context(), []*evloop.Loop{loop}, "127.0.0.1:0", false, func(a evloop.Accepted) { px.accept(a, "default") }, px.acceptFailed)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v, want %v", err, io.EOF)
	}
	if n := px.stats.open.Load(); n != 0 {
		t.Errorf("%d clients are counted", n)
	}
}
