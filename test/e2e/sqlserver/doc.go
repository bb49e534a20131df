// Package sqlserver holds the end-to-end tests of the SQL Server family: real drivers do the same things directly at the server
// and through what stands before it.
package sqlserver
