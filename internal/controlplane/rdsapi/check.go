package rdsapi

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/resource"
)

// checkName holds a name to the contract's rule (2.3).
func checkName(member, name string) error {
	switch {
	case name == "":
		return missing(member)
	case !controlplane.ValidName(name):
		return invalid("The parameter %s is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens; they have 1 to 63 characters.", member)
	}
	return nil
}

func checkOptionalName(member string, name *string) error {
	if name == nil {
		return nil
	}
	if *name == "" {
		return invalid("The parameter %s must not be empty.", member)
	}
	return checkName(member, *name)
}

// checkEnum takes one of words; nil is the default.
func checkEnum(member string, word *string, words ...string) error {
	if word == nil || slices.Contains(words, *word) {
		return nil
	}
	return invalid("Invalid %s: %q. Valid values: %s.", member, clip(*word), strings.Join(words, ", "))
}

func checkRange(member string, n *int, low, high int) error {
	if n == nil || *n >= low && *n <= high {
		return nil
	}
	return invalid("Invalid %s: %d. It must be from %d to %d.", member, *n, low, high)
}

func checkLength(member string, s *string, low, high int) error {
	if s == nil {
		return nil
	}
	if n := utf8.RuneCountInString(*s); !utf8.ValidString(*s) || n < low || n > high {
		return invalid("Invalid %s: it must have %d to %d characters.", member, low, high)
	}
	return nil
}

var (
	roleARN    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\x21-\x7e]+$`)
	anyARN     = regexp.MustCompile(`^arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:[\x21-\x7e]+$`)
	subnetID   = regexp.MustCompile(`^subnet-[0-9a-zA-Z-]{1,64}$`)
	groupID    = regexp.MustCompile(`^sg-[0-9a-zA-Z-]{1,64}$`)
	tagText    = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	pinFilters = []string{controlplane.ExcludeVariableSets}
)

func checkRole(arn string) error {
	switch {
	case arn == "":
		return missing("RoleArn")
	case len(arn) < 20 || len(arn) > 2048 || !roleARN.MatchString(arn):
		return invalid("Invalid RoleArn: %q is not the ARN of an IAM role.", clip(arn))
	}
	return nil
}

// checkSubnets wants two different subnets. Forebay has no networks: that they exist, and where, is not looked at.
func checkSubnets(ids []string) error {
	if ids == nil {
		return missing("VpcSubnetIds")
	}
	different := map[string]bool{}
	for _, id := range ids {
		if !subnetID.MatchString(id) {
			return invalidSubnet("The subnet ID %q is not valid.", clip(id))
		}
		different[id] = true
	}
	if len(different) < 2 {
		return invalidSubnet("At least two subnets in different Availability Zones are needed.")
	}
	return nil
}

func checkGroups(member string, ids []string) error {
	for _, id := range ids {
		if !groupID.MatchString(id) {
			return invalid("Invalid %s: %q is not the ID of a security group.", member, clip(id))
		}
	}
	return nil
}

// groups are the security groups of what is made: those given, or the default one.
func groups(a *controlplane.Account, given []string) []string {
	if len(given) == 0 {
		return []string{a.DefaultSecurityGroupID()}
	}
	return given
}

// maxTags is how many tags a resource can have.
const maxTags = 50

func checkTags(tags []Tag) error {
	keys := map[string]bool{}
	for _, t := range tags {
		if err := checkTagKey(t.Key); err != nil {
			return err
		}
		if v := awsapi.Value(t.Value); utf8.RuneCountInString(v) > 256 || !tagText.MatchString(v) {
			return invalid("Invalid tag value for key %q: it has at most 256 letters, digits, spaces and characters of _ . : / = + - @.", clip(t.Key))
		}
		if keys[t.Key] {
			return invalid("The tag key %q is there twice.", clip(t.Key))
		}
		keys[t.Key] = true
	}
	if len(tags) > maxTags {
		return invalid("A resource has at most %d tags.", maxTags)
	}
	return nil
}

func checkTagKey(key string) error {
	lower := strings.ToLower(key)
	switch n := utf8.RuneCountInString(key); {
	case n < 1 || n > 128:
		return invalid("Invalid tag key: it must have 1 to 128 characters.")
	case strings.HasPrefix(lower, "aws:") || strings.HasPrefix(lower, "rds:"):
		return invalid("Invalid tag key %q: it must not begin with aws: or rds:.", clip(key))
	case !tagText.MatchString(key):
		return invalid("Invalid tag key %q: it has letters, digits, spaces and characters of _ . : / = + - @.", clip(key))
	}
	return nil
}

// passwordTypes are the ClientPasswordAuthTypes of a family, the default first (contract 3.2).
func passwordTypes(f resource.EngineFamily) []string {
	switch f {
	case resource.PostgreSQL:
		return []string{"POSTGRES_SCRAM_SHA_256", "POSTGRES_MD5"}
	case resource.SQLServer:
		return []string{"SQL_SERVER_AUTHENTICATION"}
	}
	return []string{"MYSQL_CACHING_SHA2_PASSWORD", "MYSQL_NATIVE_PASSWORD"}
}

// maxAuth is how many auth entries a proxy can have (contract 9.1).
const maxAuth = 200

// checkAuth checks auth entries by themselves and makes rows of them.
func checkAuth(f resource.EngineFamily, auth []UserAuthConfig) ([]controlplane.Auth, error) {
	if len(auth) > maxAuth {
		return nil, invalid("Invalid Auth: a proxy has at most %d entries.", maxAuth)
	}
	var rows []controlplane.Auth
	for i, a := range auth {
		at := fmt.Sprintf("Auth.member.%d.", i+1)
		types := passwordTypes(f)
		for _, err := range []error{
			checkEnum(at+"AuthScheme", a.AuthScheme, "SECRETS"),
			checkEnum(at+"IAMAuth", a.IAMAuth, "DISABLED", "REQUIRED", "ENABLED"),
			checkEnum(at+"ClientPasswordAuthType", a.ClientPasswordAuthType, types...),
			checkLength(at+"UserName", a.UserName, 1, 128),
			checkLength(at+"Description", a.Description, 1, 1000),
		} {
			if err != nil {
				return nil, err
			}
		}
		switch secret := awsapi.Value(a.SecretArn); {
		case secret == "":
			return nil, missing(at + "SecretArn")
		case len(secret) < 20 || len(secret) > 2048 || !anyARN.MatchString(secret):
			return nil, invalid("Invalid %sSecretArn: %q is not an ARN.", at, clip(secret))
		case awsapi.Value(a.IAMAuth) == "ENABLED" && f != resource.SQLServer:
			return nil, combination("%sIAMAuth ENABLED is for the engine family SQLSERVER; use DISABLED or REQUIRED.", at)
		}
		rows = append(rows, controlplane.Auth{
			AuthScheme: awsapi.Value(a.AuthScheme), SecretARN: *a.SecretArn, UserName: awsapi.Value(a.UserName), Description: awsapi.Value(a.Description),
			IAMAuth: awsapi.Value(a.IAMAuth), ClientPasswordAuthType: awsapi.Or(a.ClientPasswordAuthType, types[0]),
		})
	}
	return rows, nil
}

// checkScheme checks what has to be so between a proxy's members.
func checkScheme(f resource.EngineFamily, scheme string, auth []controlplane.Auth) error {
	switch {
	case scheme == "IAM_AUTH" && f == resource.SQLServer:
		return combination("DefaultAuthScheme IAM_AUTH is not for the engine family SQLSERVER.")
	case scheme == "NONE" && len(auth) == 0:
		return combination("Auth is required when DefaultAuthScheme is NONE.")
	}
	return nil
}
