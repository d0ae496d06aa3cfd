internal import MartletCore

extension PostgresCatalog {
    /// What clients ask for and what has no counterpart here: no rows, rather than an error. A line each: the name, then
    /// columns with their types (`SystemTable.init`).
    static let emptyTables = SystemTable.listed(
        """
        pg_catalog.pg_aggregate aggfnoid:l aggkind:t aggnumdirectargs:s aggtransfn:l aggfinalfn:l aggcombinefn:l aggserialfn:l \
        aggdeserialfn:l aggmtransfn:l aggminvtransfn:l aggmfinalfn:l aggfinalextra:b aggmfinalextra:b aggfinalmodify:t aggmfinalmodify:t \
        aggsortop:l aggtranstype:l aggtransspace:i aggmtranstype:l aggmtransspace:i agginitval:t aggminitval:t
        pg_catalog.pg_amop oid:l amopfamily:l amoplefttype:l amoprighttype:l amopstrategy:s amoppurpose:t amopopr:l amopmethod:l \
        amopsortfamily:l
        pg_catalog.pg_amproc oid:l amprocfamily:l amproclefttype:l amprocrighttype:l amprocnum:s amproc:l
        pg_catalog.pg_auth_members roleid:l member:l grantor:l admin_option:b
        pg_catalog.pg_authid oid:l rolname:t rolsuper:b rolinherit:b rolcreaterole:b rolcreatedb:b rolcanlogin:b rolreplication:b \
        rolbypassrls:b rolconnlimit:i rolpassword:t rolvaliduntil:z
        pg_catalog.pg_available_extension_versions name:t version:t installed:b superuser:b trusted:b relocatable:b schema:t requires:T \
        comment:t
        pg_catalog.pg_available_extensions name:t default_version:t installed_version:t comment:t
        pg_catalog.pg_backend_memory_contexts name:t ident:t parent:t level:i total_bytes:l total_nblocks:l free_bytes:l free_chunks:l \
        used_bytes:l
        pg_catalog.pg_cast oid:l castsource:l casttarget:l castfunc:l castcontext:t castmethod:t
        pg_catalog.pg_config name:t setting:t
        pg_catalog.pg_conversion oid:l conname:t connamespace:l conowner:l conforencoding:i contoencoding:i conproc:l condefault:b
        pg_catalog.pg_db_role_setting setdatabase:l setrole:l setconfig:T
        pg_catalog.pg_default_acl oid:l defaclrole:l defaclnamespace:l defaclobjtype:t defaclacl:T
        pg_catalog.pg_depend classid:l objid:l objsubid:i refclassid:l refobjid:l refobjsubid:i deptype:t
        pg_catalog.pg_enum oid:l enumtypid:l enumsortorder:f enumlabel:t
        pg_catalog.pg_event_trigger oid:l evtname:t evtevent:t evtowner:l evtfoid:l evtenabled:t evttags:T
        pg_catalog.pg_extension oid:l extname:t extowner:l extnamespace:l extrelocatable:b extversion:t extconfig:O extcondition:T
        pg_catalog.pg_file_settings sourcefile:t sourceline:i seqno:i name:t setting:t applied:b error:t
        pg_catalog.pg_foreign_data_wrapper oid:l fdwname:t fdwowner:l fdwhandler:l fdwvalidator:l fdwacl:T fdwoptions:T
        pg_catalog.pg_foreign_server oid:l srvname:t srvowner:l srvfdw:l srvtype:t srvversion:t srvacl:T srvoptions:T
        pg_catalog.pg_foreign_table ftrelid:l ftserver:l ftoptions:T
        pg_catalog.pg_group groname:t grosysid:l grolist:O
        pg_catalog.pg_hba_file_rules line_number:i type:t database:T user_name:T address:t netmask:t auth_method:t options:T error:t
        pg_catalog.pg_ident_file_mappings line_number:i map_name:t sys_name:t pg_username:t error:t
        pg_catalog.pg_inherits inhrelid:l inhparent:l inhseqno:i inhdetachpending:b
        pg_catalog.pg_init_privs objoid:l classoid:l objsubid:i privtype:t initprivs:T
        pg_catalog.pg_largeobject loid:l pageno:i data:y
        pg_catalog.pg_largeobject_metadata oid:l lomowner:l lomacl:T
        pg_catalog.pg_locks locktype:t database:l relation:l page:i tuple:s virtualxid:t transactionid:l classid:l objid:l objsubid:s \
        virtualtransaction:t pid:i mode:t granted:b fastpath:b waitstart:z
        pg_catalog.pg_opclass oid:l opcmethod:l opcname:t opcnamespace:l opcowner:l opcfamily:l opcintype:l opcdefault:b opckeytype:l
        pg_catalog.pg_operator oid:l oprname:t oprnamespace:l oprowner:l oprkind:t oprcanmerge:b oprcanhash:b oprleft:l oprright:l \
        oprresult:l oprcom:l oprnegate:l oprcode:l oprrest:l oprjoin:l
        pg_catalog.pg_opfamily oid:l opfmethod:l opfname:t opfnamespace:l opfowner:l
        pg_catalog.pg_parameter_acl oid:l parname:t paracl:T
        pg_catalog.pg_partitioned_table partrelid:l partstrat:t partnatts:s partdefid:l partattrs:S partclass:O partcollation:O partexprs:t
        pg_catalog.pg_policies schemaname:t tablename:t policyname:t permissive:t roles:T cmd:t qual:t with_check:t
        pg_catalog.pg_policy oid:l polname:t polrelid:l polcmd:t polpermissive:b polroles:O polqual:t polwithcheck:t
        pg_catalog.pg_prepared_xacts transaction:l gid:t prepared:z owner:t database:t
        pg_catalog.pg_publication oid:l pubname:t pubowner:l puballtables:b pubinsert:b pubupdate:b pubdelete:b pubtruncate:b pubviaroot:b
        pg_catalog.pg_publication_namespace oid:l pnpubid:l pnnspid:l
        pg_catalog.pg_publication_rel oid:l prpubid:l prrelid:l prqual:t prattrs:S
        pg_catalog.pg_publication_tables pubname:t schemaname:t tablename:t attnames:T rowfilter:t
        pg_catalog.pg_range rngtypid:l rngsubtype:l rngmultitypid:l rngcollation:l rngsubopc:l rngcanonical:l rngsubdiff:l
        pg_catalog.pg_replication_origin roident:l roname:t
        pg_catalog.pg_replication_origin_status local_id:l external_id:t remote_lsn:t local_lsn:t
        pg_catalog.pg_replication_slots slot_name:t plugin:t slot_type:t datoid:l database:t temporary:b active:b active_pid:i \
        catalog_xmin:l restart_lsn:t confirmed_flush_lsn:t wal_status:t safe_wal_size:l two_phase:b
        pg_catalog.pg_rewrite oid:l rulename:t ev_class:l ev_type:t ev_enabled:t is_instead:b ev_qual:t ev_action:t
        pg_catalog.pg_rules schemaname:t tablename:t rulename:t definition:t
        pg_catalog.pg_seclabel objoid:l classoid:l objsubid:i provider:t label:t
        pg_catalog.pg_seclabels objoid:l classoid:l objsubid:i objtype:t objnamespace:l objname:t provider:t label:t
        pg_catalog.pg_shadow usename:t usesysid:l usecreatedb:b usesuper:b userepl:b usebypassrls:b passwd:t valuntil:z useconfig:T
        pg_catalog.pg_shdepend dbid:l classid:l objid:l objsubid:i refclassid:l refobjid:l deptype:t
        pg_catalog.pg_shdescription objoid:l classoid:l description:t
        pg_catalog.pg_shmem_allocations name:t off:l size:l allocated_size:l
        pg_catalog.pg_shseclabel objoid:l classoid:l provider:t label:t
        pg_catalog.pg_stat_all_indexes relid:l indexrelid:l schemaname:t relname:t indexrelname:t idx_scan:l idx_tup_read:l idx_tup_fetch:l
        pg_catalog.pg_stat_all_tables relid:l schemaname:t relname:t seq_scan:l seq_tup_read:l idx_scan:l idx_tup_fetch:l n_tup_ins:l \
        n_tup_upd:l n_tup_del:l n_tup_hot_upd:l n_live_tup:l n_dead_tup:l n_mod_since_analyze:l n_ins_since_vacuum:l last_vacuum:z \
        last_autovacuum:z last_analyze:z last_autoanalyze:z vacuum_count:l autovacuum_count:l analyze_count:l autoanalyze_count:l
        pg_catalog.pg_stat_archiver archived_count:l last_archived_wal:t last_archived_time:z failed_count:l last_failed_wal:t \
        last_failed_time:z stats_reset:z
        pg_catalog.pg_stat_bgwriter checkpoints_timed:l checkpoints_req:l checkpoint_write_time:d checkpoint_sync_time:d \
        buffers_checkpoint:l buffers_clean:l maxwritten_clean:l buffers_backend:l buffers_backend_fsync:l buffers_alloc:l stats_reset:z
        pg_catalog.pg_stat_database datid:l datname:t numbackends:i xact_commit:l xact_rollback:l blks_read:l blks_hit:l tup_returned:l \
        tup_fetched:l tup_inserted:l tup_updated:l tup_deleted:l conflicts:l temp_files:l temp_bytes:l deadlocks:l checksum_failures:l \
        checksum_last_failure:z blk_read_time:d blk_write_time:d session_time:d active_time:d idle_in_transaction_time:d sessions:l \
        sessions_abandoned:l sessions_fatal:l sessions_killed:l stats_reset:z
        pg_catalog.pg_stat_database_conflicts datid:l datname:t confl_tablespace:l confl_lock:l confl_snapshot:l confl_bufferpin:l \
        confl_deadlock:l
        pg_catalog.pg_stat_gssapi pid:i gss_authenticated:b principal:t encrypted:b
        pg_catalog.pg_stat_progress_analyze pid:i datid:l datname:t relid:l phase:t sample_blks_total:l sample_blks_scanned:l \
        ext_stats_total:l ext_stats_computed:l child_tables_total:l child_tables_done:l current_child_table_relid:l
        pg_catalog.pg_stat_progress_basebackup pid:i phase:t backup_total:l backup_streamed:l tablespaces_total:l tablespaces_streamed:l
        pg_catalog.pg_stat_progress_cluster pid:i datid:l datname:t relid:l command:t phase:t cluster_index_relid:l heap_tuples_scanned:l \
        heap_tuples_written:l heap_blks_total:l heap_blks_scanned:l index_rebuild_count:l
        pg_catalog.pg_stat_progress_copy pid:i datid:l datname:t relid:l command:t type:t bytes_processed:l bytes_total:l tuples_processed:l \
        tuples_excluded:l
        pg_catalog.pg_stat_progress_create_index pid:i datid:l datname:t relid:l index_relid:l command:t phase:t lockers_total:l \
        lockers_done:l current_locker_pid:l blocks_total:l blocks_done:l tuples_total:l tuples_done:l partitions_total:l partitions_done:l
        pg_catalog.pg_stat_progress_vacuum pid:i datid:l datname:t relid:l phase:t heap_blks_total:l heap_blks_scanned:l \
        heap_blks_vacuumed:l index_vacuum_count:l max_dead_tuples:l num_dead_tuples:l
        pg_catalog.pg_stat_recovery_prefetch stats_reset:z prefetch:l hit:l skip_init:l skip_new:l skip_fpw:l skip_rep:l wal_distance:i \
        block_distance:i io_depth:i
        pg_catalog.pg_stat_replication pid:i usesysid:l usename:t application_name:t client_addr:t client_hostname:t client_port:i \
        backend_start:z backend_xmin:l state:t sent_lsn:t write_lsn:t flush_lsn:t replay_lsn:t write_lag:v flush_lag:v replay_lag:v \
        sync_priority:i sync_state:t reply_time:z
        pg_catalog.pg_stat_replication_slots slot_name:t spill_txns:l spill_count:l spill_bytes:l stream_txns:l stream_count:l \
        stream_bytes:l total_txns:l total_bytes:l stats_reset:z
        pg_catalog.pg_stat_slru name:t blks_zeroed:l blks_hit:l blks_read:l blks_written:l blks_exists:l flushes:l truncates:l stats_reset:z
        pg_catalog.pg_stat_ssl pid:i ssl:b version:t cipher:t bits:i client_dn:t client_serial:n issuer_dn:t
        pg_catalog.pg_stat_subscription subid:l subname:t pid:i relid:l received_lsn:t last_msg_send_time:z last_msg_receipt_time:z \
        latest_end_lsn:t latest_end_time:z
        pg_catalog.pg_stat_subscription_stats subid:l subname:t apply_error_count:l sync_error_count:l stats_reset:z
        pg_catalog.pg_stat_sys_indexes relid:l indexrelid:l schemaname:t relname:t indexrelname:t idx_scan:l idx_tup_read:l idx_tup_fetch:l
        pg_catalog.pg_stat_sys_tables relid:l schemaname:t relname:t seq_scan:l seq_tup_read:l idx_scan:l idx_tup_fetch:l n_tup_ins:l \
        n_tup_upd:l n_tup_del:l n_tup_hot_upd:l n_live_tup:l n_dead_tup:l n_mod_since_analyze:l n_ins_since_vacuum:l last_vacuum:z \
        last_autovacuum:z last_analyze:z last_autoanalyze:z vacuum_count:l autovacuum_count:l analyze_count:l autoanalyze_count:l
        pg_catalog.pg_stat_user_functions funcid:l schemaname:t funcname:t calls:l total_time:d self_time:d
        pg_catalog.pg_stat_user_indexes relid:l indexrelid:l schemaname:t relname:t indexrelname:t idx_scan:l idx_tup_read:l idx_tup_fetch:l
        pg_catalog.pg_stat_user_tables relid:l schemaname:t relname:t seq_scan:l seq_tup_read:l idx_scan:l idx_tup_fetch:l n_tup_ins:l \
        n_tup_upd:l n_tup_del:l n_tup_hot_upd:l n_live_tup:l n_dead_tup:l n_mod_since_analyze:l n_ins_since_vacuum:l last_vacuum:z \
        last_autovacuum:z last_analyze:z last_autoanalyze:z vacuum_count:l autovacuum_count:l analyze_count:l autoanalyze_count:l
        pg_catalog.pg_stat_wal wal_records:l wal_fpi:l wal_bytes:n wal_buffers_full:l wal_write:l wal_sync:l wal_write_time:d \
        wal_sync_time:d stats_reset:z
        pg_catalog.pg_stat_wal_receiver pid:i status:t receive_start_lsn:t receive_start_tli:i written_lsn:t flushed_lsn:t received_tli:i \
        last_msg_send_time:z last_msg_receipt_time:z latest_end_lsn:t latest_end_time:z slot_name:t sender_host:t sender_port:i conninfo:t
        pg_catalog.pg_stat_xact_all_tables relid:l schemaname:t relname:t seq_scan:l seq_tup_read:l idx_scan:l idx_tup_fetch:l n_tup_ins:l \
        n_tup_upd:l n_tup_del:l n_tup_hot_upd:l
        pg_catalog.pg_stat_xact_sys_tables relid:l schemaname:t relname:t seq_scan:l seq_tup_read:l idx_scan:l idx_tup_fetch:l n_tup_ins:l \
        n_tup_upd:l n_tup_del:l n_tup_hot_upd:l
        pg_catalog.pg_stat_xact_user_functions funcid:l schemaname:t funcname:t calls:l total_time:d self_time:d
        pg_catalog.pg_stat_xact_user_tables relid:l schemaname:t relname:t seq_scan:l seq_tup_read:l idx_scan:l idx_tup_fetch:l n_tup_ins:l \
        n_tup_upd:l n_tup_del:l n_tup_hot_upd:l
        pg_catalog.pg_statio_all_indexes relid:l indexrelid:l schemaname:t relname:t indexrelname:t idx_blks_read:l idx_blks_hit:l
        pg_catalog.pg_statio_all_sequences relid:l schemaname:t relname:t blks_read:l blks_hit:l
        pg_catalog.pg_statio_all_tables relid:l schemaname:t relname:t heap_blks_read:l heap_blks_hit:l idx_blks_read:l idx_blks_hit:l \
        toast_blks_read:l toast_blks_hit:l tidx_blks_read:l tidx_blks_hit:l
        pg_catalog.pg_statio_sys_indexes relid:l indexrelid:l schemaname:t relname:t indexrelname:t idx_blks_read:l idx_blks_hit:l
        pg_catalog.pg_statio_sys_sequences relid:l schemaname:t relname:t blks_read:l blks_hit:l
        pg_catalog.pg_statio_sys_tables relid:l schemaname:t relname:t heap_blks_read:l heap_blks_hit:l idx_blks_read:l idx_blks_hit:l \
        toast_blks_read:l toast_blks_hit:l tidx_blks_read:l tidx_blks_hit:l
        pg_catalog.pg_statio_user_indexes relid:l indexrelid:l schemaname:t relname:t indexrelname:t idx_blks_read:l idx_blks_hit:l
        pg_catalog.pg_statio_user_sequences relid:l schemaname:t relname:t blks_read:l blks_hit:l
        pg_catalog.pg_statio_user_tables relid:l schemaname:t relname:t heap_blks_read:l heap_blks_hit:l idx_blks_read:l idx_blks_hit:l \
        toast_blks_read:l toast_blks_hit:l tidx_blks_read:l tidx_blks_hit:l
        pg_catalog.pg_statistic starelid:l staattnum:s stainherit:b stanullfrac:f stawidth:i stadistinct:f stakind1:s stakind2:s stakind3:s \
        stakind4:s stakind5:s staop1:l staop2:l staop3:l staop4:l staop5:l stacoll1:l stacoll2:l stacoll3:l stacoll4:l stacoll5:l \
        stanumbers1:F stanumbers2:F stanumbers3:F stanumbers4:F stanumbers5:F stavalues1:T stavalues2:T stavalues3:T stavalues4:T \
        stavalues5:T
        pg_catalog.pg_statistic_ext oid:l stxrelid:l stxname:t stxnamespace:l stxowner:l stxstattarget:i stxkeys:S stxkind:T stxexprs:t
        pg_catalog.pg_statistic_ext_data stxoid:l stxdinherit:b stxdndistinct:t stxddependencies:t stxdmcv:t stxdexpr:T
        pg_catalog.pg_stats schemaname:t tablename:t attname:t inherited:b null_frac:f avg_width:i n_distinct:f most_common_vals:T \
        most_common_freqs:F histogram_bounds:T correlation:f most_common_elems:T most_common_elem_freqs:F elem_count_histogram:F
        pg_catalog.pg_stats_ext schemaname:t tablename:t statistics_schemaname:t statistics_name:t statistics_owner:t attnames:T exprs:T \
        kinds:T inherited:b n_distinct:t dependencies:t most_common_vals:T most_common_val_nulls:B most_common_freqs:D \
        most_common_base_freqs:D
        pg_catalog.pg_stats_ext_exprs schemaname:t tablename:t statistics_schemaname:t statistics_name:t statistics_owner:t expr:t \
        inherited:b null_frac:f avg_width:i n_distinct:f most_common_vals:T most_common_freqs:F histogram_bounds:T correlation:f \
        most_common_elems:T most_common_elem_freqs:F elem_count_histogram:F
        pg_catalog.pg_subscription oid:l subdbid:l subskiplsn:t subname:t subowner:l subenabled:b subbinary:b substream:b subtwophasestate:t \
        subdisableonerr:b subconninfo:t subslotname:t subsynccommit:t subpublications:T
        pg_catalog.pg_subscription_rel srsubid:l srrelid:l srsubstate:t srsublsn:t
        pg_catalog.pg_timezone_abbrevs abbrev:t utc_offset:v is_dst:b
        pg_catalog.pg_timezone_names name:t abbrev:t utc_offset:v is_dst:b
        pg_catalog.pg_transform oid:l trftype:l trflang:l trffromsql:l trftosql:l
        pg_catalog.pg_trigger oid:l tgrelid:l tgparentid:l tgname:t tgfoid:l tgtype:s tgenabled:t tgisinternal:b tgconstrrelid:l \
        tgconstrindid:l tgconstraint:l tgdeferrable:b tginitdeferred:b tgnargs:s tgattr:S tgargs:y tgqual:t tgoldtable:t tgnewtable:t
        pg_catalog.pg_ts_config oid:l cfgname:t cfgnamespace:l cfgowner:l cfgparser:l
        pg_catalog.pg_ts_config_map mapcfg:l maptokentype:i mapseqno:i mapdict:l
        pg_catalog.pg_ts_dict oid:l dictname:t dictnamespace:l dictowner:l dicttemplate:l dictinitoption:t
        pg_catalog.pg_ts_parser oid:l prsname:t prsnamespace:l prsstart:l prstoken:l prsend:l prsheadline:l prslextype:l
        pg_catalog.pg_ts_template oid:l tmplname:t tmplnamespace:l tmplinit:l tmpllexize:l
        pg_catalog.pg_user_mapping oid:l umuser:l umserver:l umoptions:T
        pg_catalog.pg_user_mappings umid:l srvid:l srvname:t umuser:l usename:t umoptions:T
        """)

    /// Columns of tables with rows that are NULL in all of them.
    static let emptyColumns = SystemTable.listed(
        """
        information_schema.columns interval_precision:i character_set_catalog:t character_set_schema:t character_set_name:t \
        collation_catalog:t collation_schema:t domain_catalog:t domain_schema:t scope_catalog:t scope_schema:t scope_name:t \
        maximum_cardinality:i dtd_identifier:t is_self_referencing:t identity_generation:t identity_start:t identity_increment:t \
        identity_maximum:t identity_minimum:t identity_cycle:t
        information_schema.table_constraints nulls_distinct:t
        information_schema.views is_trigger_updatable:t is_trigger_deletable:t is_trigger_insertable_into:t
        pg_catalog.pg_attribute attmissingval:T
        pg_catalog.pg_class relfrozenxid:l relminmxid:l relpartbound:t
        pg_catalog.pg_collation colliculocale:t collversion:t
        pg_catalog.pg_constraint conppeqop:O conffeqop:O confdelsetcols:S conexclop:O
        pg_catalog.pg_proc prosupport:l protrftypes:O
        """)
}
