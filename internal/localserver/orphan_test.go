package localserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"forebay/internal/localserver"
)

// orphanVariable makes this test binary a program that starts a server of the engine it names, and waits to be killed.
const orphanVariable = "FOREBAY_TEST_ORPHAN"

func startOrphan(engine string) {
	var folder string
	var pid int
	var err error
	switch engine {
	case "postgres", "frozen":
		var p *localserver.Postgres
		if p, err = localserver.StartPostgres(context.Background(), localserver.PostgresOptions{}); err == nil {
			folder, pid = p.SocketDir(), p.PID()
			if engine == "frozen" {
				err = p.Freeze()
			}
		}
	case "mysql":
		var m *localserver.MySQL
		if m, err = localserver.StartMySQL(context.Background(), localserver.MySQLOptions{}); err == nil {
			folder, pid = filepath.Dir(m.Socket()), m.PID()
		}
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(pid, folder)
	select {}
}

// TestOrphans checks that a server and its files go when the program that started it is killed.
func TestOrphans(t *testing.T) {
	t.Parallel()
	for engine, find := range map[string]func() ([]localserver.Install, error){
		"postgres": localserver.FindPostgres, "mysql": localserver.FindMySQL, "frozen": localserver.FindPostgres,
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			if _, err := find(); errors.Is(err, localserver.ErrNotInstalled) && os.Getenv("FOREBAY_REQUIRE_SERVERS") != "1" {
				t.Skip(err)
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), orphanVariable+"="+engine)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			cmd.Process.Kill()
			cmd.Wait()
			var pid int
			var folder string
			if _, scanErr := fmt.Sscan(line, &pid, &folder); err != nil || scanErr != nil {
				t.Fatalf("the program says %q, err %v", strings.TrimSpace(line), err)
			}
			// Nobody tells us when another process has removed its files.
			deadline := time.Now().Add(30 * time.Second)
			for {
				_, err := os.Stat(folder)
				if errors.Is(err, os.ErrNotExist) && !runs(pid) {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("still there: process %t, folder %v", runs(pid), err)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
}

// runs reports whether a process runs, other than one that has ended and that nobody has waited for.
func runs(pid int) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}
