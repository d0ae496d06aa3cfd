"""Sinks whose server is away: at their making, while they run, and when Martlet starts again."""

import glob
import os

import psycopg

from changes import read, send
from harness import eventually


def binaries():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    return found[-1] if found else None


def sink(name, host, table, more=""):
    return (f"CREATE SINK {name} FROM counts WITH (connector = 'postgres', host = '{host}', database = 'postgres', table = '{table}', "
            f"type = 'upsert', primary_key = 'k'{more})")


def record(at):
    return (str(at).encode(), {"k": at % 7, "v": at})


def away(server, problems):
    """Views go on while a sink's server is away, at the sink's making, later, and across a restart; then it has every row, once"""
    if binaries() is None:
        return
    from crash_pipelines import Postgres

    postgres = Postgres(binaries(), os.path.join(server.folder, "postgres"))
    with psycopg.connect(host=postgres.folder, user="postgres", autocommit=True) as connection:
        connection.execute("CREATE TABLE counts (k int PRIMARY KEY, n bigint, v numeric)")
    host = postgres.folder
    server.sql("CREATE SOURCE c (k INT, v INT) WITH (connector = 'kafka', topic = 'c') FORMAT PLAIN ENCODE JSON",
               "CREATE MATERIALIZED VIEW counts AS SELECT k, count(*) AS n, sum(v) AS v FROM c GROUP BY k")

    def total(n):
        return [(n, n * (n - 1) // 2)]

    query = "SELECT sum(n), sum(v) FROM counts"
    try:
        # A table that is not there is said at once.
        try:
            server.sql(sink("wrong", host, "missing"))
            problems.append("a sink to a table that is not there was made")
        except psycopg.Error as error:
            problems.equal(error.sqlstate, "42P01", "the refusal")
        postgres.stop()
        server.sql(sink("absent", host, "counts"))
        problems.equal(send(server, "c", [record(at) for at in range(1000)]), 0, "sent")
        problems.equal(server.eventually_rows(query, total(1000)), total(1000), "the view while the server is away")
        why = lambda: server.rows("SELECT code, explanation, advice FROM martlet_why WHERE name = 'absent'")[0]
        problems.check(eventually(lambda: why()[0] == "sink_away", 20), f"why: {why()}")
        problems.check("has been away for" in why()[1] and "wait for it" in why()[1] and "\n" not in why()[1], f"why: {why()}")
        problems.check("nothing is lost" in why()[2], f"what to do: {why()}")
        postgres.start()
        problems.check(eventually(lambda: postgres.rows(query) == total(1000), 20), f"after its return: {postgres.rows(query)}")
        postgres.stop()
        problems.equal(send(server, "c", [record(at) for at in range(1000, 2000)]), 0, "sent")
        problems.equal(server.eventually_rows(query, total(2000)), total(2000), "the view")
        server.kill()
        server.start()
        problems.equal(server.eventually_rows(query, total(2000)), total(2000), "the view of a server that came back alone")
        problems.equal(send(server, "c", [record(at) for at in range(2000, 3000)]), 0, "sent")
        problems.equal(server.eventually_rows(query, total(3000)), total(3000), "the view")
        postgres.start()
        problems.check(eventually(lambda: postgres.rows(query) == total(3000), 20), f"after both: {postgres.rows(query)}")
        # A dropped sink's rows hold nobody up.
        postgres.stop()
        problems.equal(send(server, "c", [record(at) for at in range(3000, 3100)]), 0, "sent")
        server.eventually_rows(query, total(3100))
        folder = os.path.join(server.folder, "kept.ndjson")
        server.sql("DROP SINK absent",
                   f"CREATE SINK kept AS SELECT v FROM c WITH (connector = 'file', path = '{folder}') FORMAT PLAIN ENCODE JSON")
        lines = lambda: sum(1 for _ in open(folder)) if os.path.exists(folder) else 0
        problems.check(eventually(lambda: lines() == 3100, 20), f"lines of another sink: {lines()}")
    finally:
        postgres.stop()


def poison(server, problems):
    """A row that the server refuses for its values is a dead letter, and the others are there"""
    if binaries() is None:
        return
    from crash_pipelines import Postgres

    postgres = Postgres(binaries(), os.path.join(server.folder, "poison"))
    try:
        with psycopg.connect(host=postgres.folder, user="postgres", autocommit=True) as connection:
            connection.execute("CREATE TABLE small (v smallint CHECK (v <> 13))")
        server.sql("CREATE TABLE given (v INT) APPEND ONLY",
                   f"CREATE SINK picky FROM given WITH (connector = 'postgres', host = '{postgres.folder}', database = 'postgres', table = 'small')",
                   "INSERT INTO given SELECT * FROM generate_series(10, 20)", "INSERT INTO given VALUES (70000), (1)")
        expected = [(v,) for v in [1, 10, 11, 12, *range(14, 21)]]
        problems.check(eventually(lambda: postgres.rows("SELECT v FROM small ORDER BY v") == expected, 20),
                       f"rows: {postgres.rows('SELECT v FROM small ORDER BY v')}")
        found = read(server, "picky_dlq", lambda found: len(found) >= 2, 10)
        reasons = sorted(dict(message.headers())["martlet.reason"].decode() for message in found)
        problems.equal(reasons, ["22003", "23514"], "dead letters")
    finally:
        server.sql("DROP SINK picky")
        postgres.stop()


def again(server, problems):
    """Ticks that are carried out once more after a kill, while the sink's server is away, write no row twice"""
    if binaries() is None:
        return
    from crash_pipelines import Postgres

    postgres = Postgres(binaries(), os.path.join(server.folder, "again"))
    total = lambda n: [(n, n * (n - 1) // 2)]
    query = "SELECT count(*), sum(v) FROM plain"
    try:
        with psycopg.connect(host=postgres.folder, user="postgres", autocommit=True) as connection:
            connection.execute("CREATE TABLE plain (v bigint)")
        server.sql("CREATE SOURCE g (k INT, v INT) WITH (connector = 'kafka', topic = 'g') FORMAT PLAIN ENCODE JSON",
                   f"CREATE SINK plain AS SELECT v FROM g WITH (connector = 'postgres', host = '{postgres.folder}', database = 'postgres', table = 'plain')")
        for round in range(1, 3):
            problems.equal(send(server, "g", [record(at) for at in range((round - 1) * 500, round * 500)]), 0, "sent")
            problems.check(eventually(lambda: postgres.rows(query) == total(round * 500), 20), f"rows: {postgres.rows(query)}")
            server.kill()
            postgres.stop()
            server.start()
            postgres.start()
        problems.equal(send(server, "g", [record(1000)]), 0, "sent")
        problems.check(eventually(lambda: postgres.rows(query) == total(1001), 20), f"rows: {postgres.rows(query)}")
    finally:
        server.sql("DROP SINK plain")
        postgres.stop()


def backlog(server, problems):
    """With more rows waiting than memory is for, views wait and say so; a start shows them as they were, and ends when it is asked to"""
    if binaries() is None:
        return
    from crash_pipelines import Postgres

    postgres = Postgres(binaries(), os.path.join(server.folder, "backlog"))
    longs = "x" * 100_000
    try:
        with psycopg.connect(host=postgres.folder, user="postgres", autocommit=True) as connection:
            connection.execute("CREATE TABLE longs (v int, t text)")
        server.sql("CREATE SOURCE l (v INT, t TEXT) WITH (connector = 'kafka', topic = 'l') FORMAT PLAIN ENCODE JSON",
                   f"CREATE SINK longs AS SELECT v, t FROM l WITH (connector = 'postgres', host = '{postgres.folder}', database = 'postgres', table = 'longs')",
                   "CREATE MATERIALIZED VIEW seen AS SELECT count(*) AS n FROM l")
        postgres.stop()
        for start in range(0, 1500, 100):
            problems.equal(send(server, "l", [(b"%d" % at, {"v": at, "t": longs}) for at in range(start, start + 100)]), 0, "sent")
        why = lambda: server.rows("SELECT code, explanation FROM martlet_why WHERE name = 'seen'")[0]
        problems.check(eventually(lambda: why()[0] == "blocked", 30), f"why: {why()}")
        problems.check(why()[1].startswith("All views stand still, since sink longs has yet to take "), f"why: {why()}")
        before = server.rows("SELECT n FROM seen")
        for end in (server.kill, lambda: problems.equal(server.stop(), 0, "exit code with a backlog")):
            end()
            # Everything is there again, without the sink.
            server.start()
            problems.equal(server.rows("SELECT n FROM seen"), before, "the view after a start with a backlog")
            problems.check(eventually(lambda: why()[0] == "blocked", 30), f"why, after a start: {why()}")
        problems.equal(send(server, "l", [(b"last", {"v": 1500, "t": ""})]), 0, "sent while the sink is away")
        postgres.start()
        count = lambda: postgres.rows("SELECT count(*), count(DISTINCT v) FROM longs")
        problems.check(eventually(lambda: count() == [(1501, 1501)], 60), f"rows in the end: {count()}")
    finally:
        server.sql("DROP SINK longs")
        postgres.stop()


CASES = [away, poison, again, backlog]
