package awsapi

// Value is an optional member of a request, or the zero value where it was left out.
func Value[T any](p *T) T {
	var zero T
	return Or(p, zero)
}

// Or is an optional member of a request, or d where it was left out.
func Or[T any](p *T, d T) T {
	if p == nil {
		return d
	}
	return *p
}

// Optional is a member of an answer that is left out where it has the zero value.
func Optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
