"""Tools that connect as to PostgreSQL: JDBC, pgbench, what dashboards ask when they start, every describe command of psql."""

import glob
import os
import shutil
import subprocess
import threading
import time

import psycopg


def jdbc(server, problems):
    """PostgreSQL's JDBC driver: its DatabaseMetaData, batches, prepared statements, fetch sizes"""
    jars = glob.glob("/usr/share/java/postgresql.jar")
    if not jars or not shutil.which("javac"):
        print('{"skipped": "JDBC: no javac, or no /usr/share/java/postgresql.jar (libpostgresql-jdbc-java)"}', flush=True)
        return
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Metadata.java")
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", jars[0], source, f"jdbc:postgresql://{server.host}:{server.port}/dev"],
        capture_output=True, text=True, timeout=120)
    problems.check(done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}")
    got = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    want = {
        "product": "PostgreSQL", "catalogs": "[dev]", "schemas": "true", "tables": "[flights]",
        "views": "[carriers MATERIALIZED VIEW, long_flights VIEW]",
        "columns": "[id int4 0, carrier text 1, miles int8 1, fare numeric 1, at timestamptz 1, tags _text 1]",
        "columns of a view": "[carrier 12, n -5, fares 2]", "primary key": "[id 1]", "index": "[id f]", "best row": "[id]",
        "imported keys": "[]", "exported keys": "[]", "types": "rows", "batch": "50", "prepared": "c2 1100 21.25 1767225600000 [a11, null]",
        "fetch size": "1225", "rollback": "50", "result metadata": "carrier int8 java.math.BigDecimal", "generated keys": "[999 z]",
        "error": "23505", "valid": "true", "key words": "true", "longest name": "63", "timeout": "kept",
    }
    for name, answer in got.items():
        problems.check(answer == want.get(name, answer) and not answer.startswith("FAILED"), f"{name}: {answer}, not {want.get(name)}")
    problems.check(not set(want) - set(got), f"not asked: {set(want) - set(got)}")


# What Grafana's PostgreSQL data source asks: the version, an extension, the schemas to show, tables, columns, a panel.
GRAFANA = [
    ("SELECT current_setting('server_version_num')::int / 100 AS version", None),
    ("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'", []),
    ("SELECT quote_ident(table_name) AS \"table\" FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN "
     "('information_schema', 'pg_catalog', '_timescaledb_cache') AND table_type IN ('BASE TABLE', 'VIEW') AND "
     "quote_ident(table_schema) IN (SELECT CASE WHEN trim(entry) = '\"$user\"' THEN user ELSE trim(entry) END FROM "
     "unnest(string_to_array(current_setting('search_path'), ',')) AS entry) ORDER BY 1", [("rates",)]),
    ("SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns WHERE "
     "CASE WHEN array_length(parse_ident('rates'), 1) = 2 THEN quote_ident(table_schema) = (parse_ident('rates'))[1] AND "
     "quote_ident(table_name) = (parse_ident('rates'))[2] ELSE quote_ident(table_name) = 'rates' END",
     [("at", "timestamp with time zone"), ("card", "text"), ("amount", "numeric")]),
    ("SELECT floor(extract(epoch FROM at) / 60) * 60 AS \"time\", card AS metric, avg(amount) AS value FROM rates WHERE "
     "at BETWEEN '2026-01-01T00:00:00Z' AND '2026-01-02T00:00:00Z' GROUP BY 1, 2 ORDER BY 1, 2", None),
    ("SELECT quote_ident(table_name) FROM information_schema.tables t WHERE EXISTS (SELECT 1 FROM information_schema.columns c "
     "WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name AND udt_name IN ('timestamptz', 'timestamp')) "
     "AND t.table_schema = 'public'", [("rates",)]),
]

