// Package testkit holds what tests share: real database servers started for a test, and scripted peers. Only tests
// import it.
package testkit
