package main

import (
	"errors"
	"fmt"

	"forebay/internal/awskms"
	"forebay/internal/controlplane"

	"github.com/spf13/cobra"
)

func sealingKeyCommand() *cobra.Command {
	var at awskms.Options
	var keyID string
	cmd := &cobra.Command{
		Use:   "sealing-key",
		Short: "print a new key for sealing.key, api.key_file or api.key_env",
		Long: `Prints a new line for the file of sealing keys: sealing.key in the data folder, or what api.key_file names.

With --kms-key-id the key is made by AWS KMS and printed as KMS has encrypted it: only who may call kms:Decrypt on that KMS key can
use the line. Credentials are found as every AWS SDK finds them; they need kms:GenerateDataKeyWithoutPlaintext, and those of
` + "`forebay serve`" + ` kms:Decrypt. Without the flag the key is printed as it is.`,
		Example: "  (umask 077; forebay sealing-key --kms-key-id arn:aws:kms:eu-central-1:123456789012:key/1234abcd-… > sealing.key)",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keyID == "" {
				if at.Region != "" || at.Endpoint != "" {
					return errors.New("--region and --endpoint-url are of KMS: expected --kms-key-id beside them")
				}
				_, err := fmt.Fprint(cmd.OutOrStdout(), controlplane.NewKey())
				return err
			}
			line, err := awskms.New(cmd.Context(), at, keyID)
			if err != nil {
				return fmt.Errorf("--kms-key-id: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), line)
			return err
		},
	}
	cmd.Flags().StringVar(&keyID, "kms-key-id", "", "ARN, id or alias of a key of AWS KMS")
	cmd.Flags().StringVar(&at.Region, "region", "", "where the KMS key is (default the ARN's, AWS_REGION, the profile's)")
	cmd.Flags().StringVar(&at.Endpoint, "endpoint-url", "", "URL of KMS (default AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, AWS's)")
	return cmd
}
