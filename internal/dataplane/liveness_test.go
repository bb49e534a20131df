package dataplane_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

var seed = flag.Uint64("seed", 0, "of TestLiveness; 0: a new one")

// Whatever clients and servers do, and however slowly they take what they are sent, each request that has an answer gets one.
func TestLiveness(t *testing.T) {
	t.Parallel()
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("-seed %d", s)
	for loops := 1; loops <= 2; loops++ {
		t.Run(fmt.Sprintf("%d loops", loops), func(t *testing.T) {
			t.Parallel()
			w := newToyWorld(t, toyOptions{loops: loops, pool: 3})
			var all sync.WaitGroup
			for i := range 16 {
				l := &liveClient{w: w, rand: rand.New(rand.NewPCG(s, uint64(i))), as: fmt.Sprintf("app%d toys 0 0 %t", i%4/3, i%3 == 0)}
				all.Go(l.run)
			}
			over := make(chan struct{})
			var dropping sync.WaitGroup
			dropping.Go(func() {
				for {
					select {
					case <-over:
						return
					case <-time.After(100 * time.Millisecond):
						w.db.drop()
					}
				}
			})
			all.Wait()
			close(over)
			dropping.Wait()
		})
	}
}

// liveClient is a client that does one thing after another.
type liveClient struct {
	w    *toyWorld
	rand *rand.Rand
	as   string
	c    *toyClient
}

func (l *liveClient) run() {
	for range 30 {
		if l.c == nil {
			l.c = l.w.login(l.as)
		}
		_ = l.c.SetDeadline(time.Now().Add(toyLimit))
		l.something()
		if l.w.t.Failed() {
			return
		}
	}
}

func (l *liveClient) something() {
	switch n := l.rand.IntN(100); {
	case n < 5: // leaves in the middle
		l.ask(0, l.requests()...)
		l.c.Close()
		l.c = nil
	case n < 20:
		l.ask(0, "mute "+strings.Repeat("m", l.rand.IntN(200<<10)))
	case n < 30:
		l.ask(1, "ping")
	case n < 35:
		l.ask(1, fmt.Sprintf("killquery %d", l.c.pid+uint32(l.rand.IntN(5))))
	case n < 40: // idles
		time.Sleep(time.Duration(l.rand.IntN(30)) * time.Millisecond)
	default:
		r := l.requests()
		l.ask(len(r), r...)
	}
}

// requests are some that have an answer each, outside a transaction at their end.
func (l *liveClient) requests() []string {
	var r []string
	for range 1 + l.rand.IntN(4) {
		switch l.rand.IntN(4) {
		case 0:
			r = append(r, "begin", "write", "commit")
		case 1:
			r = append(r, fmt.Sprintf("big %d", l.rand.IntN(500<<10)))
		default:
			r = append(r, "who")
		}
	}
	return r
}

// ask says all this, at once or in pieces, and waits for so many answers, slowly or not.
func (l *liveClient) ask(answers int, lines ...string) {
	text := strings.Join(lines, "\n") + "\n"
	for text != "" {
		n := len(text)
		if l.rand.IntN(3) == 0 {
			n = 1 + l.rand.IntN(n)
		}
		if _, err := l.c.Write([]byte(text[:n])); err != nil {
			l.w.t.Errorf("%s: write: %v", l.as, err)
			return
		}
		if text = text[n:]; text != "" {
			time.Sleep(time.Duration(l.rand.IntN(3)) * time.Millisecond)
		}
	}
	for i := range answers {
		if l.rand.IntN(5) == 0 {
			time.Sleep(time.Duration(l.rand.IntN(5)) * time.Millisecond)
		}
		if _, err := l.c.r.ReadString('\n'); err != nil {
			l.w.t.Errorf("%s: answer %d of %d to %.40q: %v", l.as, i, answers, lines, err)
			return
		}
	}
}
