// Package controlplane is the desired state of Forebay (proxies, endpoints, databases, secrets, users, roles) and the
// rules that hold for it. The packages below it are the ways to read and change it: the APIs of AWS.
//
// State is immutable. A Plane holds the newest one, kept up to date by watching the cluster's store, and changes it by
// Update: a function works on a Tx, and what it has put is written in one transaction, on condition that nobody has
// written anything meanwhile; if somebody has, the function runs again on the newer state. So every change is serial,
// and what a function has checked (a name is free, a quota is kept) still holds when its change takes place.
package controlplane
