// Package mysql hunts for state of MySQL sessions that reaches another session through Forebay: it has only tests.
package mysql
