"""Compares each line of expressions.txt with PostgreSQL, for every row of a small table with NULLs, extremes, decimals
and moments near changes of clock. A row that is an error there must be a dead letter here, with the same SQLSTATE.

    postgres_oracle.py BINARY FOLDER PGHOST      one JSON line per expression that differs, then {"expressions", "rows"}
"""

import json, os, subprocess, sys

import psycopg

HERE = os.path.dirname(os.path.abspath(__file__))
COLUMNS = {
    "id": "INT", "b": "BOOLEAN", "si": "SMALLINT", "i": "INT", "j": "INT", "l": "BIGINT", "m": "BIGINT", "n": "NUMERIC", "k": "NUMERIC",
    "r": "REAL", "d": "DOUBLE PRECISION", "e": "DOUBLE PRECISION", "s": "TEXT", "u": "TEXT", "ts": "TIMESTAMP", "ts0": "TIMESTAMP",
    "tz": "TIMESTAMPTZ", "tz0": "TIMESTAMPTZ", "dt": "DATE", "dt0": "DATE", "iv": "INTERVAL", "js": "JSONB",
}
# Values as JSON has them: numbers as text, so that no digit is lost on the way.
ROWS = [
    (True, 1, 7, 2, 100, 7, "1.50", "0.3", "1.5", "2.5", "0.5", "abc", "été", "2024-02-29T12:34:56.789012", "2024-01-31T00:00:00",
     "2024-03-31T00:59:59.999999Z", "2024-03-31T01:00:00Z", "2024-02-29", "2023-12-31", "1 day 02:03:04.5", {"a": 1, "b": [1, "zwei", None]}),
    (False, -1, -7, 2, -100, -7, "-2.5", "1.1", "-0.25", "-2.5", "3", "a b", "a b", "1999-12-31T23:59:59.999999", "2000-01-01T00:00:00",
     "2024-10-27T00:30:00+00:00", "2024-10-27T01:30:00+00:00", "2000-01-01", "2001-02-03", "-1 mons +3 days", {"a": "12", "b": []}),
    (None, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None),
    (True, 32767, 2147483647, 1, 9223372036854775807, 1, "99999999999999999999", "0.00000001", "3e38", "1e308", "10", "12", "x",
     "2038-01-19T03:14:07", "1970-01-01T00:00:00", "2024-11-03T05:59:59Z", "2024-11-03T06:00:00Z", "9999-12-31", "1970-01-01", "100 years", []),
    (False, -32768, -2147483648, -1, -9223372036854775808, -1, "-0.005", "2.50", "-1e-37", "-1e-300", "1e-300", " 42 ", "ÄÖ", "0044-03-15T00:00:00",
     "0001-01-01T00:00:00", "1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z", "0001-01-01", "2024-12-30", "-00:00:00.000001", {"b": [True, [1], {}]}),
    (True, 0, 0, 0, 0, 0, "0", "0.00", "0", "0", "0", "", "", "1970-01-01T00:00:00", "1970-01-01T00:00:00", "1970-01-01T00:00:00Z",
     "1970-01-01T00:00:00Z", "1970-01-01", "1970-01-01", "00:00:00", {}),
    (None, 5, 3, 0, 4, 3, "2.5", None, "0.1", "0.1", "0.2", "true", "aé日本", "2024-12-30T08:00:00", None, "2024-06-15T12:00:00+02:00", None,
     "2024-12-30", None, "14 mons -35 days 30:00:00", {"a": None}),
    (False, 200, 46341, 46341, 3037000500, 3037000500, "1234567.891", "-7", "16777216", "3.5", "-1", "2024-02-30", "xax",
     "2024-03-10T02:30:00", "2024-03-09T02:30:00", "2024-03-10T07:30:00Z", "2024-03-10T06:59:59.999Z", "2024-03-10", "2023-03-10", "1 mon", {"a": 1e2}),
    (True, 3, 12, 5, -8, 3, "0.5", "-0.5", "-1.5", "1.5", "-1.5", "2024-05-06 07:08:09+02", "tab\there", "2024-05-06T07:08:09",
     "2020-02-29T00:00:00", "2021-02-28T23:00:00Z", "2020-02-29T00:00:00Z", "2021-02-28", "2020-02-29", "3 days", {"a": True, "aa": 1, "b": {"c": 2}}),
    (True, 9, 1, 3, 9, 5, "1e-10", "3", "1", "20.5", "700", "1e3", "'quoted'", "2016-12-31T23:59:59", "2015-06-30T23:59:59", "2016-12-31T23:59:59Z",
     "2000-01-01T00:00:00Z", "2016-12-31", "2016-01-01", "1.5 hours", {"a": "x"}),
    (False, 10, -3, 7, -9, -5, "-1234.5678", "0.001", "-2", "-0.5", "0", "{\"k\": 1}", "Straße", "2262-04-11T23:47:16.854775", "1900-01-01T00:00:00",
     "2007-03-11T06:59:59Z", "2007-03-11T07:00:00Z", "1582-10-15", "1582-10-04", "P1Y2M3DT4H5M6S", [{"a": 1}]),
]


