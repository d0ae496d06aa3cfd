"""Many rows with long strings against PostgreSQL: volume.py MARTLET PGHOST SCRATCH [--rows N] [--steps N] [--seed N].

Random queries have few rows and short strings, and so do not see what happens where memory of strings is moved, or let go and used
again. Here tables of some thousand rows with long strings are written over many times, and views over them must hold
PostgreSQL's answers, and hold them when the server was killed and started again.
"""

import argparse
import collections
import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from run import Side, serve

TABLES = {
    "account": "id bigint PRIMARY KEY, owner text, region text, balance bigint, note text, at timestamp",
    "event": "id bigint PRIMARY KEY, owner text, kind text, amount bigint, body text, at timestamp",
}

# Where PostgreSQL says it in another way: both.
VIEWS = {
    "rows": "SELECT * FROM event",
    "groups": "SELECT owner, count(*) AS n, sum(amount) AS s, min(body) AS low, max(body) AS high FROM event GROUP BY owner",
    "kinds": "SELECT kind, owner, count(DISTINCT body) AS n, string_agg(left(body, 9), ',' ORDER BY id) AS l FROM event GROUP BY kind, owner",
    "joined": "SELECT a.id AS a, e.id AS e, a.note, e.body FROM account a JOIN event e ON a.owner = e.owner WHERE a.balance > e.amount",
    "outer_joined": "SELECT a.id AS a, a.note, e.body FROM account a LEFT JOIN event e ON a.owner = e.owner AND a.region = e.kind",
    "latest": "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY owner ORDER BY amount DESC, id) AS r FROM event) x WHERE r <= 2",
    "before": "SELECT id, body, lag(body) OVER (PARTITION BY owner ORDER BY id) AS b FROM event",
    "bodies": "SELECT DISTINCT body, kind FROM event",
    "either": "SELECT owner, region AS what FROM account EXCEPT SELECT owner, kind FROM event",
    "known": "SELECT * FROM account a WHERE EXISTS (SELECT 1 FROM event e WHERE e.owner = a.owner AND e.body > a.note)",
    "best": "SELECT region, (array_agg(note ORDER BY balance DESC, id))[1] AS note FROM account GROUP BY region, owner",
    "running": """SELECT id, sum(amount) OVER (PARTITION BY owner ORDER BY at, id ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS s,
        max(body) OVER (PARTITION BY kind, owner) AS m FROM event""",
    "cube": "SELECT kind, left(owner, 8) AS o, count(*) AS n, min(body) AS low FROM event GROUP BY CUBE (kind, left(owner, 8))",
    "ties": "SELECT * FROM (SELECT owner, body, rank() OVER (PARTITION BY owner ORDER BY amount / 100) AS r FROM event) x WHERE r <= 3",
    "subquery": "SELECT id, body, (SELECT max(note) FROM account a WHERE a.owner = e.owner) AS note FROM event e WHERE amount < 300",
    "all_of_both": "SELECT owner, note FROM account UNION ALL SELECT owner, body FROM event",
    "in_both": "SELECT owner FROM account INTERSECT ALL SELECT owner FROM event",
    "full_joined": "SELECT a.note, e.body FROM account a FULL JOIN event e ON a.id = e.id AND a.balance < e.amount",
    "middle": "SELECT kind, percentile_disc(0.5) WITHIN GROUP (ORDER BY body) AS m, mode() WITHIN GROUP (ORDER BY owner) AS o FROM event GROUP BY kind",
    "hours": (
        "SELECT window_start, owner, count(*) AS n, max(body) AS high FROM TUMBLE(event, at, INTERVAL '1 hour') GROUP BY window_start, owner",
        "SELECT date_trunc('hour', at), owner, count(*), max(body) FROM event GROUP BY 1, 2"),
    "nearest": (
        "SELECT a.id, a.note, e.body FROM account a ASOF LEFT JOIN event e ON a.region = e.kind AND a.at >= e.at",
        """SELECT a.id, a.note, e.body FROM account a LEFT JOIN LATERAL (
            SELECT body FROM event e WHERE a.region = e.kind AND a.at >= e.at ORDER BY e.at DESC LIMIT 1) e ON true"""),
}


