package main

import (
	"fmt"
	"io"

	"forebay/internal/app"

	"github.com/spf13/cobra"
)

func rootKeyCommand() *cobra.Command {
	var o app.Options
	cmd := &cobra.Command{
		Use:   "root-key (--data-dir DIR | --etcd HOST:PORT,...)",
		Short: "give the account's root a new key in place of all it has",
		Long: `Gives the account's root, who may do everything, a new access key, and takes away those that it has. The key is written to
root-credentials in the data folder, or to the file beside api.key_file, and not printed. It needs the sealing key, and a data folder that no
Forebay is using; with an etcd, Forebays may run.

It is for a key that was lost. Who has one that works replaces it while Forebay runs:

  aws iam create-access-key                         # as root: root has two keys at most
  aws iam delete-access-key --access-key-id AKIA…   # the former one, signed with the new one`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Log = io.Discard
			id, file, err := app.ReplaceRootKey(cmd.Context(), o)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: the key %s is root's, and the only one\n", file, id)
			return err
		},
	}
	configFlag(cmd, &o.ConfigPath)
	stateFlags(cmd, &o)
	return cmd
}
