package main

import (
	"forebay/internal/demo"
	"forebay/internal/storm"

	"github.com/spf13/cobra"
)

// addTools adds the commands that are packages of their own.
func addTools(root *cobra.Command) {
	root.AddCommand(demo.Command(), storm.Command())
}
