package main

import (
	"cmp"
	"os"

	"forebay/internal/client"
	"forebay/internal/config"

	"github.com/spf13/cobra"
)

// apiFlags say which Forebay to call. Credentials are never among them: a command line is for everybody to see.
type apiFlags struct{ endpoint, ca, region string }

const apiHelp = `
Credentials are found as the AWS CLI finds them: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else the profile
AWS_PROFILE in AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials. For the account's root that is

  export AWS_SHARED_CREDENTIALS_FILE=DIR/root-credentials

with the folder of ` + "`forebay serve --data-dir DIR`" + `.`

func (f *apiFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.endpoint, "endpoint-url", "", "URL of Forebay's API (default AWS_ENDPOINT_URL_FOREBAY, AWS_ENDPOINT_URL, "+client.DefaultEndpoint+")")
	cmd.Flags().StringVar(&f.ca, "ca-bundle", "", "PEM file: whom to trust when the URL is https (default AWS_CA_BUNDLE, or the system's)")
	f.addRegion(cmd)
}

func (f *apiFlags) addRegion(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.region, "region", "", "the account's region (default AWS_REGION, AWS_DEFAULT_REGION, the profile's, "+config.DefaultRegion+")")
}

// settings are the environment's, overridden by the flags.
func (f *apiFlags) settings() (client.Settings, error) {
	home, _ := os.UserHomeDir() // without one, there are no files in it
	s, err := client.FromEnvironment(os.Getenv, home)
	s.Region = cmp.Or(f.region, s.Region, config.DefaultRegion)
	s.Endpoint = cmp.Or(f.endpoint, s.Endpoint, client.DefaultEndpoint)
	s.CAFile = cmp.Or(f.ca, s.CAFile)
	return s, err
}

func (f *apiFlags) client() (*client.Client, error) {
	s, err := f.settings()
	if err != nil {
		return nil, err
	}
	return client.New(client.Options{Endpoint: s.Endpoint, CAFile: s.CAFile, Region: s.Region, Credentials: s.Credentials})
}
