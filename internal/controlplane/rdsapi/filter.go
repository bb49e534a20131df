package rdsapi

import "slices"

// noFilters refuses filters where RDS declares them unsupported: to leave them aside would be to answer another question.
func noFilters(filters []Filter) error {
	if len(filters) > 0 {
		return invalid("Filters are not supported by this operation.")
	}
	return nil
}

// checkFilters takes filters of these names.
func checkFilters(filters []Filter, names ...string) error {
	for _, f := range filters {
		switch {
		case f.Name == "":
			return missing("Filters.Filter.Name")
		case !slices.Contains(names, f.Name):
			return invalid("Unrecognized filter name: %s", clip(f.Name))
		case len(f.Values) == 0:
			return missing("Filters.Filter.Values")
		}
	}
	return nil
}
