package awsapi_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"forebay/internal/controlplane/awsapi"

	"github.com/google/go-cmp/cmp"
)

func itself(s string) string { return s }

func names(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("p%05d", i))
	}
	return all
}

// TestPages goes through 10,000 items.
func TestPages(t *testing.T) {
	t.Parallel()
	all := names(0, 10000)
	for _, size := range []*int{nil, new(20), new(99)} {
		var got []string
		var marker *string
		for pages := 1; ; pages++ {
			page, next, err := awsapi.Page(all, marker, size, itself)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page...)
			if marker = next; marker == nil {
				break
			}
			if len(page) == 0 || pages > len(all) {
				t.Fatalf("page %d has %d items and is not the last", pages, len(page))
			}
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("all pages together (-want +got):\n%s", diff)
		}
	}
}

func TestPageEdges(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{0: 0, 19: 19, 20: 20, 21: 20} {
		page, marker, err := awsapi.Page(names(0, n), nil, new(20), itself)
		if err != nil || len(page) != want || (marker != nil) != (n > 20) {
			t.Errorf("%d items: got %d, marker %v, %v; want %d", n, len(page), marker, err, want)
		}
	}
	unsorted := []string{"c", "a", "b"}
	page, _, err := awsapi.Page(unsorted, new(""), nil, itself)
	if err != nil || !slices.Equal(page, []string{"a", "b", "c"}) || !slices.Equal(unsorted, []string{"c", "a", "b"}) {
		t.Errorf("got %v, %v from %v", page, err, unsorted)
	}
}

// TestPageSurvives changes the items between two calls: the others appear once.
func TestPageSurvives(t *testing.T) {
	t.Parallel()
	all := names(0, 50)
	first, marker, err := awsapi.Page(all, nil, new(20), itself)
	if err != nil {
		t.Fatal(err)
	}
	// The item that the marker names goes, and items come before and behind it.
	changed := slices.Concat([]string{"a"}, all[:19], []string{"p00019x"}, all[20:], []string{"z"})
	second, marker, err := awsapi.Page(changed, marker, new(20), itself)
	if err != nil {
		t.Fatal(err)
	}
	third, marker, err := awsapi.Page(changed, marker, new(20), itself)
	if err != nil || marker != nil {
		t.Fatalf("third page: marker %v, %v", marker, err)
	}
	want := slices.Concat(all[:20], []string{"p00019x"}, all[20:], []string{"z"})
	if diff := cmp.Diff(want, slices.Concat(first, second, third)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if page, marker, err := awsapi.Page(all[:10], new(markerOf(t, all)), nil, itself); err != nil || len(page) != 0 || marker != nil {
		t.Errorf("nothing is left behind the marker: got %v, %v, %v", page, marker, err)
	}
}

func markerOf(t *testing.T, all []string) string {
	_, marker, err := awsapi.Page(all, nil, new(20), itself)
	if err != nil || marker == nil {
		t.Fatal(marker, err)
	}
	return *marker
}

func TestPageRefuses(t *testing.T) {
	t.Parallel()
	good := markerOf(t, names(0, 30))
	tests := []struct {
		paging awsapi.Paging
		size   *int
		marker string
		want   string
	}{
		{awsapi.RDSPaging, new(19), "", "InvalidParameterValue: Invalid value 19 for MaxRecords. Must be between 20 and 100"},
		{awsapi.RDSPaging, new(101), good, "InvalidParameterValue: Invalid value 101 for MaxRecords. Must be between 20 and 100"},
		{awsapi.RDSPaging, new(-1), "", "InvalidParameterValue: Invalid value -1 for MaxRecords. Must be between 20 and 100"},
		{awsapi.RDSPaging, nil, "p00019", "InvalidParameterValue: Invalid value for Marker: it is not one that an earlier answer has given"},
		{awsapi.RDSPaging, nil, good + "\n", "InvalidParameterValue: Invalid value for Marker: it is not one that an earlier answer has given"},
		{awsapi.RDSPaging, nil, "cDAwMDE5", "InvalidParameterValue: Invalid value for Marker: it is not one that an earlier answer has given"},
		{
			awsapi.IAMPaging, new(0), "",
			"ValidationError: 1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1",
		},
		{
			awsapi.IAMPaging, new(1001), "",
			"ValidationError: 1 validation error detected: Value '1001' at 'maxItems' failed to satisfy constraint: Member must have value less than or equal to 1000",
		},
		{awsapi.IAMPaging, nil, "?", "ValidationError: Invalid Marker: it is not one that an earlier answer has given"},
		{awsapi.SecretsPaging, nil, "?", "InvalidNextTokenException: The NextToken value is invalid."},
	}
	for _, tt := range tests {
		_, _, err := awsapi.PageOf(tt.paging, names(0, 3), &tt.marker, tt.size, itself)
		var e *awsapi.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
}

// TestPageInOrder keeps the order that the items come in.
func TestPageInOrder(t *testing.T) {
	t.Parallel()
	all := []string{"c", "a", "d", "b", "e"}
	var got []string
	var marker *string
	for pages := 0; pages == 0 || marker != nil; pages++ {
		page, next, err := awsapi.PageInOrder(awsapi.SecretsPaging, all, marker, new(2), itself)
		if err != nil || pages > 3 {
			t.Fatalf("page %d: %v", pages, err)
		}
		got, marker = append(got, page...), next
	}
	if !slices.Equal(got, all) {
		t.Errorf("all pages together: %v, want %v", got, all)
	}
	_, marker, _ = awsapi.PageInOrder(awsapi.SecretsPaging, all, nil, new(2), itself)
	for name, bad := range map[string]*string{"gone": marker, "empty": new(""), "no marker": new("?")} {
		if _, _, err := awsapi.PageInOrder(awsapi.SecretsPaging, []string{"c", "d"}, bad, nil, itself); err == nil || err.Error() != "InvalidNextTokenException: The NextToken value is invalid." {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, _, err := awsapi.PageInOrder(awsapi.SecretsPaging, all, nil, new(101), itself); err == nil || err.Error() != "InvalidParameterException: MaxResults must be from 1 to 100." {
		t.Errorf("101 at once: got %v", err)
	}
	if page, _, err := awsapi.PageOf[string](awsapi.IAMPaging, nil, nil, nil, itself); page == nil || err != nil {
		t.Errorf("of nothing: %v, %v; want an empty page", page, err)
	}
}
