// Command forebay is the whole of Forebay in one binary. Run `forebay help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"forebay/internal/app"
	"forebay/internal/config"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK      = 0
	exitRuntime = 1 // something failed while running
	exitUsage   = 2 // the configuration or the command line is wrong: nothing was started
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	started := false // beyond flags and arguments
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		err := cmd.ValidateRequiredFlags() // cobra itself does so later
		started = err == nil
		return err
	}
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, config.ErrInvalid):
		fmt.Fprintln(stderr, err)
		return exitUsage
	case !started:
		fmt.Fprintln(stderr, "forebay:", err)
		return exitUsage
	case errors.Is(err, app.ErrForced):
		return exitRuntime // the log has said so
	}
	fmt.Fprintln(stderr, "forebay:", err)
	return exitRuntime
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "forebay",
		Short: "a database proxy that lets thousands of clients share a few connections",
		Long: `Forebay stands between applications and their databases, and lets thousands of short-lived clients share a few dozen
database connections.`,
		SilenceErrors: true, // run prints them
		SilenceUsage:  true,
	}
	root.AddCommand(serveCommand(), checkCommand(), versionCommand(), databaseCommand(), pauseCommand(), resumeCommand(), tokenCommand(), backupCommand(), restoreCommand(), sealingKeyCommand(), rootKeyCommand())
	addTools(root)
	return root
}
