"""Runs a DuckDB script with two threads and prints its seconds, without Python's own start: {"seconds": 1.234}."""

import json
import sys
import time

import duckdb

script = open(sys.argv[1]).read()
started = time.monotonic()
connection = duckdb.connect()
connection.execute("SET threads = 2; SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
connection.execute(script)
print(json.dumps({"seconds": time.monotonic() - started}))
