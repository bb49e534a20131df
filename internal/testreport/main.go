// Command testreport makes the output of go test -json short: a line for each package, everything that a failure
// wrote, each skip with its reason, and as the last line the counts ("12 passed, 0 failed, 1 skipped").
//
//	go test -json ./... | go run ./internal/testreport
//
// Only tests without subtests are counted. The exit code is 1 if anything failed or nothing was tested.
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		if !errors.Is(err, errFailed) {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
}
