"""Count and order-free hash of the rows in NDJSON files, read as typed columns: what all changes come to, where rows have a
member "op", beside their columns as Martlet writes them or in Debezium's envelope of "before" and "after" as Flink does.
Its own process, so that the memory it takes is not seen in the figures of the processes that the bench starts."""

import json
import sys

import duckdb

columns = json.loads(sys.argv[1])
files = sys.argv[2:]
members = {name: "VARCHAR" for name in columns}
row = "STRUCT(" + ", ".join(f'"{name}" VARCHAR' for name in columns) + ")"
declared = ", ".join(f"{name}: '{kind}'" for name, kind in {**members, "op": "VARCHAR", "before": row, "after": row}.items())
sign = "CASE WHEN op IN ('delete', 'd') THEN -1 ELSE 1 END"
# A zone suffix on an engine's timestamps says UTC; the cast drops it.
# Averages of one sum may differ in their last digits.
casts = []
for name, kind in columns.items():
    value = f'coalesce("{name}", before."{name}", after."{name}")'
    casts.append(f"round(CAST({value} AS DOUBLE), 4)" if kind == "DOUBLE" else f"CAST({value} AS {kind})")
found = (0, None)
if files:
    sql = f"""SELECT sum({sign})::BIGINT, CAST(sum({sign} * CAST(hash({', '.join(casts)}) AS HUGEINT)) AS VARCHAR)
        FROM read_json({files}, format = 'newline_delimited', columns = {{{declared}}})"""
    found = duckdb.connect().execute(sql).fetchone()
print(json.dumps(found))
