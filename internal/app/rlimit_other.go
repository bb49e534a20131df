//go:build !unix

package app

import "errors"

func raiseDescriptorLimit() (uint64, error) { return 0, errors.ErrUnsupported }