# What Metabase asks when it connects and looks over a database: zone, privileges, tables, columns, keys, enums, indexes.
METABASE = [
    ("SHOW timezone", [("UTC",)]),
    ("SELECT current_setting('TIMEZONE') AS timezone", [("UTC",)]),
    ("SELECT to_char(current_timestamp, 'YYYY-MM-DD HH24:MI:SS.MS TZ')", None),
    ("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1", [("public",)]),
    ("SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' "
     "THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' END AS type, d.description, "
     "NULLIF(c.reltuples, -1) AS estimated_row_count FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n "
     "ON c.relnamespace = n.oid LEFT JOIN pg_catalog.pg_description AS d ON c.oid = d.objoid AND d.objsubid = 0 AND "
     "d.classoid = 'pg_class'::regclass WHERE c.relnamespace = n.oid AND n.nspname !~ 'information_schema|catalog_history|^pg_' "
     "AND c.relkind IN ('r', 'p', 'v', 'f', 'm') AND n.nspname NOT IN ('information_schema') ORDER BY type, schema, name", None),
    ("WITH table_privileges AS (SELECT NULL AS role, t.schemaname AS schema, t.objectname AS \"table\", "
     "pg_catalog.has_any_column_privilege(current_user, '\"' || t.schemaname || '\".\"' || t.objectname || '\"', 'select') AS \"select\" "
     "FROM (SELECT schemaname, tablename AS objectname FROM pg_catalog.pg_tables UNION SELECT schemaname, viewname FROM "
     "pg_catalog.pg_views UNION SELECT schemaname, matviewname FROM pg_catalog.pg_matviews) t WHERE t.schemaname !~ '^pg_' AND "
     "t.schemaname <> 'information_schema' AND pg_catalog.has_schema_privilege(current_user, t.schemaname, 'USAGE')) "
     "SELECT \"table\" FROM table_privileges WHERE \"select\"", [("rates",)]),
    ("SELECT c.column_name AS name, CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN format('%s', c.udt_name) ELSE "
     "format('\"%s\".\"%s\"', c.udt_schema, c.udt_name) END AS database_type, c.ordinal_position - 1 AS position, "
     "c.table_schema, c.table_name, pk.column_name IS NOT NULL AS \"pk?\", col_description(CAST(CAST(format('%I.%I', "
     "CAST(c.table_schema AS TEXT), CAST(c.table_name AS TEXT)) AS REGCLASS) AS OID), c.ordinal_position) AS field_comment, "
     "((column_default IS NULL OR LOWER(column_default) = 'null') AND is_nullable = 'NO') AS required FROM "
     "information_schema.columns AS c LEFT JOIN (SELECT tc.table_schema, tc.table_name, kc.column_name FROM "
     "information_schema.table_constraints AS tc INNER JOIN information_schema.key_column_usage AS kc ON "
     "tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema AND tc.table_name = kc.table_name WHERE "
     "tc.constraint_type = 'PRIMARY KEY') AS pk ON c.table_schema = pk.table_schema AND c.table_name = pk.table_name AND "
     "c.column_name = pk.column_name WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_schema IN "
     "('public') ORDER BY table_schema, table_name, position", None),
    ("SELECT nspname, typname, enumlabel FROM pg_type t JOIN pg_enum e ON t.oid = e.enumtypid JOIN pg_namespace n ON "
     "n.oid = t.typnamespace", []),
    ("SELECT tmp.\"table-name\", tmp.\"field-name\" FROM (SELECT n.nspname AS \"table-schema\", c.relname AS \"table-name\", "
     "a.attname AS \"field-name\", i.indisunique FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON "
     "c.relnamespace = n.oid JOIN pg_catalog.pg_index i ON c.oid = i.indrelid JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
     "AND a.attnum = i.indkey[0] WHERE n.nspname = 'public') AS tmp", []),
    ("SELECT conname, confrelid FROM pg_catalog.pg_constraint WHERE contype = 'f'", []),
]


def dashboards(server, problems):
    """what Grafana and Metabase ask when they start gives no error"""
    with psycopg.connect(server.conninfo, autocommit=True) as session:
        session.execute("CREATE TABLE rates (at TIMESTAMPTZ, card TEXT, amount NUMERIC)")
        session.execute("INSERT INTO rates VALUES ('2026-01-01 00:00:30Z', 'a', 5), ('2026-01-01 00:00:40Z', 'a', 7)")
        session.execute("FLUSH")
        for text, want in GRAFANA + METABASE:
            try:
                rows = session.execute(text).fetchall()
            except psycopg.Error as error:
                problems.append(f"{error}\n    {text}")
                continue
            # Other cases have tables of their own.
            isRight = rows if want is None else set(want) <= set(rows) and (want or not rows)
            problems.check(isRight, f"{rows}, not {want}\n    {text}")


