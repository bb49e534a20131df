package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// proxy is a proxy as the API shows it.
type proxy struct {
	DBProxyName string
	Paused      bool
}

const pauseHelp = `
For a proxy of the configuration file, set paused there instead, and send SIGHUP to Forebay.
` + apiHelp

func pauseCommand() *cobra.Command {
	var api apiFlags
	cmd := &cobra.Command{
		Use:   "pause [PROXY]",
		Short: "have a proxy's sessions wait at their next transaction",
		Long: `Pauses a proxy of the API: its sessions wait at their next transaction, for the borrow timeout, and server connections that
are not in one are closed, until the proxy is resumed. All Forebays on the same etcd follow. Without a proxy it shows which ones
are paused.
` + pauseHelp,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return showPaused(cmd, &api)
			}
			return setPaused(cmd, &api, "PauseProxy", args[0])
		},
	}
	api.add(cmd)
	return cmd
}

func resumeCommand() *cobra.Command {
	var api apiFlags
	cmd := &cobra.Command{
		Use:   "resume PROXY",
		Short: "have a paused proxy's sessions go on",
		Long:  "Resumes a proxy of the API that has been paused.\n" + pauseHelp,
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return setPaused(cmd, &api, "ResumeProxy", args[0]) },
	}
	api.add(cmd)
	return cmd
}

func setPaused(cmd *cobra.Command, api *apiFlags, operation, name string) error {
	var out struct{ Proxy proxy }
	if err := call(cmd, api, operation, proxyName{name}, &out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", out.Proxy.DBProxyName, out.Proxy.state())
	return err
}

type proxyName struct{ DBProxyName string }

func (p *proxy) state() string {
	if p.Paused {
		return "paused"
	}
	return "running"
}

func showPaused(cmd *cobra.Command, api *apiFlags) error {
	var out struct{ Proxies []proxy }
	if err := call(cmd, api, "ListProxies", struct{}{}, &out); err != nil {
		return err
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PROXY\tSTATE")
	for _, p := range out.Proxies {
		fmt.Fprintf(t, "%s\t%s\n", p.DBProxyName, p.state())
	}
	return t.Flush()
}
