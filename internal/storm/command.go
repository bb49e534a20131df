package storm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// Command returns "forebay storm". It reports failed clients as an error, so that the exit code says it too.
func Command() *cobra.Command {
	var (
		o            Options
		target       string
		passwordFile string
		useTLS       bool
		asJSON       bool
		allowErrors  bool
	)
	cmd := &cobra.Command{
		Use:   "storm --target postgres://user@host:port/database | mysql://user@host:port/database | sqlserver://user@host:port/database",
		Short: "send a storm of short-lived clients at a database or at Forebay, and count what became of them",
		Long: `Sends a storm of short-lived clients at a PostgreSQL, MySQL, MariaDB or SQL Server or at Forebay: each connects, runs a
statement or a transaction, and leaves. Prints how many succeeded, why the others failed, and how long connecting and the
statement took.

The password is read from the file named by --password-file, or from the environment variable PGPASSWORD, MYSQL_PWD or SQLCMDPASSWORD.`,
		Example: `  PGPASSWORD=... forebay storm --target postgres://app@127.0.0.1:5432/app --clients 2000 --hold 1s
  MYSQL_PWD=... forebay storm --target "mysql://app@127.0.0.1:3306/app?ssl-mode=REQUIRED" --transaction`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true // from here on an error is not about the flags
			t, err := ParseTarget(target)
			if err != nil {
				return err
			}
			if useTLS && !t.TLSMust {
				if err := t.SetTLS("require", ""); err != nil {
					return err
				}
			}
			if err := t.readPassword(passwordFile); err != nil {
				return err
			}
			proto, err := NewProtocol(t)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			r, err := RunWithBar(ctx, cmd.ErrOrStderr(), proto, o)
			if err != nil {
				return err
			}
			if err := report(cmd.OutOrStdout(), t.Addr, o, r, asJSON); err != nil {
				return err
			}
			return verdict(ctx, o, r, allowErrors)
		},
	}
	f := cmd.Flags()
	f.StringVar(&target, "target", "", "where to: postgres://user@host:port/database?sslmode=..., mysql://user@host:port/database?ssl-mode=... or sqlserver://user@host:port/database?encrypt=...")
	f.StringVar(&passwordFile, "password-file", "", "file with the password (default: the environment variable PGPASSWORD, MYSQL_PWD or SQLCMDPASSWORD)")
	f.IntVar(&o.Clients, "clients", 2000, "how many clients come")
	f.DurationVar(&o.Window, "window", time.Second, "they arrive within this time")
	f.IntVar(&o.Concurrency, "concurrency", 0, "most clients at work at once; 0 = no limit")
	f.StringVar(&o.Statement, "statement", "SELECT 1", "what each client runs")
	f.BoolVar(&o.Transaction, "transaction", false, "run BEGIN; statement; COMMIT")
	f.DurationVar(&o.Hold, "hold", 0, "each client stays connected for so long after its statement")
	f.DurationVar(&o.Timeout, "timeout", 30*time.Second, "give a client up after this time; 0 = never")
	f.BoolVar(&useTLS, "tls", false, "insist on TLS (as sslmode=require, ssl-mode=REQUIRED or encrypt=true&trustServerCertificate=true in the target)")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	f.BoolVar(&allowErrors, "allow-errors", false, "exit with 0 also if clients failed")
	_ = cmd.MarkFlagRequired("target") // fails for an unknown flag alone
	return cmd
}

// readPassword sets the password from a file or the environment; one in the URL stands if there is neither.
func (t *Target) readPassword(file string) error {
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("password-file: %w", err)
		}
		t.Password = strings.TrimRight(string(b), "\r\n")
		return nil
	}
	if t.Password == "" {
		t.Password = os.Getenv(dialects[t.Engine].password)
	}
	return nil
}

// verdict is the error that becomes the exit code.
func verdict(ctx context.Context, o Options, r *Result, allowErrors bool) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %d of %d clients", r.Clients, o.Clients)
	case r.Failed > 0 && !allowErrors:
		return fmt.Errorf("%d of %d clients failed", r.Failed, r.Clients)
	case r.Clients < o.Clients:
		return errors.New("not all clients came")
	}
	return nil
}

func report(w io.Writer, addr string, o Options, r *Result, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d clients within %v at %s: %d succeeded, %d failed, %d connected at once, %v in all\n",
		r.Clients, o.Window, addr, r.Succeeded, r.Failed, r.Peak, Round(r.Elapsed))
	for _, l := range []struct {
		name string
		Latency
	}{{"connect", r.Connect}, {"query", r.Query}} {
		if l.Max > 0 {
			fmt.Fprintf(&b, "  %-8s p50 %-10v p99 %-10v max %v\n", l.name, Round(l.P50), Round(l.P99), Round(l.Max))
		}
	}
	for _, e := range r.Errors {
		fmt.Fprintf(&b, "  %6d x %s\n", e.Count, e)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String returns the code and the text.
func (e ErrorCount) String() string {
	if e.Code == "" {
		return e.Text
	}
	return e.Code + " " + e.Text
}

// Round cuts a duration to three or four digits, to be read by people.
func Round(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}
