package mysql

import "testing"

func TestSettingName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		maria      bool
		number     uint32
		name, want string
	}{
		{true, 101106, "transaction_isolation", "tx_isolation"},
		{true, 101106, "tx_read_only", "tx_read_only"},
		{true, 110809, "tx_isolation", "transaction_isolation"},
		{true, 110809, "tx_read_only", "transaction_read_only"},
		{false, 50744, "tx_isolation", "transaction_isolation"},
		{false, 50719, "tx_isolation", "tx_isolation"},
		{false, 90704, "transaction_read_only", "transaction_read_only"},
		{false, 90704, "default_storage_engine", "default_storage_engine"},
		{true, 101106, "default_storage_engine", "storage_engine"},
		{true, 101106, "log_slow_query_time", "long_query_time"},
		{true, 101106, "time_zone", "time_zone"},
	} {
		f := &facts{mariaDB: tt.maria, number: tt.number}
		if got := f.settingName(tt.name); got != tt.want {
			t.Errorf("%s, MariaDB %v %d: %s, want %s", tt.name, tt.maria, tt.number, got, tt.want)
		}
	}
}
