//go:build !linux

package evloop_test

const hearsHangUp = false
