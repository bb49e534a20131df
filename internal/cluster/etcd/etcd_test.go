package etcd_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"forebay/internal/cluster"
	"forebay/internal/cluster/etcd"
	"forebay/internal/cluster/storetest"
)

// killed has this test binary play a Forebay that writes until it is killed: the folder to write to.
const killed = "FOREBAY_TEST_ETCD_WRITER"

// counted and filled have it count, and fill the disk: the folder.
const (
	counted = "FOREBAY_TEST_ETCD_COUNT"
	filled  = "FOREBAY_TEST_ETCD_FILL"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killed); dir != "" {
		writeForever(dir)
	}
	if dir := os.Getenv(counted); dir != "" {
		count(dir)
	}
	if dir := os.Getenv(filled); dir != "" {
		fill(dir)
	}
	os.Exit(m.Run())
}

func embed(t *testing.T, dir string) *etcd.Store {
	t.Helper()
	s, err := etcd.Embed(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) cluster.Store { return embed(t, t.TempDir()) })
}

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := embed(t, dir)
	if err := s.Writable(t.Context()); err != nil {
		t.Error(err)
	}
	rev, err := s.Commit(t.Context(), cluster.Txn{Ops: []cluster.Op{{Key: "/k", Value: []byte("v")}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Embed(t.Context(), dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second member in the same folder: got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir + "/etcd")
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of the state: %v, %v; want it closed to others", info, err)
	}
	s = embed(t, dir)
	if got, _, err := s.Load(t.Context(), "/"); err != nil || len(got) != 1 || string(got[0].Value) != "v" || got[0].Revision != rev {
		t.Errorf("after a restart: %+v, %v", got, err)
	}
}

// count is what counted does.
func count(dir string) {
	s, err := etcd.Embed(context.Background(), dir, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	all, _, err := s.Load(context.Background(), "/k/")
	fmt.Println("COUNTED", len(all), err, s.Close())
	os.Exit(0)
}

// fill is what filled does: it writes until that fails, and says what happens then.
func fill(dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	s, err := etcd.Embed(ctx, dir, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	value := bytes.Repeat([]byte("x"), 1<<20)
	written := -1
	for ; err == nil; written++ {
		_, err = s.Commit(ctx, cluster.Txn{Ops: []cluster.Op{{Key: fmt.Sprintf("/k/%04d", written+1), Value: value}}})
	}
	fmt.Println("WRITTEN", written)
	say := func(what string, err error) {
		if errors.Is(err, etcd.ErrFailed) {
			fmt.Println(what + ": ErrFailed")
		} else {
			fmt.Println(what+":", err)
		}
	}
	say("the change", err)
	_, err = s.Commit(ctx, cluster.Txn{Ops: []cluster.Op{{Key: "/more"}}})
	say("a change after that", err)
	_, _, err = s.Load(ctx, "/")
	say("a read after that", err)
	say("Writable", s.Writable(ctx))
	say("Close", s.Close())
	os.Exit(0)
}

// writeForever counts up, and says each number on standard output when it is written.
func writeForever(dir string) {
	s, err := etcd.Embed(context.Background(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	for i := 1; ; i++ {
		value := []byte(fmt.Sprint(i))
		if _, err := s.Commit(context.Background(), cluster.Txn{Ops: []cluster.Op{{Key: "/a", Value: value}, {Key: "/b", Value: value}}}); err != nil {
			panic(err)
		}
		fmt.Println(i)
	}
}

// TestKilled kills a writing process at some moment, several times: what it has said is there, and nothing is half there.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killed+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var said int
		timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fmt.Sscan(lines.Text(), &said)
			if said >= 20+7*round {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		if !timer.Stop() || said == 0 {
			t.Fatalf("the writer came as far as %d within a minute", said)
		}
		s := embed(t, dir)
		got, _, err := s.Load(t.Context(), "/")
		if err != nil || len(got) != 2 {
			t.Fatalf("after kill -9: %+v, %v", got, err)
		}
		var a, b int
		fmt.Sscan(string(got[0].Value), &a)
		fmt.Sscan(string(got[1].Value), &b)
		if a != b || a < said {
			t.Errorf("after kill -9 at %d the store has %d and %d", said, a, b)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
