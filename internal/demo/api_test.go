package demo

import "testing"

func TestValue(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"{\n  \"Role\": {\"RoleName\": \"x\", \"Arn\": \"arn:aws:iam::1:role/x\"}}": "arn:aws:iam::1:role/x",
		"<R><RoleName>x</RoleName><Arn>arn:aws:iam::1:role/x</Arn></R>":             "arn:aws:iam::1:role/x",
		`{"ARN": "other"}`: "",
	} {
		if got, err := value(answer, "Arn"); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v; want %q", answer, got, err, want)
		}
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	if got, want := shown([]string{"aws", "--auth", `[{"a": "it's"}]`, "file://x.json"}), `aws --auth '[{"a": "it'\''s"}]' file://x.json`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
