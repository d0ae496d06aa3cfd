"""Runs the Nexmark queries of bench/nexmark on a small input, ours and DuckDB's, and prints one line for each that differs."""

import json
import os
import string
import subprocess
import sys

import duckdb

martlet, scratch, bench = sys.argv[1:4]
sys.path.insert(0, bench)
from queries import QUERIES


def run(*words):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words[:4]))}: {done.stdout[-500:]} {done.stderr[-1500:]}")
    return done.stdout


def rows(path, columns):
    """What all changes come to, as sorted texts."""
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return {}
    declared = ", ".join(f"{name}: 'VARCHAR'" for name in [*columns, "op"])
    casts = ", ".join(
        f"round(CAST({name} AS DOUBLE), 4)" if kind == "DOUBLE" else f"CAST({name} AS {kind})" for name, kind in columns.items())
    sign = "sum(CASE WHEN op = 'delete' THEN -1 ELSE 1 END)"
    sql = f"""SELECT CAST(row({casts}) AS VARCHAR) AS line, {sign} AS n
        FROM read_json('{path}', format = 'newline_delimited', columns = {{{declared}}}) GROUP BY 1 HAVING n <> 0"""
    return dict(duckdb.connect().execute(sql).fetchall())


def main():
    data = f"{scratch}/data"
    os.makedirs(data, exist_ok=True)
    run(martlet, "generate", "nexmark", "--events", 20000, "--seed", 7, "--files", 2, "--disorder", "2s", "--out", data)
    inputs = {f"{name}s": f"{data}/{name}-*.ndjson" for name in ("bid", "auction", "person")}
    for query, columns in QUERIES.items():
        ours, theirs = f"{scratch}/{query}.ndjson", f"{scratch}/{query}-duckdb.ndjson"
        variables = [word for name, path in inputs.items() for word in ("-v", f"{name}={path}")]
        run(martlet, "run", f"{bench}/{query}.sql", *variables, "-v", f"out={ours}", "--shards", 2, "--out-dir", f"{scratch}/rest")
        with open(f"{bench}/duckdb/{query}.sql") as source:
            script = string.Template(source.read()).substitute(**inputs, out=theirs)
        duckdb.connect().execute("SET TimeZone = 'UTC'; " + script)
        found, expected = rows(ours, columns), rows(theirs, columns)
        problem = None
        if found != expected:
            missing = sorted(set(expected.items()) - set(found.items()))[:2]
            extra = sorted(set(found.items()) - set(expected.items()))[:2]
            problem = f"{len(found)} rows, expected {len(expected)}; missing {missing}, too many {extra}"
        print(json.dumps({"query": query, "rows": len(expected), "problem": problem}), flush=True)


main()
