package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"forebay/internal/app"

	"github.com/spf13/cobra"
)

const keysHelp = `
What a backup does not hold are the files beside it: the sealing key (sealing.key in the data folder, or api.key_file), without
which no secret and no access key in it can be read and the backup is useless, and the root's credentials (root-credentials).
Keep them elsewhere than the backup: who has both has every password.`

func backupCommand() *cobra.Command {
	var api apiFlags
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "write a backup of a running Forebay's state",
		Long: `Writes a backup of the control plane's state, as it is at one moment, into a new file: proxies, secrets, users and roles,
declared databases. Forebay runs on meanwhile. The permission is forebay:Backup.
` + keysHelp + "\n" + apiHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			defer c.Close()
			info, err := c.Backup(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d entries. It is of no use without the sealing key: keep a copy of that, elsewhere.\n", args[0], info.Entries)
			return err
		},
	}
	api.add(cmd)
	return cmd
}

func restoreCommand() *cobra.Command {
	var o app.Options
	cmd := &cobra.Command{
		Use:   "restore FILE (--data-dir DIR | --etcd HOST:PORT,...)",
		Short: "put a backup into an empty data folder or etcd",
		Long: `Puts a backup into a data folder or an etcd that has no state yet, while no Forebay runs on it. The sealing key has to be
there before: copy it to DIR/sealing.key, or to where api.key_file says. A backup that it does not open is refused.

  mkdir -m 700 DIR && cp sealing.key DIR/ && forebay restore FILE --data-dir DIR && forebay serve --data-dir DIR
` + keysHelp,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			o.Log = io.Discard
			info, err := app.Restore(cmd.Context(), o, f)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d entries restored, as they were at %s\n", info.Entries, info.Made.Format(time.RFC3339))
			return err
		},
	}
	configFlag(cmd, &o.ConfigPath)
	stateFlags(cmd, &o)
	return cmd
}

// stateFlags say where the control plane's state is.
func stateFlags(cmd *cobra.Command, o *app.Options) {
	cmd.Flags().StringVar(&o.DataDir, "data-dir", "", "folder in which the control plane keeps its state (api.data_dir)")
	cmd.Flags().StringSliceVar(&o.Etcd, "etcd", nil, "host:port of the members of an etcd to keep it in instead (api.etcd.endpoints)")
	_ = cmd.MarkFlagDirname("data-dir") // fails only for a flag that does not exist
}
