// Command conformance runs the test suites of drivers, pgx for PostgreSQL and go-sql-driver for MySQL and MariaDB, each against
// a private server, and go-mssqldb for SQL Server against the one that is named, first direct and then through Forebay, and compares: what passes direct must pass through Forebay.
// docs/conformance.md says how to read its output. It exits 0 when nothing but documented differences remain, 1 when there
// are others, 2 when it could not run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// options are the command line.
type options struct {
	run      string   // regular expression of tests, "" for all
	packages []string // packages of the suite
	only     string   // "direct", "forebay" or "" for both
	log      bool     // Forebay's log on standard error
	keep     bool     // leave the copied suite where it is
	retries  int      // further tries for a test that differs
	suite    string   // name of one suite, "" for all
}

func main() {
	var o options
	flag.StringVar(&o.run, "run", "", "run only tests that match this regular expression (go test -run)")
	flag.StringVar(&o.only, "only", "", `"direct" or "forebay": one side alone, without a comparison`)
	flag.BoolVar(&o.log, "log", false, "show Forebay's log")
	flag.BoolVar(&o.keep, "keep", false, "keep the copy of the suite and say where it is")
	flag.IntVar(&o.retries, "retries", 2, "how often a test that differs is tried again before it counts")
	flag.StringVar(&o.suite, "suite", "", `"pgx", "mysql" or "mssql": one suite alone`)
	flag.Parse()
	o.packages = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, ran := 0, false
	for _, sub := range subjects {
		if o.suite != "" && o.suite != sub.name {
			continue
		}
		ran = true
		err := conform(ctx, sub, o)
		var differs *differsError
		switch {
		case errors.As(err, &differs):
			fmt.Fprintf(os.Stderr, "conformance: %s: %v\n", sub.name, err)
			code = max(code, 1)
		case errors.Is(err, errNoServer) && o.suite == "":
			fmt.Printf("%s: left out: %v\n", sub.name, err)
		case err != nil:
			fmt.Fprintf(os.Stderr, "conformance: %s: %v\n", sub.name, err)
			code = 2
		}
	}
	if !ran {
		fmt.Fprintf(os.Stderr, "conformance: no suite is called %q\n", o.suite)
		code = 2
	}
	os.Exit(code)
}

// differsError means that tests pass direct and do not through Forebay.
type differsError struct{ n int }

func (e *differsError) Error() string {
	return fmt.Sprintf("%d tests pass direct but not through Forebay", e.n)
}

// conform does it all for one suite.
func conform(ctx context.Context, sub subject, o options) error {
	expected, err := readExpected(sub.expected)
	if err != nil {
		return err
	}
	suite, err := copySuite(ctx, sub.module)
	if err != nil {
		return err
	}
	suite.skip, suite.alone = sub.skip, sub.alone
	if len(o.packages) == 0 {
		o.packages = []string{sub.packages}
	}
	if o.keep {
		fmt.Println("the suite is in", suite.dir)
	} else {
		defer suite.remove()
	}
	both, err := sub.start(ctx, suite, o.log)
	if err != nil {
		return err
	}
	defer both.stop()
	direct, through := both.direct, both.through
	fmt.Printf("%s %s against %s: %s\n", sub.name, suite.version, both.server, strings.Join(o.packages, " "))
	if o.only != "" {
		env := through
		if o.only == "direct" {
			env = direct
		}
		r, err := suite.test(ctx, env, o.run, o.packages)
		if err != nil {
			return err
		}
		r.print(os.Stdout, o.only)
		r.printFailures(os.Stdout)
		return nil
	}
	want, err := suite.test(ctx, direct, o.run, o.packages)
	if err != nil {
		return err
	}
	want.print(os.Stdout, "direct")
	got, err := suite.test(ctx, through, o.run, o.packages)
	if err != nil {
		return err
	}
	got.print(os.Stdout, "through Forebay")
	c := compare(want, got, expected)
	for range o.retries {
		if len(c.unexpected) == 0 {
			break
		}
		if err := again(ctx, suite, through, got, c.unexpected); err != nil {
			return err
		}
		c = compare(want, got, expected)
	}
	c.print(os.Stdout, got)
	if n := len(c.unexpected); n > 0 {
		return &differsError{n}
	}
	return nil
}

// again runs the tests that differ once more, one package after the other and nothing beside it. A test that passes now is
// counted as unsteady, not as a difference: some of the suite measure time.
func again(ctx context.Context, s *suite, env []string, got *results, differ []difference) error {
	byPackage := map[string][]string{}
	for _, d := range differ {
		top, _, _ := strings.Cut(d.test, "/")
		byPackage[d.pkg] = append(byPackage[d.pkg], top)
	}
	for pkg, tests := range byPackage {
		r, err := s.test(ctx, env, "^("+strings.Join(tests, "|")+")$", []string{pkg})
		if err != nil {
			return err
		}
		got.retried(r)
	}
	return nil
}
