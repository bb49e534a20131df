package rdsapi

import (
	"encoding/base64"
	"slices"
)

// Pages have 20 to 100 rows (contract 2.5).
const (
	minRecords     = 20
	defaultRecords = 100
	maxRecords     = 100
)

// page cuts a page out of rows, in the order of their keys. A marker names the last key of the page before, so that rows
// which come and go meanwhile neither repeat nor hide others.
func page[T any](rows []T, key func(T) string, marker *string, records *int) ([]T, *string, error) {
	if err := checkRange("MaxRecords", records, minRecords, maxRecords); err != nil {
		return nil, nil, err
	}
	after := ""
	if marker != nil && *marker != "" {
		last, err := base64.RawURLEncoding.DecodeString(*marker)
		if err != nil || len(last) < 2 || last[0] != '1' {
			return nil, nil, invalid("Invalid Marker.")
		}
		after = string(last[1:])
	}
	type keyed struct {
		key string
		row T
	}
	var found []keyed
	for _, row := range rows {
		if k := key(row); k > after {
			found = append(found, keyed{k, row})
		}
	}
	slices.SortFunc(found, func(a, b keyed) int { return compare(a.key, b.key) })
	n := or(records, defaultRecords)
	var next *string
	if len(found) > n {
		m := base64.RawURLEncoding.EncodeToString([]byte("1" + found[n-1].key))
		found, next = found[:n], &m
	}
	out := make([]T, len(found))
	for i, f := range found {
		out[i] = f.row
	}
	return out, next, nil
}

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
