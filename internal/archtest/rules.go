package archtest

// Rules are the import rules of this project. Patterns name packages relative to the module ("internal/pool") or
// modules of others by their full path; "/..." at the end means the package and all below it.
var Rules = []Rule{
	{
		Why:  "wire/* turns bytes into messages: what does no I/O and needs no library can be fuzzed and reused anywhere",
		In:   []string{"internal/wire/..."},
		Only: []string{std},
	},
	{
		Why:  "the pool knows no protocol, so that it serves every engine and can be tested with fakes alone",
		In:   []string{"internal/pool/..."},
		Only: []string{std},
	},
	{
		Why:  "event loops know no database; beyond the standard library they need the kernel's calls and nothing else",
		In:   []string{"internal/evloop/...", "internal/dataplane/evloop/..."},
		Only: []string{std, "golang.org/x/sys/..."},
	},
	{
		Why:  "resource holds plain values that every layer may import: an import here would be an import everywhere",
		In:   []string{"internal/resource/..."},
		Only: []string{std},
	},
	{
		Why:  "sigv4 checks signatures for the API and for log-ins alike: it holds no keys, does no I/O and can be fuzzed",
		In:   []string{"internal/sigv4/..."},
		Only: []string{std},
	},
	{
		Why:  "policy decides from its arguments alone, so that every rule of IAM's can be a row in a table",
		In:   []string{"internal/policy/..."},
		Only: []string{std},
	},
	{
		Why:      "one engine never imports another: adding or removing an engine touches engine/x and wire/x alone",
		Siblings: "internal/engine",
	},
	{
		Why:      "one protocol never imports another: each is read against its own specification",
		Siblings: "internal/wire",
	},
	{
		Why: "an engine speaks its own protocol only",
		In:  []string{"internal/engine/postgres/..."},
		Not: []string{"internal/wire/mysqlwire/...", "internal/wire/tds/..."},
	},
	{
		Why: "an engine speaks its own protocol only",
		In:  []string{"internal/engine/mysql/..."},
		Not: []string{"internal/wire/pgwire/...", "internal/wire/tds/..."},
	},
	{
		Why: "an engine speaks its own protocol only",
		In:  []string{"internal/engine/sqlserver/..."},
		Not: []string{"internal/wire/pgwire/...", "internal/wire/mysqlwire/..."},
	},
	{
		Why: "imports point downwards: an engine is used by sessions and knows nothing of what drives it",
		In:  []string{"internal/engine/..."},
		Not: []string{"cmd/...", "internal/app/...", "internal/dataplane/...", "internal/controlplane/...", "internal/config/..."},
	},
	{
		Why: "the planes meet in app: the data plane is handed a resource.Snapshot and does not know where it came from",
		In:  []string{"internal/dataplane/..."},
		Not: []string{"internal/config/...", "internal/controlplane/...", "internal/cluster/...", "internal/app/..."},
	},
	{
		Why: "the planes meet in app: the control plane is handed dataplane.Apply as a function",
		In:  []string{"internal/controlplane/..."},
		Not: []string{"internal/dataplane/...", "internal/app/..."},
	},
	{
		Why:  "awsapi turns requests into calls and answers into bytes: what the calls do, and who may make them, it is told",
		In:   []string{"internal/controlplane/awsapi/..."},
		Only: []string{std, "internal/loopback"},
	},
	{
		Why: "imports point downwards: the APIs are ways to the desired state, which knows none of them",
		In:  []string{"internal/controlplane"},
		Not: []string{"internal/controlplane/rdsapi/...", "internal/controlplane/secretsapi/...", "internal/controlplane/iamapi/...", "internal/controlplane/forebayapi/..."},
	},
	{
		Why:  "client knows the API by what goes over the wire, as every other client does",
		In:   []string{"internal/client/..."},
		Only: []string{std, "internal/sigv4", "internal/cluster"},
	},
	{
		Why:    "app is the one place that assembles everything; only what starts a whole Forebay imports it",
		Import: []string{"internal/app/..."},
		OnlyIn: []string{"internal/app/...", "cmd/...", "internal/demo/...", "internal/testkit/...", "test/..."},
	},
	{
		Why:    "testkit starts servers and breaks connections on purpose: it is for tests alone",
		Import: []string{"internal/testkit/..."},
		OnlyIn: []string{"internal/testkit/...", "test/..."},
	},
	{
		Why:    "pgx is for messages off the hot path and for being a client: the relay itself is our own code",
		Import: []string{"github.com/jackc/pgx/..."},
		OnlyIn: []string{"internal/engine/postgres/...", "internal/storm/...", "internal/demo/...", "internal/localserver/...", "internal/testkit/...", "test/..."},
	},
	{
		Why:    "go-sql-driver/mysql is for being a client: the protocol between Forebay and both sides is our own code",
		Import: []string{"github.com/go-sql-driver/mysql/..."},
		OnlyIn: []string{"internal/storm/...", "internal/demo/...", "internal/localserver/...", "internal/testkit/...", "test/..."},
	},
	{
		Why:    "go-mssqldb is for being a client: the protocol between Forebay and both sides is our own code",
		Import: []string{"github.com/microsoft/go-mssqldb/..."},
		OnlyIn: []string{"internal/storm/...", "internal/testkit/...", "test/..."},
	},
	{
		Why:   "tdsserver is what the TDS of ours is held against: code that both share would hide its own mistakes",
		Tests: true,
		In:    []string{"internal/testkit/tdsserver/..."},
		Not:   []string{"internal/wire/...", "internal/engine/..."},
	},
	{
		Why:    "Edwards25519's arithmetic is needed for MariaDB's client_ed25519, whose keys crypto/ed25519 cannot hold, and for nothing else",
		Import: []string{"filippo.io/edwards25519/..."},
		OnlyIn: []string{"internal/engine/mysql/login/..."},
	},
	{
		Why:    "MySQL's zstd is not in the standard library, and its zlib takes three times as long; nothing else compresses",
		Import: []string{"github.com/klauspost/compress/..."},
		OnlyIn: []string{"internal/engine/mysql/compress/..."},
	},
	{
		Why:    "etcd, with all it brings, has one package; the others know cluster.Store alone",
		Import: []string{"go.etcd.io/..."},
		OnlyIn: []string{"internal/cluster/etcd/..."},
	},
	{
		Why:    "the AWS SDK, with all it brings, has one package for each service: what it answers is put into our own errors there",
		Import: []string{"github.com/aws/..."},
		OnlyIn: []string{"internal/secret/awssm/...", "internal/awskms/..."},
	},
	{
		Why:    "OpenID Connect's library has one package: what it finds is put into our own refusals there",
		Import: []string{"github.com/coreos/go-oidc/..."},
		OnlyIn: []string{"internal/oidc/..."},
	},
	{
		Why:  "a store of secrets knows no other kind, but for remote, which holds what is read over a network, and lease, which keeps what ends",
		In:   []string{"internal/secret/remote/...", "internal/secret/lease/...", "internal/secret/vault/..."},
		Only: []string{std, "internal/secret", "internal/secret/remote", "internal/secret/lease"},
	},
	{
		Why:  "patroni reads one answer of one API: what follows from it is for those who ask",
		In:   []string{"internal/patroni/..."},
		Only: []string{std},
	},
	{
		Why:    "etcd logs by zap, Forebay by slog: the two meet in one place",
		Import: []string{"go.uber.org/zap/..."},
		OnlyIn: []string{"internal/cluster/etcd/..."},
	},
	{
		Why:    "names and units of all metrics stand in one place; the others count with plain values",
		Import: []string{"github.com/prometheus/..."},
		OnlyIn: []string{"internal/metrics/...", "internal/admin/...", "internal/app/..."},
	},
	{
		Why:    "one package reads YAML, so that strictness and the wording of its errors are the same everywhere",
		Import: []string{"github.com/goccy/go-yaml/..."},
		OnlyIn: []string{"internal/config/..."},
	},
	{
		Why:    "flags and subcommands belong to the command line, not to the parts it starts",
		Import: []string{"github.com/spf13/cobra/...", "github.com/spf13/pflag/..."},
		OnlyIn: []string{"cmd/forebay/...", "internal/storm/...", "internal/demo/..."},
	},
	{
		Why:    "tests use the AWS SDK where it is what they are about: as a client that people have, and for secrets in AWS",
		Tests:  true,
		Import: []string{"github.com/aws/aws-sdk-go-v2/...", "github.com/aws/smithy-go/..."},
		OnlyIn: []string{"test/e2e/api/...", "internal/secret/awssm/...", "internal/awskms/...", "internal/app/..."},
	},
	{
		Why:    "toxiproxy breaks connections in tests, and logs by zerolog; the product has no use for either",
		Import: []string{"github.com/Shopify/toxiproxy/...", "github.com/rs/zerolog/..."},
		OnlyIn: []string{"internal/testkit/...", "test/..."},
	},
	{
		Why:    "the one binary is static (CGO_ENABLED=0): it runs in an empty container",
		Import: []string{"C"},
		Tests:  true,
	},
}