# Every describe command of psql 15, with what it takes.
DESCRIBES = """\\d \\d+ \\dS+ \\da \\dA+ \\dAc+ \\dAf+ \\dAo+ \\dAp+ \\db+ \\dc+ \\dconfig+ \\dC+ \\dd \\dD+ \\ddp \\dE+ \\des+ \\det+ \\deu+ \\dew+
    \\df+ \\dfa \\dfn \\dfp \\dft \\dfw \\dF+ \\dFd+ \\dFp+ \\dFt+ \\dg+ \\di+ \\dl+ \\dL+ \\dm+ \\dn+ \\do+ \\dO+ \\dp \\dP \\dPt \\dPi \\drds \\dRp+
    \\dRs+ \\ds+ \\dt+ \\dtS+ \\dT+ \\dTS+ \\du+ \\dv+ \\dx+ \\dX \\dy+ \\l+ \\z \\conninfo \\encoding""".split()
WITH_NAMES = ["\\d parts", "\\d+ parts", "\\d part_names", "\\d+ part_names", "\\d parts_pkey", "\\d pg_class", "\\z parts", "\\df *next*",
    "\\sf next_one", "\\sf+ next_one", "\\sv part_names", "\\sv+ part_names"]


def describes(server, problems):
    """no describe command of psql fails, and cursors and prepared statements are listed"""
    server.psql("CREATE TABLE parts (id INT PRIMARY KEY, name TEXT)", "CREATE VIEW part_names AS SELECT name FROM parts",
        "CREATE FUNCTION next_one(n INT) RETURNS INT LANGUAGE SQL AS 'SELECT n + 1'")
    answers = {}
    shown = lambda command: command.replace("\\", "\\\\")
    script = "".join(f"\\echo '## {shown(command)}'\n{command}\n" for command in DESCRIBES + WITH_NAMES)
    done = subprocess.run(["psql", "-X", "-h", server.host, "-p", server.port, "-U", "ann", "-d", "dev"], input=script,
        capture_output=True, text=True, timeout=60, env=dict(os.environ, PAGER="cat"))
    for part in done.stdout.split("## ")[1:]:
        command, _, answer = part.partition("\n")
        answers[command] = answer
    problems.check(len(answers) == len(set(DESCRIBES + WITH_NAMES)), f"{len(answers)} answers")
    problems.check("ERROR" not in done.stderr and "invalid" not in done.stderr, done.stderr[:3000])
    for command, words in [("\\d parts", "parts_pkey"), ("\\sf next_one", "SELECT n + 1"), ("\\sv part_names", "SELECT name"),
                           ("\\dm+", ""), ("\\df *next*", "next_one")]:
        problems.check(words in answers.get(command, ""), f"{command}: {answers.get(command)}")
    with psycopg.connect(server.conninfo) as session:
        session.execute("PREPARE p (INT) AS SELECT $1 + 1")
        session.execute("DECLARE c CURSOR FOR SELECT 1")
        found = session.execute("SELECT name, from_sql, parameter_types::text FROM pg_prepared_statements WHERE name = 'p'").fetchall()
        problems.check(len(found) == 1 and found[0][1], f"prepared statements: {found}")
        found = session.execute("SELECT name, statement FROM pg_cursors").fetchall()
        problems.check(found == [("c", "DECLARE c CURSOR FOR SELECT 1")], f"cursors: {found}")


