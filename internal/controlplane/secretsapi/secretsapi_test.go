package secretsapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/secretsapi"
)

// world is an API over an empty state, with a clock of its own.
type world struct {
	*secretsapi.API
	t     *testing.T
	plane *controlplane.Plane
	store *memory.Store
	clock time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, store: memory.New(), clock: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	var err error
	if w.plane, err = controlplane.Open(t.Context(), w.store, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.plane.Close)
	if _, err := w.plane.Update(t.Context(), func(tx *controlplane.Tx) error {
		tx.Accounts.Put("account", &controlplane.Account{ID: "123456789012", Region: "eu-central-1"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ring, err := controlplane.ParseKeys(controlplane.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	w.API = secretsapi.New(w.plane, ring, func() time.Time { return w.clock })
	return w
}

// caller may do everything but what denies says.
type caller struct {
	denies string // an action
	asked  []awsapi.Access
}

func (*caller) ARN() string       { return "arn:aws:iam::123456789012:user/t" }
func (*caller) AccountID() string { return "123456789012" }
func (*caller) UserID() string    { return "AIDAT" }

func (c *caller) Authorize(_ *awsapi.Call, a awsapi.Access) error {
	c.asked = append(c.asked, a)
	if a.Action == c.denies {
		return awsapi.Errorf(403, "AccessDenied", "no")
	}
	return nil
}

func call(c *caller) *awsapi.Call { return &awsapi.Call{Caller: c} }

func ptr[T any](v T) *T { return &v }

// do calls an operation that must succeed.
func do[In, Out any](t *testing.T, op func(context.Context, *awsapi.Call, *In) (*Out, error), in In) *Out {
	t.Helper()
	out, err := op(t.Context(), call(&caller{}), &in)
	if err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	return out
}

// refused calls an operation that must fail with a code, and change nothing.
func refused[In, Out any](t *testing.T, w *world, op func(context.Context, *awsapi.Call, *In) (*Out, error), in In, code string) {
	t.Helper()
	before := w.plane.State().Revision
	_, err := op(t.Context(), call(&caller{}), &in)
	var e *awsapi.Error
	if !errors.As(err, &e) || e.Code != code || e.Status != 400 {
		t.Errorf("%+v: got %v, want %s", in, err, code)
	}
	if after := w.plane.State().Revision; after != before {
		t.Errorf("%+v: refused, and changed the state", in)
	}
}

func (w *world) value(id string, stage *string) string {
	w.t.Helper()
	return *do(w.t, w.GetSecretValue, secretsapi.GetSecretValueInput{SecretID: id, VersionStage: stage}).SecretString
}

func TestLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: "app/db", SecretString: ptr("one"), Description: ptr("d"), Tags: []secretsapi.Tag{{Key: "team", Value: "blue"}}})
	if !strings.HasPrefix(made.ARN, "arn:aws:secretsmanager:eu-central-1:123456789012:secret:app/db-") || made.VersionID == nil {
		t.Errorf("made %+v", made)
	}
	for _, id := range []string{"app/db", made.ARN, made.ARN[:len(made.ARN)-7]} {
		if got := w.value(id, nil); got != "one" {
			t.Errorf("by %s: %q", id, got)
		}
	}
	do(t, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: "app/db", SecretString: ptr("two")})
	if now, before := w.value("app/db", nil), w.value("app/db", ptr("AWSPREVIOUS")); now != "two" || before != "one" {
		t.Errorf("after PutSecretValue: %q and %q", now, before)
	}
	pending := do(t, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: "app/db", SecretString: ptr("three"), VersionStages: []string{"AWSPENDING"}})
	if got := w.value("app/db", nil); got != "two" {
		t.Errorf("with a pending version: %q", got)
	}
	current := do(t, w.GetSecretValue, secretsapi.GetSecretValueInput{SecretID: "app/db"}).VersionID
	do(t, w.UpdateSecretVersionStage, secretsapi.UpdateSecretVersionStageInput{SecretID: "app/db", VersionStage: "AWSCURRENT", MoveToVersionID: &pending.VersionID, RemoveFromVersionID: &current})
	if now, before := w.value("app/db", nil), w.value("app/db", ptr("AWSPREVIOUS")); now != "three" || before != "two" {
		t.Errorf("after the pending version was made current: %q and %q", now, before)
	}
	d := do(t, w.DescribeSecret, secretsapi.SecretIDInput{SecretID: "app/db"})
	if len(d.VersionIdsToStages) != 2 || *d.Description != "d" || d.Tags[0].Value != "blue" {
		t.Errorf("described as %+v", d)
	}
	all := do(t, w.ListSecretVersionIds, secretsapi.ListSecretVersionIdsInput{SecretID: "app/db", IncludeDeprecated: ptr(true)})
	if len(all.Versions) != 3 || all.Versions[0].VersionID != pending.VersionID {
		t.Errorf("versions %+v", all.Versions)
	}

	deleted := do(t, w.DeleteSecret, secretsapi.DeleteSecretInput{SecretID: "app/db", RecoveryWindowInDays: ptr(7)})
	if want := w.clock.AddDate(0, 0, 7); !deleted.DeletionDate.Equal(want) {
		t.Errorf("goes at %v, want %v", deleted.DeletionDate, want)
	}
	refused(t, w, w.GetSecretValue, secretsapi.GetSecretValueInput{SecretID: "app/db"}, "InvalidRequestException")
	refused(t, w, w.CreateSecret, secretsapi.CreateSecretInput{Name: "app/db", SecretString: ptr("x")}, "InvalidRequestException")
	do(t, w.RestoreSecret, secretsapi.SecretIDInput{SecretID: "app/db"})
	if got := w.value("app/db", nil); got != "three" {
		t.Errorf("restored: %q", got)
	}
	do(t, w.DeleteSecret, secretsapi.DeleteSecretInput{SecretID: "app/db"})
	w.clock = w.clock.AddDate(0, 0, 31)
	if err := w.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused(t, w, w.RestoreSecret, secretsapi.SecretIDInput{SecretID: "app/db"}, "ResourceNotFoundException")
	again := do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: "app/db", SecretString: ptr("new")})
	if again.ARN == made.ARN {
		t.Error("a secret that is made again has the old one's ARN")
	}
	do(t, w.DeleteSecret, secretsapi.DeleteSecretInput{SecretID: again.ARN, ForceDeleteWithoutRecovery: ptr(true)})
	refused(t, w, w.DescribeSecret, secretsapi.SecretIDInput{SecretID: again.ARN}, "ResourceNotFoundException")
}

func TestNothingReadableIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: "s", SecretString: ptr("hunter2-hunter2")})
	entries, _, err := w.store.Load(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(string(e.Value), "hunter2") || strings.Contains(string(e.Value), "aHVudGVyMi1odW50ZXIy") {
			t.Errorf("%s shows the secret: %s", e.Key, e.Value)
		}
	}
}

func TestSameRequestAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := ptr("11111111-2222-3333-4444-555555555555")
	in := secretsapi.CreateSecretInput{Name: "s", SecretString: ptr("one"), ClientRequestToken: token}
	first, second := do(t, w.CreateSecret, in), do(t, w.CreateSecret, in)
	if first.ARN != second.ARN {
		t.Errorf("%s and %s", first.ARN, second.ARN)
	}
	in.SecretString = ptr("two")
	refused(t, w, w.CreateSecret, in, "ResourceExistsException")
	do(t, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: "s", SecretString: ptr("one"), ClientRequestToken: token})
	refused(t, w, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: "s", SecretString: ptr("two"), ClientRequestToken: token}, "ResourceExistsException")
	if v := do(t, w.ListSecretVersionIds, secretsapi.ListSecretVersionIdsInput{SecretID: "s"}); len(v.Versions) != 1 {
		t.Errorf("versions %+v", v.Versions)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: "s", SecretString: ptr("one")})
	one := do(t, w.GetSecretValue, secretsapi.GetSecretValueInput{SecretID: "s"}).VersionID
	long := strings.Repeat("x", 65537)

	refused(t, w, w.CreateSecret, secretsapi.CreateSecretInput{Name: "s", SecretString: ptr("x")}, "ResourceExistsException")
	refused(t, w, w.CreateSecret, secretsapi.CreateSecretInput{Name: "a b"}, "InvalidParameterException")
	refused(t, w, w.CreateSecret, secretsapi.CreateSecretInput{Name: "n", SecretString: ptr("")}, "InvalidParameterException")
	refused(t, w, w.CreateSecret, secretsapi.CreateSecretInput{Name: "n", SecretString: &long}, "InvalidParameterException")
	refused(t, w, w.CreateSecret, secretsapi.CreateSecretInput{Name: "n", SecretString: ptr("x"), SecretBinary: []byte("x")}, "InvalidParameterException")
	refused(t, w, w.CreateSecret, secretsapi.CreateSecretInput{Name: "n", ClientRequestToken: ptr("short")}, "InvalidParameterException")
	refused(t, w, w.CreateSecret, secretsapi.CreateSecretInput{Name: "n", AddReplicaRegions: []secretsapi.ReplicaRegion{{}}}, "InvalidParameterException")
	refused(t, w, w.CreateSecret, secretsapi.CreateSecretInput{Name: "n", Tags: []secretsapi.Tag{{Key: "aws:x"}}}, "InvalidParameterException")
	refused(t, w, w.CreateSecret, secretsapi.CreateSecretInput{Name: "n", Tags: []secretsapi.Tag{{Key: "k"}, {Key: "k"}}}, "InvalidParameterException")
	refused(t, w, w.GetSecretValue, secretsapi.GetSecretValueInput{SecretID: "none"}, "ResourceNotFoundException")
	refused(t, w, w.GetSecretValue, secretsapi.GetSecretValueInput{SecretID: ""}, "InvalidParameterException")
	refused(t, w, w.GetSecretValue, secretsapi.GetSecretValueInput{SecretID: "s", VersionStage: ptr("AWSPENDING")}, "ResourceNotFoundException")
	refused(t, w, w.GetSecretValue, secretsapi.GetSecretValueInput{SecretID: "s", VersionID: ptr("none")}, "ResourceNotFoundException")
	refused(t, w, w.GetSecretValue, secretsapi.GetSecretValueInput{SecretID: "s", VersionID: &one, VersionStage: ptr("AWSPREVIOUS")}, "InvalidRequestException")
	refused(t, w, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: "s"}, "InvalidParameterException")
	refused(t, w, w.UpdateSecretVersionStage, secretsapi.UpdateSecretVersionStageInput{SecretID: "s", VersionStage: "AWSCURRENT", RemoveFromVersionID: &one}, "InvalidParameterException")
	refused(t, w, w.UpdateSecretVersionStage, secretsapi.UpdateSecretVersionStageInput{SecretID: "s", VersionStage: "AWSCURRENT", MoveToVersionID: ptr("none")}, "ResourceNotFoundException")
	refused(t, w, w.DeleteSecret, secretsapi.DeleteSecretInput{SecretID: "s", RecoveryWindowInDays: ptr(6)}, "InvalidParameterException")
	refused(t, w, w.DeleteSecret, secretsapi.DeleteSecretInput{SecretID: "s", RecoveryWindowInDays: ptr(7), ForceDeleteWithoutRecovery: ptr(true)}, "InvalidParameterException")
	refused(t, w, w.RotateSecret, secretsapi.RotateSecretInput{SecretID: "s"}, "InvalidRequestException")
	refused(t, w, w.PutResourcePolicy, secretsapi.PutResourcePolicyInput{SecretID: "s", ResourcePolicy: "{"}, "MalformedPolicyDocumentException")
	refused(t, w, w.PutResourcePolicy, secretsapi.PutResourcePolicyInput{SecretID: "s", BlockPublicPolicy: ptr(true), ResourcePolicy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"}}`}, "PublicPolicyException")
	refused(t, w, w.ListSecrets, secretsapi.ListSecretsInput{NextToken: ptr("?")}, "InvalidNextTokenException")
	refused(t, w, w.ListSecrets, secretsapi.ListSecretsInput{MaxResults: ptr(101)}, "InvalidParameterException")
	refused(t, w, w.ListSecrets, secretsapi.ListSecretsInput{Filters: []secretsapi.Filter{{Key: "colour", Values: []string{"x"}}}}, "ValidationException")
	refused(t, w, w.GetRandomPassword, secretsapi.GetRandomPasswordInput{PasswordLength: ptr(3)}, "InvalidParameterException")
}

// TestAuthorised: who may not is told so before anything else, with the secret's own policy and tags taken into account.
// TestPublicPolicy: whatever way a policy lets everybody in, BlockPublicPolicy refuses it.
func TestPublicPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn := do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: "s", SecretString: ptr("x")}).ARN
	const all, own = `"Effect":"Allow","Principal":"*"`, `"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/ann"}`
	for statement, public := range map[string]bool{
		all + `,"Action":"secretsmanager:GetSecretValue","Resource":"*"`:                                                               true,
		all + `,"Action":"secretsmanager:GetSecretValue","Resource":"` + arn + `"`:                                                     true,
		all + `,"Action":"secretsmanager:PutResourcePolicy","Resource":"*"`:                                                            true,
		all + `,"Action":"secretsmanager:Put*","Resource":"` + arn + `","Condition":{"Bool":{"aws:SecureTransport":"true"}}`:           true,
		`"Effect":"Allow","Principal":{"AWS":"*"},"NotAction":"secretsmanager:GetSecretValue","Resource":"*"`:                          true,
		all + `,"Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`:   false,
		all + `,"Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:eu-central-1:123456789012:secret:another"`: false,
		own + `,"Action":"secretsmanager:*","Resource":"*"`:                                                                            false,
	} {
		in := secretsapi.PutResourcePolicyInput{SecretID: "s", BlockPublicPolicy: ptr(true), ResourcePolicy: `{"Version":"2012-10-17","Statement":{` + statement + `}}`}
		if public {
			refused(t, w, w.PutResourcePolicy, in, "PublicPolicyException")
		} else {
			do(t, w.PutResourcePolicy, in)
		}
		in.BlockPublicPolicy = nil
		do(t, w.PutResourcePolicy, in)
	}
	for _, text := range []string{"", `{"Version":"2012-10-17","Statement":{` + own + `,"Action":"secretsmanager:*","Resource":"*"}}` + strings.Repeat(" ", 20480)} {
		refused(t, w, w.PutResourcePolicy, secretsapi.PutResourcePolicyInput{SecretID: "s", ResourcePolicy: text}, "ValidationError")
	}
	long := strings.Repeat("k", 2049)
	refused(t, w, w.CreateSecret, secretsapi.CreateSecretInput{Name: "t", KmsKeyID: &long}, "InvalidParameterException")
	refused(t, w, w.UpdateSecret, secretsapi.UpdateSecretInput{SecretID: "s", KmsKeyID: &long}, "InvalidParameterException")
}

