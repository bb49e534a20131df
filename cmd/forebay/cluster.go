package main

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// cluster is a cluster with its settings, as the API shows it.
type cluster struct {
	Identifier     string
	ARN            string
	Engine         string
	Discover       bool
	MonitorSecret  string `json:",omitempty"`
	MaxReplicaLag  int    // seconds; 0: no limit
	ReaderFallback string
	FromFile       bool
}

// clusterFlags are settings of a cluster. What is not given stays as it is.
type clusterFlags struct {
	discover                      bool
	monitorSecret, readerFallback string
	maxReplicaLag                 time.Duration
}

// clusterChange is the same as the API takes it.
type clusterChange struct {
	Discover       *bool   `json:",omitempty"`
	MonitorSecret  *string `json:",omitempty"`
	MaxReplicaLag  *int    `json:",omitempty"` // seconds
	ReaderFallback *string `json:",omitempty"`
}

func (f *clusterFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.discover, "discover", false, "the cluster: servers that its members name as members of the same replication set are members, too")
	flags.StringVar(&f.monitorSecret, "monitor-secret", "", "the cluster: ARN of the secret by which members are asked for their role (default the proxy's first)")
	flags.DurationVar(&f.maxReplicaLag, "max-replica-lag", 0, "the cluster: a reader that is further behind is not chosen, such as 10s (default no limit)")
	flags.StringVar(&f.readerFallback, "reader-fallback", "", "the cluster: where READ_ONLY sessions go while no reader can be had: wait (for one, the default) or writer")
}

// changed is what has been given on the command line.
func (f *clusterFlags) changed(cmd *cobra.Command) clusterChange {
	var c clusterChange
	if cmd.Flags().Changed("discover") {
		c.Discover = &f.discover
	}
	if cmd.Flags().Changed("monitor-secret") {
		c.MonitorSecret = &f.monitorSecret
	}
	if cmd.Flags().Changed("max-replica-lag") {
		seconds := int((f.maxReplicaLag + time.Second - 1) / time.Second) // no limit is another thing than half a second
		c.MaxReplicaLag = &seconds
	}
	if cmd.Flags().Changed("reader-fallback") {
		c.ReaderFallback = &f.readerFallback
	}
	return c
}

func databaseCluster() *cobra.Command {
	var api apiFlags
	var settings clusterFlags
	cmd := &cobra.Command{
		Use:   "cluster NAME",
		Short: "change how the members of a cluster are found and chosen",
		Long: `Changes settings of a cluster, which is made with its first database; those that are not given stay as they are. Without any
it shows them.
` + apiHelp,
		Example: "  forebay database cluster shop --discover --max-replica-lag 10s",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := struct {
				Cluster string
				clusterChange
			}{args[0], settings.changed(cmd)}
			var out struct{ Cluster cluster }
			if err := call(cmd, &api, "ModifyCluster", in, &out); err != nil {
				return err
			}
			c := out.Cluster
			lag := "unlimited"
			if c.MaxReplicaLag > 0 {
				lag = strconv.Itoa(c.MaxReplicaLag) + "s"
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: discover %t, monitor secret %s, max replica lag %s, reader fallback %s\n",
				c.Identifier, c.Discover, cmp.Or(c.MonitorSecret, "the proxy's first"), lag, c.ReaderFallback)
			return err
		},
	}
	settings.add(cmd)
	api.add(cmd)
	return cmd
}
