package demo

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Command returns "forebay demo".
func Command() *cobra.Command {
	o := defaults
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "a private PostgreSQL and MariaDB, a storm of clients without and with Forebay, side by side",
		Long: `Starts a private PostgreSQL and a private MariaDB in temporary folders, sends a storm of short-lived clients straight
at each, then puts Forebay in front of both and sends the same storms through Forebay. Prints the results side by side. Then it
sets up one more proxy by the four steps of RDS Proxy, printing each command, and uses it as a function on Lambda does. Leaves
everything running, with psql and mariadb lines to paste, until Ctrl-C. Needs the server programs of PostgreSQL and of MariaDB
or MySQL. The AWS CLI and Node.js are used if they are there; else Forebay does their part.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true // from here on an error is not about the flags
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return Run(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Once, "once", false, "stop after the comparison; exit with 0 only if every client through Forebay succeeded")
	f.BoolVar(&o.Steps, "steps", true, "go through the four steps of RDS Proxy as well")
	f.StringVar(&o.Lambda, "lambda", "", "folder of examples/lambda-node with its packages, for step 4; without it a storm takes its place")
	_ = cmd.MarkFlagDirname("lambda") // fails only for a flag that does not exist
	f.IntVar(&o.Clients, "clients", o.Clients, "how many clients come")
	return cmd
}