def text(seed, width):
    """A string of an expression, up to `width` times 32 characters."""
    return f"repeat(md5(({seed})::text), 1 + (({seed}) % {width})::int)"


def rows(table, low, high, salt, owners):
    owner = f"'owner ' || {text(f'i * 31 % {owners}', 3)}"
    middle = f"i * 7 % 11 || ' ' || {text('i * 7 % 11', 2)}"
    return (f"INSERT INTO {table} SELECT i, {owner}, {middle}, (i * 7919 + {salt}) % 1000, {text(f'i + {salt}', 15)}, "
            f"timestamp '2026-01-01' + {'i * 20011' if table == 'account' else 'i * 7001'} % 800000 * interval '1 second' "
            f"FROM generate_series({low}::bigint, {high}::bigint) i "
            f"ON CONFLICT (id) DO UPDATE SET {'note' if table == 'account' else 'body'} = "
            f"{text(f'excluded.id + {salt} + 1', 12)}")


def step(random, size, owners):
    table, column = random.choice((("account", "note"), ("event", "body"), ("event", "body")))
    count = size // (4 if table == "account" else 1)
    salt, modulus = random.randrange(10**6), random.randrange(2, 6)
    rest = random.randrange(modulus)
    return random.choice((
        lambda: f"UPDATE {table} SET {column} = {text(f'id + {salt}', 15)} WHERE id % {modulus} = {rest}",
        lambda: f"UPDATE {table} SET owner = 'owner ' || {text(f'(id * 31 + {salt}) % {owners}', 3)} WHERE id % {modulus} = {rest}",
        lambda: f"DELETE FROM {table} WHERE id % {modulus} = {rest}",
        lambda: rows(table, (low := random.randrange(count)), low + count // 2, salt, owners),
        lambda: rows(table, 0, count, salt, owners),
    ))()


def main():
    parser = argparse.ArgumentParser()
    for name in ("martlet", "pghost", "scratch"):
        parser.add_argument(name)
    for name, value in (("--rows", 8000), ("--steps", 12), ("--seed", 1), ("--shards", 2)):
        parser.add_argument(name, type=int, default=value)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    owners = max(arguments.rows // 20, 1)
    postgres = Side(host=arguments.pghost, user="postgres", dbname="postgres")
    process, port = serve(arguments.martlet, arguments.scratch, arguments.shards)
    done, differences, compared = [], [], 0

    def compare(when):
        nonlocal compared
        for name, query in VIEWS.items():
            query = query if isinstance(query, str) else query[1]
            found = collections.Counter(martlet.do(f"SELECT * FROM {name}_view"))
            wanted = collections.Counter(postgres.do(query))
            compared += 1
            if found == wanted:
                continue
            differences.append(name)
            missing, extra = wanted - found, found - wanted
            print(f"{name} {when}, seed {arguments.seed}: {missing.total()} missing, {extra.total()} too many of {wanted.total()}\n"
                  f"  {next(iter(missing), None)}\n  {next(iter(extra), None)}", file=sys.stderr)

    try:
        martlet = Side(host="127.0.0.1", port=port, user="martlet", dbname="martlet")
        postgres.do("DROP SCHEMA IF EXISTS volume CASCADE; CREATE SCHEMA volume; SET search_path = volume")
        for name, columns in TABLES.items():
            for side in (postgres, martlet):
                side.do(f"CREATE TABLE {name} ({columns})")
        for name, query in VIEWS.items():
            martlet.do(f"CREATE MATERIALIZED VIEW {name}_view AS {query if isinstance(query, str) else query[0]}")
        for number in range(arguments.steps):
            done.append(step(draw, arguments.rows, owners) if number else rows("event", 0, arguments.rows, 0, owners))
            for side in (postgres, martlet):
                side.do(done[-1])
            if number % 3 == 2 and not differences:
                compare(f"after {number + 1} steps")
        process.kill()
        process.wait()
        process, port = serve(arguments.martlet, arguments.scratch, arguments.shards)
        martlet = Side(host="127.0.0.1", port=port, user="martlet", dbname="martlet")
        if not differences:
            compare("after a kill")
    finally:
        process.kill()
        process.wait()
    if differences:
        print(";\n".join(done), file=sys.stderr)
    print(json.dumps({"compared": compared, "differences": differences, "seed": arguments.seed}))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
