package main

import (
	"fmt"

	"forebay/internal/app"
	"forebay/internal/config"

	"github.com/spf13/cobra"
)

const defaultConfig = "forebay.yaml"

func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", defaultConfig, "configuration file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // fails only for a flag that does not exist
}

func serveCommand() *cobra.Command {
	var o app.Options
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "serve clients as the configuration file says",
		Long: `Serves clients as the configuration file says, and writes its log to standard error.

With --data-dir or --etcd there is a control plane too: proxies, secrets and users are made by the APIs of AWS, at
http://127.0.0.1:9190 unless the file says otherwise, and there need not be a file. At the first start the key of the account's
root is printed to standard output, once; it is in a file of the data folder as well.

SIGHUP applies a changed file; a broken one changes nothing, and the log says why. SIGTERM and SIGINT drain: no new
clients, open transactions may finish for as long as drain_timeout says. A second signal stops at once.

Exit codes: 0 after draining, 1 for an error while running, 2 for a configuration that is not usable.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Version, o.Log = versionText(), cmd.ErrOrStderr()
			o.FirstStart = func(id, secret, file string) {
				fmt.Fprintf(cmd.OutOrStdout(), "This is the first start. The key of the account's root, who may do everything, is in\n%s\nand here, this once:\n\nexport AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n\n", file, id, secret)
			}
			return app.Run(cmd.Context(), o)
		},
	}
	configFlag(cmd, &o.ConfigPath)
	stateFlags(cmd, &o)
	return cmd
}

func checkCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "check the configuration file without starting anything",
		Long: `Checks the configuration file, and the secrets and certificates that it names, without starting anything. Prints ok, or
each error with file, line, field and what was expected; then the exit code is 2.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := config.Load(path); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "ok")
			return err
		},
	}
	configFlag(cmd, &path)
	return cmd
}
