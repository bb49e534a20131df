package sqltext

import "strings"

// VariableClass says how a session system variable is to be carried.
type VariableClass uint8

const (
	// UnknownVariable is not in the table: a plugin's, a component's, a newer server's, or one that is global only
	// (and then SET fails). Carry it, and look.
	UnknownVariable VariableClass = iota
	// PlainVariable is carried by SET SESSION.
	PlainVariable
	// ModeVariable is carried too, but changes how later texts are read: sql_mode, character_set_client. Apply it
	// first, and make a new Mode.
	ModeVariable
	// TransactionVariable is autocommit, and what transactions start with. Carried; SET autocommit = 1 commits.
	TransactionVariable
	// ProtocolVariable changes what the server sends: session_track_*, resultset_metadata. Carried, with care.
	ProtocolVariable
	// IdentityVariable is last_insert_id and its other name. Not carried by SET: statements change it too.
	IdentityVariable
	// OpaqueVariable does something once, or cannot be read back: insert_id, rand_seed1, gtid_next, profiling,
	// pseudo_thread_id. Not carried.
	OpaqueVariable
	// ReadOnlyVariable cannot be set in a session.
	ReadOnlyVariable
)

// variables lists the session system variables of MySQL 5.7 to 9 and MariaDB 10.3 to 11.8. ("Server System Variables",
// "InnoDB Startup Options and System Variables", "Replication and Binary Logging Options and Variables";
// information_schema.SYSTEM_VARIABLES, MariaDB)
var variables = func() map[string]VariableClass {
	m := map[string]VariableClass{}
	for c, names := range map[VariableClass]string{
		ModeVariable: `character_set_client sql_mode`,
		TransactionVariable: `autocommit transaction_isolation transaction_read_only tx_isolation
			tx_read_only`,
		ProtocolVariable: `resultset_metadata session_track_gtids session_track_schema session_track_state_change
			session_track_system_variables session_track_transaction_info session_track_user_variables`,
		IdentityVariable: `identity last_insert_id`,
		OpaqueVariable: `debug debug_sync optimizer_trace optimizer_trace_features optimizer_trace_limit optimizer_trace_max_mem_size optimizer_trace_offset gtid_next gtid_seq_no immediate_server_version insert_id
			original_commit_timestamp original_server_version profiling pseudo_thread_id rand_seed1 rand_seed2
			wsrep_gtid_seq_no`,
		ReadOnlyVariable: `error_count external_user gtid_owned in_transaction last_gtid max_allowed_packet
			net_buffer_length proxy_user statement_id transaction_allow_batching warning_count`,
		PlainVariable: `alter_algorithm analyze_max_length analyze_sample_percentage aria_repair_threads
			aria_sort_buffer_size aria_stats_method auto_increment_increment auto_increment_offset
			big_tables binlog_alter_two_phase binlog_annotate_row_events
			binlog_direct_non_transactional_updates binlog_format binlog_row_image binlog_row_value_options
			binlog_rows_query_log_events block_encryption_mode bulk_insert_buffer_size
			character_set_collations character_set_connection character_set_database character_set_filesystem
			character_set_results character_set_server check_constraint_checks collation_connection
			collation_database collation_server column_compression_threshold column_compression_zlib_level
			column_compression_zlib_strategy column_compression_zlib_wrap completion_type
			connection_memory_chunk_size connection_memory_limit cte_max_recursion_depth
			deadlock_search_depth_long deadlock_search_depth_short deadlock_timeout_long
			deadlock_timeout_short default_collation_for_utf8mb4 default_master_connection
			default_regex_flags default_storage_engine default_table_encryption default_tmp_storage_engine
			default_week_format div_precision_increment end_markers_in_json enforce_storage_engine
			eq_range_index_dive_limit expensive_subquery_limit explain_format explain_json_format_version
			explicit_defaults_for_timestamp foreign_key_checks generated_random_password_length
			global_connection_memory_tracking group_concat_max_len group_replication_consistency
			gtid_domain_id histogram_generation_max_mem_size histogram_size histogram_type
			idle_readonly_transaction_timeout idle_transaction_timeout idle_write_transaction_timeout
			information_schema_stats_expiry innodb_compression_default
			innodb_default_encryption_key_id innodb_ft_enable_stopword innodb_ft_user_stopword_table
			innodb_lock_wait_timeout innodb_parallel_read_threads innodb_snapshot_isolation
			innodb_strict_mode innodb_table_locks innodb_tmpdir interactive_timeout
			internal_tmp_mem_storage_engine in_predicate_conversion_threshold join_buffer_size
			join_buffer_space_limit join_cache_level keep_files_on_create lc_messages lc_time_names
			lock_wait_timeout log_disabled_statements log_queries_not_using_indexes
			log_slow_admin_statements log_slow_disabled_statements log_slow_filter log_slow_max_warnings
			log_slow_min_examined_row_limit log_slow_query log_slow_query_time log_slow_rate_limit
			log_slow_slave_statements log_slow_verbosity log_warnings long_query_time low_priority_updates
			max_delayed_threads max_error_count max_execution_time max_heap_table_size
			max_insert_delayed_threads max_join_size max_length_for_sort_data max_points_in_geometry
			max_recursive_iterations max_relay_log_size max_rowid_filter_size max_seeks_for_key
			max_session_mem_used max_sort_length max_sp_recursion_depth max_statement_time max_tmp_session_space_usage
			max_tmp_tables max_user_connections mhnsw_ef_search min_examined_row_limit mrr_buffer_size
			multi_range_count myisam_repair_threads myisam_sort_buffer_size myisam_stats_method
			ndb_allow_copying_alter_table ndb_autoincrement_prefetch_sz ndb_deferred_constraints ndb_join_pushdown
			net_read_timeout net_retry_count net_write_timeout new new_mode note_verbosity old
			old_alter_table old_mode old_passwords optimizer_adjust_secondary_key_costs
			optimizer_disk_read_ratio optimizer_extra_pruning_depth optimizer_join_limit_pref_ratio
			optimizer_max_sel_arg_weight optimizer_max_sel_args optimizer_prune_level optimizer_search_depth
			optimizer_selectivity_sampling_limit optimizer_switch
			
			optimizer_use_condition_selectivity parser_max_mem_size preload_buffer_size print_identified_with_as_hex
			profiling_history_size progress_report_time pseudo_replica_mode pseudo_slave_mode
			query_alloc_block_size query_cache_strip_comments query_cache_type query_cache_wlock_invalidate
			query_prealloc_size range_alloc_block_size range_optimizer_max_mem_size rbr_exec_mode read_buffer_size
			read_rnd_buffer_size require_row_format restrict_fk_on_non_standard_key rowid_merge_buff_size
			rpl_semi_sync_slave_kill_conn_timeout secondary_engine_cost_threshold select_into_buffer_size
			select_into_disk_sync select_into_disk_sync_delay server_id set_operations_buffer_size
			show_create_table_skip_secondary_engine show_create_table_verbosity
			show_gipk_in_create_table_and_information_schema show_old_temporals skip_parallel_replication
			skip_replication slow_query_log sort_buffer_size sql_auto_is_null sql_big_selects
			sql_buffer_result sql_generate_invisible_primary_key sql_if_exists sql_log_bin sql_log_off
			sql_notes sql_quote_show_create sql_require_primary_key sql_safe_updates sql_select_limit
			sql_slave_skip_counter sql_warnings standard_compliant_cte storage_engine
			system_versioning_alter_history system_versioning_asof system_versioning_insert_history
			table_open_cache_triggers tcp_nodelay terminology_use_previous thread_pool_high_priority_connection
			thread_pool_prio_kickup_timer thread_pool_priority time_zone timestamp tmp_disk_table_size
			tmp_memory_table_size tmp_table_size transaction_alloc_block_size transaction_prealloc_size
			transaction_write_set_extraction unique_checks updatable_views_with_limit use_secondary_engine
			use_stat_tables wait_timeout wsrep_causal_reads wsrep_dirty_reads wsrep_on wsrep_osu_method
			wsrep_retry_autocommit wsrep_sync_wait wsrep_trx_fragment_size wsrep_trx_fragment_unit
			xa_detach_on_prepare`,
	} {
		for n := range strings.FieldsSeq(names) {
			m[n] = c
		}
	}
	return m
}()

// ClassOf returns the class of the system variable of this name in lower case.
func ClassOf(name []byte) VariableClass { return variables[string(name)] }
