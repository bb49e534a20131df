//go:build unix

package app

import "golang.org/x/sys/unix"

// raiseDescriptorLimit raises the soft limit of open files to the hard one and returns it.
func raiseDescriptorLimit() (uint64, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, err
	}
	before := r.Cur
	if before == r.Max {
		return uint64(before), nil
	}
	r.Cur = r.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return uint64(before), err
	}
	return uint64(r.Cur), nil
}