def sessions(server, problems):
    """sessions are listed as PostgreSQL lists them, one cancels another's statement and ends it by its number, and other schemas are not in sight"""
    with psycopg.connect(server.conninfo, autocommit=True) as session, psycopg.connect(server.conninfo, autocommit=True) as other:
        ended = []

        def sleep():
            try:
                other.execute("SELECT pg_sleep(60)")
            except psycopg.errors.QueryCanceled as error:
                ended.append(str(error))

        sleeper = threading.Thread(target=sleep)
        sleeper.start()
        find = "SELECT pid, state FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND pid <> pg_backend_pid()"
        found, end = [], time.monotonic() + 20
        while not found and time.monotonic() < end:
            found = session.execute(find).fetchall()
        problems.check(found == [(other.info.backend_pid, "active")], f"found {found}, not {other.info.backend_pid}")
        problems.check(session.execute("SELECT pg_cancel_backend(%s)", (other.info.backend_pid,)).fetchone() == (True,), "nobody was there")
        sleeper.join(30)
        problems.check(len(ended) == 1 and "user request" in ended[0], f"not cancelled: {ended}")
        problems.check(session.execute("SELECT pg_cancel_backend(1234567)").fetchone() == (False,), "somebody was there")
        session.execute("CREATE SCHEMA aside; CREATE TABLE aside.hidden (id INT PRIMARY KEY); CREATE TABLE in_sight (id INT PRIMARY KEY)")
        seen = "SELECT relname FROM pg_class WHERE pg_table_is_visible(oid) AND relname IN ('hidden', 'hidden_pkey', 'in_sight', 'pg_class') ORDER BY 1"
        problems.check([name for name, in session.execute(seen)] == ["in_sight", "pg_class"], "what is in sight")
        session.execute("SET search_path = aside")
        problems.check([name for name, in session.execute(seen)] == ["hidden", "hidden_pkey", "pg_class"], "what is in sight of the other schema")
        problems.check(session.execute("EXPLAIN SELECT 1").fetchall()[-1][0].strip() != "", "EXPLAIN ends with an empty row")
        problems.check(session.execute("SELECT pg_terminate_backend(1234567)").fetchone() == (False,), "somebody was ended")
        problems.check(session.execute("SELECT pg_terminate_backend(%s)", (other.info.backend_pid,)).fetchone() == (True,), "nobody was ended")
        try:
            other.execute("SELECT 1")
            problems.append("a connection that was ended goes on")
        except psycopg.OperationalError as error:
            problems.check("administrator command" in str(error), f"not told: {error}")


def pgbench(server, problems):
    """pgbench drives it: simple, extended and prepared, and pipelined"""
    words = shutil.which("pgbench")
    if not words:
        print('{"skipped": "no pgbench (postgresql-contrib)"}', flush=True)
        return
    with psycopg.connect(server.conninfo, autocommit=True) as session:
        session.execute("CREATE TABLE accounts (aid INT PRIMARY KEY, balance INT)")
        session.execute("INSERT INTO accounts SELECT n, 0 FROM generate_series(1, 1000) AS n")
        session.execute("FLUSH")
    folder = os.path.dirname(server.data)
    scripts = {
        "read.sql": "\\set id random(1, 1000)\nSELECT balance FROM accounts WHERE aid = :id;\n",
        "write.sql": "\\set id random(1, 1000)\nBEGIN;\nUPDATE accounts SET balance = balance + 1 WHERE aid = :id;\n"
            "SELECT balance FROM accounts WHERE aid = :id;\nCOMMIT;\n",
        "pipeline.sql": "\\set id random(1, 1000)\n\\startpipeline\n" + "SELECT balance FROM accounts WHERE aid = :id;\n" * 20 + "\\endpipeline\n",
    }
    for name, text in scripts.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)

    def bench(mode, name, clients, transactions):
        done = subprocess.run(
            ["pgbench", "-n", "-h", server.host, "-p", server.port, "-U", "ann", "-M", mode, "-c", str(clients), "-t", str(transactions),
             "-f", os.path.join(folder, name), "--max-tries=100", "dev"], capture_output=True, text=True, timeout=120)
        said = f"number of transactions actually processed: {clients * transactions}/{clients * transactions}"
        problems.check(done.returncode == 0 and said in done.stdout and "number of failed transactions: 0 " in done.stdout,
            f"{mode} {name}: {done.returncode} {done.stdout[-600:]} {done.stderr[-600:]}")

    for mode in ("simple", "extended", "prepared"):
        bench(mode, "read.sql", 4, 100)
        bench(mode, "write.sql", 2, 20)
    for mode in ("extended", "prepared"):
        bench(mode, "pipeline.sql", 4, 20)
    with psycopg.connect(server.conninfo, autocommit=True) as session:
        total = session.execute("SELECT sum(balance) FROM accounts").fetchone()[0]
        problems.check(total == 3 * 2 * 20, f"{total} increments, not {3 * 2 * 20}")


CASES = [jdbc, dashboards, describes, sessions, pgbench]
