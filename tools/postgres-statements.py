#!/usr/bin/env python3
"""Writes Tests/MartletSQLTests/Golden/statements.cases: queries and PostgreSQL's answers.

    tools/postgres-statements.py HOST [PORT]    HOST: the folder of a PostgreSQL 15 server's socket

Reads statements.sql beside it, one query per line; the answers always come from PostgreSQL, never from Martlet. A case is the
query, a tab, and one of
    name type, name type …           the columns of the result
    name type, … = value | value     the same and the row, for queries without FROM (NULL is \\N; backslash, tab, newline escaped)
    !SQLSTATE position message       the error; position is the 1-based character, or - where PostgreSQL gives none
"""
import os
import re
import subprocess
import sys

golden = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Tests", "MartletSQLTests", "Golden")
TABLE = """CREATE TEMP TABLE p (card TEXT, amount NUMERIC(12,2), n INT, big BIGINT, sm SMALLINT, d DOUBLE PRECISION, r REAL, ok BOOLEAN,
doc JSONB, day DATE, ts TIMESTAMPTZ, tsn TIMESTAMP, tm TIME, iv INTERVAL, b BYTEA, u UUID);
SET timezone = 'UTC'; SET datestyle = 'ISO'; SET search_path = pg_temp, public;
"""


def psql(script):
    port = sys.argv[2] if len(sys.argv) > 2 else "5432"
    command = ["psql", "-X", "-q", "-A", "-t", "-h", sys.argv[1], "-p", port, "-U", "postgres", "-P", "null=\\N", "-F", "\x1f", "-R", "\x1e"]
    return subprocess.run(command, input=TABLE + "\\set VERBOSITY verbose\n" + script, capture_output=True, text=True)


def error(text):
    found = re.search(r"ERROR:\s+(\w+): (.*)", text)
    if not found:
        return None
    place = re.search(r"^LINE 1: (.*)\n( *)\^", text, re.M)
    position = "-"
    if place and "..." not in place.group(1):
        position = str(len(place.group(2)) - len("LINE 1: ") + 1)
    return f"!{found.group(1)} {position} {found.group(2)}"


def escape(text):
    return text if text == "\\N" else text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def answer(query):
    described = psql(query + "\\gdesc\n")
    failed = error(described.stderr)
    if failed:
        return failed
    columns = [line.split("\x1f") for line in described.stdout.rstrip("\n").split("\x1e")]
    ran = psql(query + ";\n")
    failed = error(ran.stderr)
    if failed:
        return failed
    result = ", ".join(" ".join(column) for column in columns)
    if " from p" not in query.lower() and not query.lower().startswith(("values", "with")) and " where " not in query.lower() and "union" not in query.lower():
        result += " = " + " | ".join(escape(value) for value in ran.stdout.rstrip("\n").split("\x1f"))
    return result


with open(os.path.join(golden, "statements.sql")) as file:
    queries = [line.rstrip("\n") for line in file if line.strip()]
with open(os.path.join(golden, "statements.cases"), "w") as file:
    file.write("# Written by tools/postgres-statements.py from PostgreSQL's answers; the format is described there.\n")
    for query in queries:
        file.write(f"{query}\t{answer(query)}\n")
