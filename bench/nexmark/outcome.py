"""Count and order-free hash of the rows in NDJSON files, read as typed columns: what all changes come to, where rows have a
member "op". Its own process, so that the memory it
takes is not seen in the figures of the processes that the bench starts."""

import json
import sys

import duckdb

columns = json.loads(sys.argv[1])
files = sys.argv[2:]
declared = ", ".join(f"{name}: 'VARCHAR'" for name in [*columns, "op"])
sign = "CASE WHEN op = 'delete' THEN -1 ELSE 1 END"
# A zone suffix on an engine's timestamps says UTC; the cast drops it.
# Averages of one sum may differ in their last digits.
casts = ", ".join(
    f"round(CAST({name} AS DOUBLE), 4)" if kind == "DOUBLE" else f"CAST({name} AS {kind})" for name, kind in columns.items())
found = (0, None)
if files:
    sql = f"""SELECT sum({sign})::BIGINT, CAST(sum({sign} * CAST(hash({casts}) AS HUGEINT)) AS VARCHAR)
        FROM read_json({files}, format = 'newline_delimited', columns = {{{declared}}})"""
    found = duckdb.connect().execute(sql).fetchone()
print(json.dumps(found))