def literal(value, kind):
    """A value as JSON text; numbers go as they are written."""
    if value is None or isinstance(value, (bool, int, dict, list)):
        return json.dumps(value)
    return value if kind in ("NUMERIC", "REAL", "DOUBLE PRECISION") else json.dumps(value, ensure_ascii=False)


def martlet(binary, folder, expressions):
    """(expression number, id) → text, None for NULL, or an error's code."""
    with open(f"{folder}/t.ndjson", "w", encoding="utf-8") as out:
        for number, row in enumerate(ROWS):
            fields = zip(COLUMNS.items(), (number, *row))
            out.write("{" + ", ".join(f'"{name}": {literal(value, kind)}' for (name, kind), value in fields) + "}\n")
    script = f"{folder}/expressions.sql"
    with open(script, "w", encoding="utf-8") as out:
        listed = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        out.write(f"CREATE SOURCE t ({listed}) WITH (connector = 'file', path = '{folder}/t.ndjson', on_error = 'dlq') FORMAT PLAIN ENCODE JSON;\n")
        for number, expression in expressions:
            out.write(f"CREATE SINK e{number} AS SELECT id, ({expression})::text AS v FROM t "
                      f"WITH (connector = 'file', path = '{folder}/e{number}.ndjson') FORMAT PLAIN ENCODE JSON;\n")
    run = subprocess.run([binary, "run", script, "--out-dir", folder, "--shards", "2"], capture_output=True, text=True, timeout=300)
    if run.returncode != 0:
        return None, run.stderr
    answers = {}
    for number, _ in expressions:
        for line in open(f"{folder}/e{number}.ndjson", encoding="utf-8"):
            row = json.loads(line)
            answers[number, row["id"]] = row["v"]
    for line in open(f"{folder}/t_dlq.ndjson", encoding="utf-8"):
        row = json.loads(line)
        view = row["reason"].rsplit("(in e", 1)
        if len(view) < 2:
            raise SystemExit(f"a record could not be read: {row['reason']}")
        answers[int(view[1][:-1]), row["offset"]] = "!" + row["reason_code"]
    return answers, None


def refused(binary, folder, expressions):
    """The expressions that do not even bind, with what is said about them."""
    errors = {}
    for number, expression in expressions:
        answers, error = martlet(binary, folder, [(number, expression)])
        if answers is None:
            errors[number] = error.strip().split("\n")[0:2]
    return errors


def main():
    binary, folder, host = sys.argv[1:]
    folder = os.path.abspath(folder)
    lines = [line.strip() for line in open(f"{HERE}/expressions.txt", encoding="utf-8")]
    lines = [line for line in lines if line and not line.startswith("#")]
    expressions = list(enumerate(line.lstrip("!") for line in lines))
    differing = {number for number, line in enumerate(lines) if line.startswith("!")}
    answers, error = martlet(binary, folder, expressions)
    unbound = {}
    if answers is None:
        unbound = refused(binary, folder, expressions)
        answers, error = martlet(binary, folder, [each for each in expressions if each[0] not in unbound])
    database = psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True)
    database.execute("SET TimeZone = 'UTC'")
    database.execute(f"CREATE TEMP TABLE t ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
    for number, row in enumerate(ROWS):
        shown = [value if value is None or isinstance(value, (bool, int)) else json.dumps(value) if isinstance(value, (dict, list)) else str(value) for value in row]
        database.execute(
            "INSERT INTO t SELECT " + ", ".join(f"%s::text::{kind}" for kind in COLUMNS.values()),
            [number, *[str(value).lower() if isinstance(value, bool) else value if value is None else str(value) for value in shown]])
    for number, expression in expressions:
        wrong = []
        for row in range(len(ROWS)):
            try:
                theirs = database.execute(f"SELECT ({expression})::text FROM t WHERE id = {row}").fetchone()[0]
            except psycopg.Error as failure:
                theirs = "!" + (failure.sqlstate or "?")
            ours = answers.get((number, row), "missing")
            if ours != theirs:
                wrong.append({"row": row, "martlet": ours, "postgres": theirs})
        if number in unbound:
            print(json.dumps({"expression": expression, "refused": unbound[number]}), flush=True)
        elif wrong and number not in differing:
            print(json.dumps({"expression": expression, "wrong": wrong}, ensure_ascii=False), flush=True)
        elif not wrong and number in differing:
            print(json.dumps({"expression": expression, "wrong": "it does not differ: take the ! away"}), flush=True)
    print(json.dumps({"expressions": len(expressions), "rows": len(ROWS)}))


main()