func TestAuthorised(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: "s", SecretString: ptr("one"), Tags: []secretsapi.Tag{{Key: "team", Value: "blue"}}})
	text := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"secretsmanager:DeleteSecret","Resource":"*"}}`
	do(t, w.PutResourcePolicy, secretsapi.PutResourcePolicyInput{SecretID: "s", ResourcePolicy: text})

	who := &caller{denies: "secretsmanager:GetSecretValue"}
	for _, id := range []string{"s", "none"} {
		_, err := w.GetSecretValue(t.Context(), call(who), &secretsapi.GetSecretValueInput{SecretID: id})
		var e *awsapi.Error
		if !errors.As(err, &e) || e.Code != "AccessDenied" {
			t.Errorf("%s: got %v, want AccessDenied", id, err)
		}
	}
	is := who.asked[0]
	if is.Resource != made.ARN || is.Policy != text || !slices.Equal(is.Keys["aws:ResourceTag/team"], []string{"blue"}) || !slices.Equal(is.Keys["secretsmanager:VersionStage"], []string{"AWSCURRENT"}) {
		t.Errorf("asked for %+v", is)
	}
	if want := "arn:aws:secretsmanager:eu-central-1:123456789012:secret:none-??????"; who.asked[1].Resource != want {
		t.Errorf("of a secret that is not there: %s", who.asked[1].Resource)
	}

	// A policy for AWSCURRENT alone must not let in whoever names an older version by its id.
	do(t, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: "s", SecretString: ptr("two")})
	who = &caller{}
	if _, err := w.GetSecretValue(t.Context(), call(who), &secretsapi.GetSecretValueInput{SecretID: "s", VersionID: made.VersionID}); err != nil {
		t.Fatal(err)
	}
	if stage := who.asked[0].Keys["secretsmanager:VersionStage"]; stage != nil || !slices.Equal(who.asked[0].Keys["secretsmanager:VersionId"], []string{*made.VersionID}) {
		t.Errorf("by its id alone: asked for stage %v, keys %v", stage, who.asked[0].Keys)
	}

	who = &caller{denies: "secretsmanager:TagResource"}
	tagged := secretsapi.CreateSecretInput{Name: "tagged", SecretString: ptr("one"), Tags: []secretsapi.Tag{{Key: "team", Value: "red"}}}
	if _, err := w.CreateSecret(t.Context(), call(who), &tagged); err == nil {
		t.Error("a secret was made with tags by somebody who may not tag it")
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 250 {
		w.clock = w.clock.Add(time.Second)
		do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: fmt.Sprintf("s/%03d", i), Tags: []secretsapi.Tag{{Key: "parity", Value: fmt.Sprint(i % 2)}}})
	}
	var names []string
	in := secretsapi.ListSecretsInput{SortOrder: ptr("asc"), MaxResults: ptr(30), Filters: []secretsapi.Filter{{Key: "tag-value", Values: []string{"1"}}}}
	for {
		out := do(t, w.ListSecrets, in)
		for _, e := range out.SecretList {
			names = append(names, e.Name)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if len(names) != 125 || names[0] != "s/001" || names[124] != "s/249" || !slices.IsSorted(names) {
		t.Errorf("%d names: %v", len(names), names)
	}
	newest := do(t, w.ListSecrets, secretsapi.ListSecretsInput{})
	if len(newest.SecretList) != 100 || newest.SecretList[0].Name != "s/249" || newest.NextToken == nil {
		t.Errorf("%d secrets, first %s", len(newest.SecretList), newest.SecretList[0].Name)
	}
	if out := do(t, w.ListSecrets, secretsapi.ListSecretsInput{Filters: []secretsapi.Filter{{Key: "name", Values: []string{"!s/0", "s/001"}}}}); len(out.SecretList) != 100 {
		t.Errorf("%d secrets by name", len(out.SecretList))
	}
	do(t, w.DeleteSecret, secretsapi.DeleteSecretInput{SecretID: "s/000"})
	byName := []secretsapi.Filter{{Key: "name", Values: []string{"s/000"}}}
	if out := do(t, w.ListSecrets, secretsapi.ListSecretsInput{Filters: byName}); len(out.SecretList) != 0 {
		t.Errorf("a deleted secret is listed: %+v", out.SecretList)
	}
	if out := do(t, w.ListSecrets, secretsapi.ListSecretsInput{Filters: byName, IncludePlannedDeletion: ptr(true)}); len(out.SecretList) != 1 || out.SecretList[0].DeletedDate == nil {
		t.Errorf("with planned deletions: %+v", out.SecretList)
	}
}

// TestSorted: each of the orders that can be asked for is the one that is given.
func TestSorted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	day := func() { w.clock = w.clock.Add(24 * time.Hour) }
	for _, name := range []string{"b", "c", "a"} { // made in this order
		do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: name, SecretString: ptr("x")})
		day()
	}
	for _, name := range []string{"c", "a", "b"} { // changed in this one
		do(t, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: name, SecretString: ptr("y")})
		day()
	}
	for _, name := range []string{"a", "c"} { // and read in this one, b never
		w.value(name, nil)
		day()
	}
	for by, want := range map[string]string{"": "bca", "created-date": "bca", "last-changed-date": "cab", "last-accessed-date": "bac", "name": "abc"} {
		for order, reversed := range map[string]bool{"asc": false, "desc": true} {
			in := secretsapi.ListSecretsInput{SortOrder: &order}
			if by != "" {
				in.SortBy = &by
			}
			var got []string
			for _, e := range do(t, w.ListSecrets, in).SecretList {
				got = append(got, e.Name)
			}
			if reversed {
				slices.Reverse(got)
			}
			if all := strings.Join(got, ""); all != want {
				t.Errorf("by %q, %s: %s, want %s", by, order, all, want)
			}
		}
	}
	refused(t, w, w.ListSecrets, secretsapi.ListSecretsInput{SortBy: ptr("size")}, "ValidationException")
}

func TestVersionsArePruned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: "s", SecretString: ptr("0")})
	for i := range 40 {
		do(t, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: "s", SecretString: ptr(fmt.Sprint(i))})
	}
	v := do(t, w.ListSecretVersionIds, secretsapi.ListSecretVersionIdsInput{SecretID: "s", IncludeDeprecated: ptr(true)})
	if len(v.Versions) != 12 || w.value("s", nil) != "39" || w.value("s", ptr("AWSPREVIOUS")) != "38" {
		t.Errorf("%d versions, the current one %s", len(v.Versions), w.value("s", nil))
	}
}

func TestRandomPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tests := []struct {
		in   secretsapi.GetRandomPasswordInput
		n    int
		each []string // of each of these at least one
		none string   // of these none
	}{
		{secretsapi.GetRandomPasswordInput{}, 32, []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"}, " "},
		{secretsapi.GetRandomPasswordInput{PasswordLength: ptr(4)}, 4, []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"}, " "},
		{secretsapi.GetRandomPasswordInput{PasswordLength: ptr(20), ExcludePunctuation: ptr(true), ExcludeCharacters: ptr("abc0"), IncludeSpace: ptr(true)}, 20, []string{" ", "123456789"}, "abc0!/"},
		{secretsapi.GetRandomPasswordInput{PasswordLength: ptr(1), RequireEachIncludedType: ptr(false), ExcludeLowercase: ptr(true)}, 1, nil, "abcdefghijklmnopqrstuvwxyz"},
	}
	for _, tt := range tests {
		for range 50 {
			got := do(t, w.GetRandomPassword, tt.in).RandomPassword
			if len(got) != tt.n || strings.ContainsAny(got, tt.none) {
				t.Fatalf("%+v: %q", tt.in, got)
			}
			for _, chars := range tt.each {
				if !strings.ContainsAny(got, chars) {
					t.Fatalf("%+v: %q has none of %q", tt.in, got, chars)
				}
			}
		}
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: "s", Tags: []secretsapi.Tag{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}})
	do(t, w.TagResource, secretsapi.TagResourceInput{SecretID: "s", Tags: []secretsapi.Tag{{Key: "a", Value: "3"}, {Key: "c", Value: ""}}})
	do(t, w.UntagResource, secretsapi.UntagResourceInput{SecretID: "s", TagKeys: []string{"b", "none"}})
	got := do(t, w.DescribeSecret, secretsapi.SecretIDInput{SecretID: "s"}).Tags
	if want := []secretsapi.Tag{{Key: "a", Value: "3"}, {Key: "c"}}; !slices.Equal(got, want) {
		t.Errorf("tags %v, want %v", got, want)
	}
}

// TestManyExpire: more than one transaction may hold.
func TestManyExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 201 {
		do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: fmt.Sprint("s", i), SecretString: ptr("one")})
		if i > 0 {
			do(t, w.DeleteSecret, secretsapi.DeleteSecretInput{SecretID: fmt.Sprint("s", i), RecoveryWindowInDays: ptr(7)})
		}
	}
	w.clock = w.clock.AddDate(0, 0, 8)
	before := w.plane.State().Revision
	if err := w.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := w.plane.State(); s.Secrets.Len() != 1 || s.Revision != before+2 {
		t.Errorf("%d secrets are left after %d transactions", s.Secrets.Len(), s.Revision-before)
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: "s", SecretString: ptr("one")})
	for i := range 19 {
		do(t, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: "s", SecretString: ptr("x"), VersionStages: []string{fmt.Sprint("stage", i)}})
	}
	refused(t, w, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: "s", SecretString: ptr("x"), VersionStages: []string{"more"}}, "LimitExceededException")
	do(t, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: "s", SecretString: ptr("x"), VersionStages: []string{"stage1"}})
}

// TestForcedDeletion is no error where there is nothing to delete.
func TestForcedDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refused(t, w, w.DeleteSecret, secretsapi.DeleteSecretInput{SecretID: "none"}, "ResourceNotFoundException")
	if out := do(t, w.DeleteSecret, secretsapi.DeleteSecretInput{SecretID: "none", ForceDeleteWithoutRecovery: ptr(true)}); out.Name != "none" {
		t.Errorf("got %+v", out)
	}
	_, err := w.DeleteSecret(t.Context(), call(&caller{denies: "secretsmanager:DeleteSecret"}), &secretsapi.DeleteSecretInput{SecretID: "none", ForceDeleteWithoutRecovery: ptr(true)})
	if err == nil {
		t.Error("who may not delete was told that nothing is there")
	}
}

// TestPreviousSince: it is noted when a version becomes the previous one, by whatever operation, and nothing else changes that.
func TestPreviousSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := *do(t, w.CreateSecret, secretsapi.CreateSecretInput{Name: "s", SecretString: ptr("one")}).VersionID
	check := func(step string, want time.Time) {
		t.Helper()
		if got := w.plane.State().FindSecret("s").PreviousSince; !got.Equal(want) {
			t.Errorf("%s: previous since %v, want %v", step, got, want)
		}
		w.clock = w.clock.Add(time.Hour)
	}
	check("created", time.Time{})
	moved := w.clock
	two := do(t, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: "s", SecretString: ptr("two")}).VersionID
	check("put", moved)
	do(t, w.UpdateSecret, secretsapi.UpdateSecretInput{SecretID: "s", Description: ptr("d")})
	pending := do(t, w.PutSecretValue, secretsapi.PutSecretValueInput{SecretID: "s", SecretString: ptr("three"), VersionStages: []string{"AWSPENDING"}}).VersionID
	check("described, and pending", moved)
	moved = w.clock
	do(t, w.UpdateSecretVersionStage, secretsapi.UpdateSecretVersionStageInput{SecretID: "s", VersionStage: "AWSCURRENT", MoveToVersionID: &pending, RemoveFromVersionID: &two})
	check("moved", moved)
	moved = w.clock
	do(t, w.UpdateSecretVersionStage, secretsapi.UpdateSecretVersionStageInput{SecretID: "s", VersionStage: "AWSPREVIOUS", MoveToVersionID: &one, RemoveFromVersionID: &two})
	check("another one made previous", moved)
	do(t, w.UpdateSecretVersionStage, secretsapi.UpdateSecretVersionStageInput{SecretID: "s", VersionStage: "AWSPREVIOUS", RemoveFromVersionID: &one})
	check("none", time.Time{})
}
