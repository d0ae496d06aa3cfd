internal import MartletCore

extension PostgresCatalog {
    /// What clients ask for and what has no counterpart here: no rows, rather than an error.
    static let emptyTables: [SystemTable] = [
        SystemTable("pg_catalog.pg_inherits", "inhrelid:o inhparent:o inhseqno:i inhdetachpending:b"),
        SystemTable("pg_catalog.pg_policy", "oid:o polname:t polrelid:o polcmd:t polpermissive:b polroles:O polqual:t polwithcheck:t"),
        SystemTable("pg_catalog.pg_policies", "schemaname:t tablename:t policyname:t permissive:t roles:T cmd:t qual:t with_check:t"),
        SystemTable(
            "pg_catalog.pg_statistic_ext",
            "oid:o stxrelid:o stxname:t stxnamespace:o stxowner:o stxstattarget:i stxkeys:S stxkind:T stxexprs:t"),
        SystemTable(
            "pg_catalog.pg_publication",
            "oid:o pubname:t pubowner:o puballtables:b pubinsert:b pubupdate:b pubdelete:b pubtruncate:b pubviaroot:b"),
        SystemTable("pg_catalog.pg_publication_rel", "oid:o prpubid:o prrelid:o prqual:t prattrs:S"),
        SystemTable("pg_catalog.pg_publication_namespace", "oid:o pnpubid:o pnnspid:o"),
        SystemTable("pg_catalog.pg_publication_tables", "pubname:t schemaname:t tablename:t attnames:T rowfilter:t"),
        SystemTable(
            "pg_catalog.pg_subscription",
            "oid:o subdbid:o subskiplsn:t subname:t subowner:o subenabled:b subbinary:b substream:t subconninfo:t subslotname:t "
                + "subsynccommit:t subpublications:T"),
        SystemTable(
            "pg_catalog.pg_trigger",
            "oid:o tgrelid:o tgparentid:o tgname:t tgfoid:o tgtype:s tgenabled:t tgisinternal:b tgconstrrelid:o tgconstrindid:o "
                + "tgconstraint:o tgdeferrable:b tginitdeferred:b tgnargs:s tgattr:S tgargs:t tgqual:t tgoldtable:t tgnewtable:t"),
        SystemTable("pg_catalog.pg_rewrite", "oid:o rulename:t ev_class:o ev_type:t ev_enabled:t is_instead:b ev_qual:t ev_action:t"),
        SystemTable("pg_catalog.pg_rules", "schemaname:t tablename:t rulename:t definition:t"),
        SystemTable("pg_catalog.pg_foreign_table", "ftrelid:o ftserver:o ftoptions:T"),
        SystemTable("pg_catalog.pg_foreign_server", "oid:o srvname:t srvowner:o srvfdw:o srvtype:t srvversion:t srvacl:T srvoptions:T"),
        SystemTable("pg_catalog.pg_foreign_data_wrapper", "oid:o fdwname:t fdwowner:o fdwhandler:o fdwvalidator:o fdwacl:T fdwoptions:T"),
        SystemTable("pg_catalog.pg_user_mapping", "oid:o umuser:o umserver:o umoptions:T"),
        SystemTable("pg_catalog.pg_auth_members", "oid:o roleid:o member:o grantor:o admin_option:b inherit_option:b set_option:b"),
        SystemTable("pg_catalog.pg_shdescription", "objoid:o classoid:o description:t"),
        SystemTable("pg_catalog.pg_seclabel", "objoid:o classoid:o objsubid:i provider:t label:t"),
        SystemTable("pg_catalog.pg_shseclabel", "objoid:o classoid:o provider:t label:t"),
        SystemTable("pg_catalog.pg_depend", "classid:o objid:o objsubid:i refclassid:o refobjid:o refobjsubid:i deptype:t"),
        SystemTable("pg_catalog.pg_shdepend", "dbid:o classid:o objid:o objsubid:i refclassid:o refobjid:o deptype:t"),
        SystemTable(
            "pg_catalog.pg_partitioned_table",
            "partrelid:o partstrat:t partnatts:s partdefid:o partattrs:S partclass:O partcollation:O partexprs:t"),
        SystemTable("pg_catalog.pg_sequence", "seqrelid:o seqtypid:o seqstart:l seqincrement:l seqmax:l seqmin:l seqcache:l seqcycle:b"),
        SystemTable(
            "pg_catalog.pg_sequences",
            "schemaname:t sequencename:t sequenceowner:t data_type:t start_value:l min_value:l max_value:l increment_by:l "
                + "cycle:b cache_size:l last_value:l"),
        SystemTable(
            "pg_catalog.pg_extension",
            "oid:o extname:t extowner:o extnamespace:o extrelocatable:b extversion:t extconfig:O extcondition:T"),
        SystemTable("pg_catalog.pg_available_extensions", "name:t default_version:t installed_version:t comment:t"),
        SystemTable("pg_catalog.pg_enum", "oid:o enumtypid:o enumsortorder:f enumlabel:t"),
        SystemTable(
            "pg_catalog.pg_range",
            "rngtypid:o rngsubtype:o rngmultitypid:o rngcollation:o rngsubopc:o rngcanonical:o rngsubdiff:o"),
        SystemTable(
            "pg_catalog.pg_aggregate",
            "aggfnoid:o aggkind:t aggnumdirectargs:s aggtransfn:o aggfinalfn:o aggtranstype:o agginitval:t"),
        SystemTable(
            "pg_catalog.pg_operator",
            "oid:o oprname:t oprnamespace:o oprowner:o oprkind:t oprcanmerge:b oprcanhash:b oprleft:o oprright:o oprresult:o "
                + "oprcom:o oprnegate:o oprcode:o oprrest:o oprjoin:o"),
        SystemTable(
            "pg_catalog.pg_opclass",
            "oid:o opcmethod:o opcname:t opcnamespace:o opcowner:o opcfamily:o opcintype:o opcdefault:b opckeytype:o"),
        SystemTable("pg_catalog.pg_opfamily", "oid:o opfmethod:o opfname:t opfnamespace:o opfowner:o"),
        SystemTable("pg_catalog.pg_cast", "oid:o castsource:o casttarget:o castfunc:o castcontext:t castmethod:t"),
        SystemTable(
            "pg_catalog.pg_conversion",
            "oid:o conname:t connamespace:o conowner:o conforencoding:i contoencoding:i conproc:o condefault:b"),
        SystemTable("pg_catalog.pg_event_trigger", "oid:o evtname:t evtevent:t evtowner:o evtfoid:o evtenabled:t evttags:T"),
        SystemTable("pg_catalog.pg_default_acl", "oid:o defaclrole:o defaclnamespace:o defaclobjtype:t defaclacl:T"),
        SystemTable("pg_catalog.pg_init_privs", "objoid:o classoid:o objsubid:i privtype:t initprivs:T"),
        SystemTable("pg_catalog.pg_largeobject_metadata", "oid:o lomowner:o lomacl:T"),
        SystemTable("pg_catalog.pg_db_role_setting", "setdatabase:o setrole:o setconfig:T"),
        SystemTable("pg_catalog.pg_ts_config", "oid:o cfgname:t cfgnamespace:o cfgowner:o cfgparser:o"),
        SystemTable("pg_catalog.pg_ts_dict", "oid:o dictname:t dictnamespace:o dictowner:o dicttemplate:o dictinitoption:t"),
        SystemTable("pg_catalog.pg_ts_parser", "oid:o prsname:t prsnamespace:o"),
        SystemTable("pg_catalog.pg_ts_template", "oid:o tmplname:t tmplnamespace:o"),
        SystemTable("pg_catalog.pg_transform", "oid:o trftype:o trflang:o trffromsql:o trftosql:o"),
        SystemTable("pg_catalog.pg_prepared_xacts", "transaction:i gid:t prepared:z owner:t database:t"),
        SystemTable(
            "pg_catalog.pg_locks",
            "locktype:t database:o relation:o page:i tuple:s virtualxid:t transactionid:i classid:o objid:o objsubid:s "
                + "virtualtransaction:t pid:i mode:t granted:b fastpath:b waitstart:z"),
        SystemTable(
            "pg_catalog.pg_stat_activity",
            "datid:o datname:t pid:i leader_pid:i usesysid:o usename:t application_name:t client_addr:t client_hostname:t "
                + "client_port:i backend_start:z xact_start:z query_start:z state_change:z wait_event_type:t wait_event:t state:t "
                + "backend_xid:i backend_xmin:i query_id:l query:t backend_type:t"),
        SystemTable(
            "pg_catalog.pg_stat_user_tables",
            "relid:o schemaname:t relname:t seq_scan:l seq_tup_read:l idx_scan:l idx_tup_fetch:l n_tup_ins:l n_tup_upd:l "
                + "n_tup_del:l n_live_tup:l n_dead_tup:l last_vacuum:z last_analyze:z"),
        SystemTable("pg_catalog.pg_stats", "schemaname:t tablename:t attname:t inherited:b null_frac:f avg_width:i n_distinct:f"),
        SystemTable("pg_catalog.pg_statistic_ext_data", "stxoid:o stxdinherit:b stxdndistinct:t stxddependencies:t stxdmcv:t stxdexpr:t"),
        SystemTable("pg_catalog.pg_timezone_names", "name:t abbrev:t utc_offset:v is_dst:b"),
    ]
}
