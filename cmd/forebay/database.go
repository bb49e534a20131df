package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func databaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "database",
		Short: "declare databases to the API, list them, take them back",
		Long: `A database that is not on AWS is declared once, and is a DB instance of the API from then on, such as for
aws rds register-db-proxy-targets. Databases that name the same cluster are a DB cluster.
` + apiHelp,
	}
	cmd.AddCommand(databaseAdd(), databaseList(), databaseRemove())
	return cmd
}

// database is a database as the API takes it and shows it.
type database struct {
	Identifier string
	Engine     string
	Version    string `json:",omitempty"`
	Host       string
	Port       int    `json:",omitempty"`
	Cluster    string `json:",omitempty"`
	TLSMode    string `json:",omitempty"`
	IAM        string `json:",omitempty"`
	IAMRegion  string `json:",omitempty"`
}

func (d *database) address() string { return net.JoinHostPort(d.Host, strconv.Itoa(d.Port)) }

func databaseAdd() *cobra.Command {
	var api apiFlags
	var d database
	var caFile string
	cmd := &cobra.Command{
		Use:     "add NAME --engine ENGINE --host HOST",
		Short:   "declare a database",
		Long:    "Declares a database: a DB instance of the API from then on.\n" + apiHelp,
		Example: "  forebay database add orders --engine mariadb --host db1.internal --port 3306",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := struct {
				database
				CA string `json:",omitempty"`
			}{database: d}
			in.Identifier = args[0]
			if caFile != "" {
				pem, err := os.ReadFile(caFile)
				if err != nil {
					return err
				}
				in.CA = string(pem)
			}
			var out struct{ Database database }
			if err := call(cmd, &api, "AddDatabase", in, &out); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s at %s\n", out.Database.Identifier, out.Database.Engine, out.Database.address())
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&d.Engine, "engine", "", "postgres, mysql, mariadb, aurora-postgresql, aurora-mysql, sqlserver-ee, sqlserver-se, sqlserver-ex or sqlserver-web")
	flags.StringVar(&d.Host, "host", "", "host name or IP address")
	flags.IntVar(&d.Port, "port", 0, "port (default the engine's)")
	flags.StringVar(&d.Cluster, "cluster", "", "the DB cluster that it belongs to: made with its first database, which is the writer")
	flags.StringVar(&d.Version, "version", "", "the server's version, for people to read")
	flags.StringVar(&d.TLSMode, "tls-mode", "", "disable, prefer, require, verify-ca or verify-full (default prefer, with --iam verify-full)")
	flags.StringVar(&d.IAM, "iam", "", "who checks the IAM tokens by which it lets users in (end-to-end IAM): aws for a database of AWS, forebay for another proxy of this Forebay")
	flags.StringVar(&d.IAMRegion, "iam-region", "", "region of the tokens, with --iam aws (default the one in the host name of RDS, or else the account's)")
	flags.StringVar(&caFile, "ca-file", "", "PEM file: whom verify-ca and verify-full trust (default the system's)")
	require(cmd, "engine", "host")
	_ = cmd.MarkFlagFilename("ca-file", "pem", "crt")
	api.add(cmd)
	return cmd
}

func databaseList() *cobra.Command {
	var api apiFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the databases that have been declared",
		Long:  "Lists the databases that have been declared, by the API or in the configuration file.\n" + apiHelp,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out struct{ Databases []listed }
			if err := call(cmd, &api, "ListDatabases", struct{}{}, &out); err != nil {
				return err
			}
			if !asJSON {
				return printDatabases(cmd.OutOrStdout(), out.Databases)
			}
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(out)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	api.add(cmd)
	return cmd
}

// listed is a database with what only answers have.
type listed struct {
	database
	ARN      string
	OwnCA    bool // a certificate authority was given
	Created  epoch
	FromFile bool // declared in the configuration file
}

// epoch is a time in seconds since 1970, as the API sends it.
type epoch struct{ time.Time }

func (e *epoch) UnmarshalJSON(b []byte) error {
	seconds, err := strconv.ParseFloat(string(b), 64)
	e.Time = time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()
	return err
}

func printDatabases(w io.Writer, all []listed) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tENGINE\tADDRESS\tCLUSTER\tTLS\tIAM\tDECLARED BY")
	for _, d := range all {
		by := "API"
		if d.FromFile {
			by = "file"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.Identifier, d.Engine, d.address(), cmp.Or(d.Cluster, "-"), d.TLSMode, cmp.Or(d.IAM, "-"), by)
	}
	return t.Flush()
}

func databaseRemove() *cobra.Command {
	var api apiFlags
	var in struct {
		Identifier string
		Force      bool
	}
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "take a declaration back",
		Long:  "Takes a declaration back. Nothing happens to the database itself.\n" + apiHelp,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Identifier = args[0]
			var out struct{ Database database }
			if err := call(cmd, &api, "RemoveDatabase", in, &out); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: removed\n", out.Database.Identifier)
			return err
		},
	}
	cmd.Flags().BoolVar(&in.Force, "force", false, "also where it is the target of a proxy, which is left without one")
	api.add(cmd)
	return cmd
}

// call does one operation of the API.
func call(cmd *cobra.Command, f *apiFlags, operation string, in, out any) error {
	c, err := f.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Call(cmd.Context(), operation, in, out)
}

func require(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		_ = cmd.MarkFlagRequired(name) // fails only for a flag that does not exist
	}
}
