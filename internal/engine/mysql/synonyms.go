package mysql

// Some variables have two names. Settings have one name for each, so that what is set by one and taken back by the other is
// one thing: a server tells of a change by the name that was used, or by the one that it likes better.

// mariaSynonyms are MariaDB's second names with those that settings have.
var mariaSynonyms = map[string]string{
	"default_storage_engine": "storage_engine", "log_slow_query_time": "long_query_time",
	"log_slow_min_examined_row_limit": "min_examined_row_limit", "log_slow_query": "slow_query_log",
}

// settingName is the name that settings have for a variable.
func (f *facts) settingName(name string) string {
	if f.mariaDB {
		if n, ok := mariaSynonyms[name]; ok {
			return n
		}
	}
	switch name {
	case "tx_isolation", "transaction_isolation", "tx_read_only", "transaction_read_only":
	default:
		return name
	}
	long := f.number >= 50720 // MySQL
	if f.mariaDB {
		long = f.number >= 110101
	}
	switch isolation := name == "tx_isolation" || name == "transaction_isolation"; {
	case isolation && long:
		return "transaction_isolation"
	case isolation:
		return "tx_isolation"
	case long:
		return "transaction_read_only"
	}
	return "tx_read_only"
}
