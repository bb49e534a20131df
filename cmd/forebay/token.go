package main

import (
	"fmt"
	"time"

	"forebay/internal/sigv4"

	"github.com/spf13/cobra"
)

func tokenCommand() *cobra.Command {
	var api apiFlags
	var host, user string
	var port uint16
	cmd := &cobra.Command{
		Use:   "token --hostname HOST --port PORT --username USER",
		Short: "print a token to log in with in place of a password",
		Long: `Prints an IAM token, good for 15 minutes as the password of USER at that endpoint of a proxy, over TLS: the same that
aws rds generate-db-auth-token prints. Nobody is asked for it; whether it lets anyone in, the proxy decides.

HOST and PORT are those of the proxy's endpoint, as DescribeDBProxies shows them.
` + apiHelp,
		Example: `  PGPASSWORD=$(forebay token --hostname 127.0.0.1 --port 5432 --username app) psql "host=127.0.0.1 user=app sslmode=require"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := api.settings()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), sigv4.SignToken(host, int(port), s.Region, user, s.Credentials, time.Now()))
			return err
		},
	}
	cmd.Flags().StringVar(&host, "hostname", "", "host of the proxy's endpoint")
	cmd.Flags().Uint16Var(&port, "port", 0, "port of the proxy's endpoint")
	cmd.Flags().StringVar(&user, "username", "", "database user, as in the secret")
	require(cmd, "hostname", "port", "username")
	api.addRegion(cmd)
	return cmd
}
