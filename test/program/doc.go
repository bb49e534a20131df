// Package program has what the benchmark programs share: other programs that they start and watch, what these use of the
// machine, and tables in markdown files.
package program
