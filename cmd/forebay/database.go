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
	cmd.AddCommand(databaseAdd(), databaseCluster(), databaseList(), databaseRemove())
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
	var settings clusterFlags
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
				clusterChange
				CA string `json:",omitempty"`
			}{database: d, clusterChange: settings.changed(cmd)}
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
	flags.StringVar(&d.Cluster, "cluster", "", "the DB cluster that it belongs to: made with its first database")
	flags.StringVar(&d.Version, "version", "", "the server's version, for people to read")
	flags.StringVar(&d.TLSMode, "tls-mode", "", "disable, prefer, require, verify-ca, verify-full or, for SQL Server, strict (default prefer, with --iam verify-full)")
	flags.StringVar(&d.IAM, "iam", "", "who checks the IAM tokens by which it lets users in (end-to-end IAM): aws for a database of AWS, forebay for another proxy of this Forebay")
	flags.StringVar(&d.IAMRegion, "iam-region", "", "region of the tokens, with --iam aws (default the one in the host name of RDS, or else the account's)")
	flags.StringVar(&caFile, "ca-file", "", "PEM file: whom verify-ca, verify-full and strict trust (default the system's)")
	settings.add(cmd)
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
		Short: "list the databases that have been declared, and how they are",
		Long: `Lists the databases that have been declared, by the API or in the configuration file, with the role that each has
been seen in, how far a reader is behind, and how it is, where it is the target of a proxy. Members of clusters that were found and
that nobody has declared come last.
` + apiHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out databases
			if err := call(cmd, &api, "ListDatabases", struct{}{}, &out); err != nil {
				return err
			}
			if !asJSON {
				return printDatabases(cmd.OutOrStdout(), &out)
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

// databases is what is listed.
type databases struct {
	Databases []listed
	Clusters  []cluster
	Found     []found // members that nobody has declared
}

// listed is a database with what only answers have.
type listed struct {
	database
	ARN      string
	OwnCA    bool // a certificate authority was given
	Created  epoch
	FromFile bool    // declared in the configuration file
	Health   *health `json:",omitempty"` // nil: it is the target of no proxy
}

// health is how a database has been seen.
type health struct {
	State           string
	Reason          string `json:",omitempty"`
	Description     string `json:",omitempty"`
	Role            string
	LagMilliseconds *int `json:",omitempty"` // nil: not known
}

type found struct {
	Name, Cluster, Host string
	Port                int
	Health              health
}

// epoch is a time in seconds since 1970, as the API sends it.
type epoch struct{ time.Time }

func (e *epoch) UnmarshalJSON(b []byte) error {
	seconds, err := strconv.ParseFloat(string(b), 64)
	e.Time = time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()
	return err
}

func printDatabases(w io.Writer, all *databases) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tENGINE\tADDRESS\tCLUSTER\tTLS\tIAM\tDECLARED BY\tROLE\tLAG\tHEALTH")
	engines := map[string]string{} // of clusters
	for _, c := range all.Clusters {
		engines[c.Identifier] = c.Engine
	}
	for _, d := range all.Databases {
		by := "API"
		if d.FromFile {
			by = "file"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.Identifier, d.Engine, d.address(), cmp.Or(d.Cluster, "-"), d.TLSMode, cmp.Or(d.IAM, "-"), by, d.Health)
	}
	for _, f := range all.Found {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t-\t-\tfound\t%s\n", f.Name, engines[f.Cluster], net.JoinHostPort(f.Host, strconv.Itoa(f.Port)), f.Cluster, &f.Health)
	}
	return t.Flush()
}

// String is the last columns of a row.
func (h *health) String() string {
	if h == nil {
		return "-\t-\t-"
	}
	lag := "-"
	if h.LagMilliseconds != nil {
		lag = (time.Duration(*h.LagMilliseconds) * time.Millisecond).String()
	}
	how := h.State
	for _, more := range []string{h.Reason, h.Description} {
		if more != "" {
			how += ": " + more
		}
	}
	return h.Role + "\t" + lag + "\t" + how
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
