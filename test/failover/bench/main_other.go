//go:build !linux

// Command bench measures failovers. It needs Linux: it reads what the kernel says of other processes.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench-failover: needs Linux")
	os.Exit(1)
}
