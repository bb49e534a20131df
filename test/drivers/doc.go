// Package drivers runs programs written for other drivers and tools through Forebay. The programs are in testdata. A test
// whose driver is not on the machine is skipped; scripts/install-servers gets what can be had.
//
// Those for PostgreSQL (node-postgres, psycopg 2 and 3, JDBC, pgbench) check what they do themselves and end with an exit
// code. psql, and those for MySQL and MariaDB (PyMySQL, mysql2, Sequelize, MariaDB's JDBC driver, and the programs that
// come with the servers), print what they see: it must be the same directly and through Forebay.
package drivers
