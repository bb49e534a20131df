// Package drivers runs programs written for other PostgreSQL drivers and tools through Forebay: node-postgres, psycopg 2
// and 3, JDBC, psql, pgbench. The programs are in testdata; each checks what it does itself and ends with an exit code. A
// test whose driver is not on the machine is skipped; scripts/install-servers gets what can be had.
package drivers
