package secretsapi

import (
	"context"
	"strings"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// GetRandomPasswordInput is the input of GetRandomPassword.
type GetRandomPasswordInput struct {
	PasswordLength          *int
	ExcludeCharacters       *string
	ExcludeNumbers          *bool
	ExcludePunctuation      *bool
	ExcludeUppercase        *bool
	ExcludeLowercase        *bool
	IncludeSpace            *bool
	RequireEachIncludedType *bool
}

// GetRandomPasswordOutput is the answer of GetRandomPassword.
type GetRandomPasswordOutput struct{ RandomPassword string }

// GetRandomPassword makes a password. Nothing keeps it.
func (a *API) GetRandomPassword(_ context.Context, c *awsapi.Call, in *GetRandomPasswordInput) (*GetRandomPasswordOutput, error) {
	if err := c.Authorize("secretsmanager:GetRandomPassword", "*"); err != nil {
		return nil, err
	}
	length := 32
	if in.PasswordLength != nil {
		length = *in.PasswordLength
	}
	if length < 1 || length > 4096 {
		return nil, invalid("PasswordLength must be from 1 to 4096.")
	}
	is := func(b *bool) bool { return b != nil && *b }
	var types []string
	for _, t := range []struct {
		chars string
		in    bool
	}{
		{"abcdefghijklmnopqrstuvwxyz", !is(in.ExcludeLowercase)},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZ", !is(in.ExcludeUppercase)},
		{"0123456789", !is(in.ExcludeNumbers)},
		{"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", !is(in.ExcludePunctuation)},
		{" ", is(in.IncludeSpace)},
	} {
		chars := strings.Map(func(r rune) rune {
			if strings.ContainsRune(awsapi.Value(in.ExcludeCharacters), r) {
				return -1
			}
			return r
		}, t.chars)
		if t.in && chars != "" {
			types = append(types, chars)
		}
	}
	each := in.RequireEachIncludedType == nil || *in.RequireEachIncludedType
	switch {
	case len(types) == 0:
		return nil, invalid("The password can't be generated: every character is excluded.")
	case each && length < len(types):
		return nil, invalid("The password length %d is too short to have a character of each included type.", length)
	}
	return &GetRandomPasswordOutput{randomPassword(length, types, each)}, nil
}

// randomPassword draws until each type is there if it must be: every password that will do is equally likely.
func randomPassword(length int, types []string, each bool) string {
	all := strings.Join(types, "")
	if length < 2*len(types) && each { // drawing until all are there could take long: place one of each first
		chars := make([]byte, 0, length)
		for _, t := range types {
			chars = append(chars, controlplane.Draw(1, t)...)
		}
		chars = append(chars, controlplane.Draw(length-len(chars), all)...)
		for i := len(chars) - 1; i > 0; i-- {
			j := controlplane.Below(i + 1)
			chars[i], chars[j] = chars[j], chars[i]
		}
		return string(chars)
	}
	for {
		chars := controlplane.Draw(length, all)
		ok := true
		for _, t := range types {
			ok = ok && strings.ContainsAny(chars, t)
		}
		if ok || !each {
			return chars
		}
	}
}
