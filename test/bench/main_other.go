//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: needs Linux: CPU time and memory of the proxies are read from /proc")
	os.Exit(1)
}
