"""Compares what a view held after each tick with what DuckDB makes of exactly the rows read until then.

Input, one JSON object a line: first {"tables": {name: [[partition, place, ts, key, value, id], ...]}}, then for each case
{"name", "sql", "sources": [names in order], "ticks": [{"read": [[rows of each partition] of each source], "rows": [...]}],
"final": bool}. With "final" only the last tick must agree, and every earlier one must be contained in it.
Output: one line for each problem, at most three a case.
"""

import json
import sys
from collections import Counter

import duckdb


def text(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value
    return number(str(value))


def number(field):
    """Numbers that are not whole are compared to nine digits."""
    try:
        return field if field.lstrip("-").isdigit() else f"{float(field):.9g}"
    except ValueError:
        return field


def normal(row):
    return "\t".join(number(field) for field in row.split("\t"))


def main():
    lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
    database = duckdb.connect()
    for name, rows in json.loads(lines[0])["tables"].items():
        database.execute(f"CREATE TABLE all_{name} (part BIGINT, place BIGINT, ts TIMESTAMP, key BIGINT, value BIGINT, id BIGINT)")
        database.execute(f"CREATE TABLE read_{name} (part BIGINT, n BIGINT)")
        values = [[r[0], r[1], r[2], r[3], r[4], r[5]] for r in rows]
        database.executemany(
            f"INSERT INTO all_{name} VALUES (?, ?, make_timestamp(? * 1000000), ?, ?, ?)", values)
        database.execute(
            f"CREATE VIEW {name} AS SELECT ts, key, value, id FROM all_{name} JOIN read_{name} USING (part) WHERE place < n")
    checked = 0
    for line in lines[1:]:
        case = json.loads(line)
        problems = []
        final = Counter(normal(row) for row in case["ticks"][-1]["rows"])
        for index, tick in enumerate(case["ticks"]):
            found = Counter(normal(row) for row in tick["rows"])
            isLast = index == len(case["ticks"]) - 1
            if case["final"] and not isLast:
                if found - final:
                    problems.append(f"tick {index}: taken back later: {sorted((found - final).elements())[:5]}")
                continue
            for name, counts in zip(case["sources"], tick["read"]):
                database.execute(f"DELETE FROM read_{name}")
                for part, count in enumerate(counts):
                    database.execute(f"INSERT INTO read_{name} VALUES ({part}, {count})")
            try:
                rows = database.execute(case["sql"]).fetchall()
            except Exception as error:
                problems.append(f"DuckDB: {error}")
                break
            expected = Counter("\t".join(text(value) for value in row) for row in rows)
            checked += 1
            if found != expected:
                problems.append(
                    f"tick {index} of {len(case['ticks'])}, read {tick['read']}: missing {sorted((expected - found).elements())[:6]}, "
                    f"too many {sorted((found - expected).elements())[:6]}")
        for problem in problems[:3]:
            print(json.dumps({"name": case["name"], "problem": problem}))
    print(json.dumps({"checked": checked}))


main()
