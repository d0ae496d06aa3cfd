"""FOR SYSTEM_TIME AS OF: tables as they were, through kills and restarts of the server."""

import random
import threading
import time

import psycopg
from psycopg.types.numeric import Int8


def connect(server):
    return psycopg.connect(server.conninfo, autocommit=True)


def now(connection):
    return connection.execute("SELECT clock_timestamp()").fetchone()[0]


def restart(server, how):
    getattr(server.process, how)()
    server.process.wait(30)
    server.start()


def error(connection, text, *values):
    """SQLSTATE, message and hint."""
    try:
        return "", f"no error: {connection.execute(text, values).fetchall()}", ""
    except psycopg.Error as found:
        return found.sqlstate, found.diag.message_primary, found.diag.message_hint or ""


class History:
    """A table that random statements change, and every version of it with the time at which it was there."""

    def __init__(self, name, seed):
        self.name, self.chance, self.rows, self.versions = name, random.Random(seed), {}, []
        # The columns of now, beside the key.
        self.value, self.word = "n", "word"

    def change(self, connection):
        key, value = self.chance.randrange(30), self.chance.randrange(6)
        kind, n, word = self.chance.randrange(10), self.value, self.word
        if kind < 4:
            some = {key + at: self.chance.randrange(6) for at in range(self.chance.randrange(1, 9))}
            self.rows.update(some)
            connection.execute(f"INSERT INTO {self.name} (id, {n}, {word}) VALUES " + ", ".join(f"({k}, {v}, 'w{v}')" for k, v in some.items())
                + f" ON CONFLICT (id) DO UPDATE SET {n} = EXCLUDED.{n}, {word} = EXCLUDED.{word}")
        elif kind < 6:
            self.rows = {k: value if k % 4 == key % 4 else v for k, v in self.rows.items()}
            connection.execute(f"UPDATE {self.name} SET {n} = {value}, {word} = 'w{value}' WHERE id % 4 = {key % 4}")
        elif kind < 8:
            self.rows = {k: v for k, v in self.rows.items() if v != value or k < key}
            connection.execute(f"DELETE FROM {self.name} WHERE {n} = {value} AND id >= {key}")
        else:
            with connection.transaction():
                # What comes and goes within a transaction was never there.
                connection.execute(f"INSERT INTO {self.name} (id, {n}, {word}) VALUES (1000, 0, 'never')")
                connection.execute(f"DELETE FROM {self.name} WHERE id = 1000")
                connection.execute(f"UPDATE {self.name} SET {n} = {n} + 1 WHERE {n} < 5")
            self.rows = {k: v + 1 if v < 5 else v for k, v in self.rows.items()}

    def remember(self, connection):
        self.versions.append((now(connection), dict(self.rows)))

    def check(self, connection, problems, when):
        for at, (instant, rows) in enumerate(self.versions):
            found = dict(connection.execute(f"SELECT id, {self.value} FROM {self.name} FOR SYSTEM_TIME AS OF '{instant.isoformat()}'").fetchall())
            problems.check(found == rows, f"{when}, version {at} at {instant}: {found} for {rows}")


def every_version(server, problems):
    """whatever was there after each statement can be read as of then, also after kill -9, a restart, and another kill"""
    with connect(server) as connection:
        connection.execute("CREATE TABLE history (id INT PRIMARY KEY, n INT, word TEXT) WITH (retention_seconds = 3600)")
        history = History("history", 7)
        history.remember(connection)
    for how in ("kill", "terminate", "kill", None):
        with connect(server) as connection:
            for _ in range(15):
                history.change(connection)
                history.remember(connection)
            history.check(connection, problems, f"before {how}")
        if how:
            restart(server, how)
    with connect(server) as connection:
        history.check(connection, problems, "after restarts")
        first, last = history.versions[5], history.versions[-5]
        counts = connection.execute(
            f"SELECT count(*) FILTER (WHERE a.id IS NOT NULL), count(*) FILTER (WHERE b.id IS NOT NULL), count(*) FROM "
            f"history FOR SYSTEM_TIME AS OF '{first[0].isoformat()}' a FULL JOIN history FOR SYSTEM_TIME AS OF '{last[0].isoformat()}' b "
            "ON a.id = b.id").fetchone()
        want = len(first[1]), len(last[1]), len(first[1].keys() | last[1].keys())
        problems.check(counts == want, f"two times in one query: {counts} for {want}")
        # Times as parameters, as seconds since 1970, and a key, which is not looked up among the rows of now.
        for instant, rows in history.versions[::6]:
            for key in (0, 7):
                found = connection.execute("SELECT n FROM history FOR SYSTEM_TIME AS OF %s WHERE id = %s", [instant, Int8(key)]).fetchall()
                problems.check(found == ([(rows[key],)] if key in rows else []), f"key {key} as of {instant}: {found} for {rows.get(key)}")
            later = int(instant.timestamp()) + 1
            at = [rows for moment, rows in history.versions if moment.timestamp() <= later]
            if any(abs(moment.timestamp() - later) < 0.01 for moment, _ in history.versions) or later > time.time():
                continue
            found = dict(connection.execute(f"SELECT id, n FROM history FOR SYSTEM_TIME AS OF {later}").fetchall())
            nearby = [rows for moment, rows in history.versions if later - 0.1 < moment.timestamp() < later + 0.1]
            problems.check(found == at[-1] or found in nearby, f"as of {later}: {found} for {at[-1]}")
        sums = connection.execute(f"SELECT (SELECT sum(n) FROM history FOR SYSTEM_TIME AS OF '{first[0].isoformat()}'), sum(n) FROM history").fetchone()
        problems.check(sums == (sum(first[1].values()) or None, sum(history.rows.values()) or None), f"in a subquery: {sums}")
        connection.execute("CREATE VIEW heavy AS SELECT id, n FROM history WHERE n >= 3")
        found = dict(connection.execute(f"SELECT id, n FROM heavy FOR SYSTEM_TIME AS OF '{first[0].isoformat()}'").fetchall())
        problems.check(found == {k: v for k, v in first[1].items() if v >= 3}, f"a plain view: {found} for {first[1]}")
        connection.execute("CREATE TABLE restored (id INT PRIMARY KEY, n INT, word TEXT)")
        connection.execute(f"INSERT INTO restored SELECT * FROM history FOR SYSTEM_TIME AS OF '{first[0].isoformat()}'")
        found = dict(connection.execute("SELECT id, n FROM restored").fetchall())
        problems.check(found == first[1], f"put back: {found} for {first[1]}")
    plan = server.psql("EXPLAIN SELECT n FROM history FOR SYSTEM_TIME AS OF '2026-01-31 12:00:00Z' WHERE id = 3")
    problems.check("Relation history as of 2026-01-31 12:00:00+00 (" in plan, plan)


def other_columns(server, problems):
    """rows of the past have the columns of now: those that came since have their default, those that went are gone"""
    alterations = [
        ("ADD COLUMN extra INT DEFAULT 7", {}), ("DROP COLUMN word", {"word": "tag"}), ("RENAME COLUMN n TO m", {"value": "m"}),
        ("ADD COLUMN word TEXT[], DROP COLUMN tag", {"word": "label"}), ("DROP COLUMN extra", {}), ("ADD COLUMN extra INT DEFAULT 8", {}),
    ]
    with connect(server) as connection:
        connection.execute("CREATE TABLE shapes (id INT PRIMARY KEY, word TEXT, n INT, tag TEXT, label TEXT) WITH (retention_seconds = 3600)")
        history = History("shapes", 11)
        history.remember(connection)
        for text, names in alterations:
            for _ in range(8):
                history.change(connection)
                history.remember(connection)
            connection.execute(f"ALTER TABLE shapes {text}")
            for name, column in names.items():
                setattr(history, name, column)
            history.remember(connection)
            history.check(connection, problems, f"after {text}")
        for _ in range(8):
            history.change(connection)
            history.remember(connection)
    restart(server, "kill")
    with connect(server) as connection:
        history.check(connection, problems, "after kill -9")
        for instant, rows in history.versions:
            found = connection.execute("SELECT count(*) FILTER (WHERE extra = 8 AND word IS NULL), count(*) FROM shapes FOR SYSTEM_TIME AS OF %s::timestamptz", [instant]).fetchone()
            problems.check(found == (len(rows), len(rows)), f"what was added, as of {instant}: {found} for {len(rows)} rows")
        # Names and types that cannot be told from their lines: what is before such a change is refused, not guessed.
        connection.execute("CREATE TABLE odd (id INT PRIMARY KEY, pair STRUCT<a INT, b TEXT>) WITH (retention_seconds = 3600)")
        connection.execute("INSERT INTO odd VALUES (1, ROW(1, 'x'))")
        first = now(connection)
        connection.execute("UPDATE odd SET pair = ROW(2, 'y')")
        read = "SELECT (pair).a FROM odd FOR SYSTEM_TIME AS OF %s::timestamptz"
        problems.check(connection.execute(read, [first]).fetchall() == [(1,)], "a composite value")
        connection.execute("ALTER TABLE odd ADD COLUMN n INT")
        found = error(connection, read, first)
        problems.check(found[0] == "22023" and "can be read as of" in found[2], f"a composite value in other columns: {found}")


def refusals(server, problems):
    """what is not kept is refused and says from when on it can be read; what ALTER TABLE changes does so from then on"""
    with connect(server) as connection:
        connection.execute("CREATE TABLE plain (id INT PRIMARY KEY, n INT)")
        connection.execute("INSERT INTO plain VALUES (1, 10)")
        before = now(connection)
        read = "SELECT n FROM plain FOR SYSTEM_TIME AS OF %s::timestamptz"
        found = error(connection, read, before)
        problems.check(found[0] == "55000" and "retention_seconds" in found[2], f"not kept: {found}")
        connection.execute("ALTER TABLE plain SET (retention_seconds = 2)")
        kept = now(connection)
        connection.execute("UPDATE plain SET n = 11")
        problems.check(connection.execute(read, [kept]).fetchall() == [(10,)], "from ALTER on")
        found = error(connection, read, before)
        problems.check(found[0] == "22023" and "can be read as of" in found[2], f"before ALTER: {found}")
        # The time that the hint names is one that can be read.
        since = found[2].split(" as of ")[1].split(" and later")[0]
        problems.check(connection.execute(read, [since]).fetchall() == [(10,)], f"as of {since}")
        found = error(connection, "SELECT * FROM plain FOR SYSTEM_TIME AS OF now() + INTERVAL '1 minute'")
        problems.check(found[0] == "22023" and "It is " in found[2], f"the future: {found}")
        found = error(connection, "CREATE MATERIALIZED VIEW fixed AS SELECT * FROM plain FOR SYSTEM_TIME AS OF '2026-01-31'")
        problems.check(found[0] == "0A000" and found[2], f"in a view: {found}")
        time.sleep(2.1)
        found = error(connection, read, kept)
        problems.check(found[0] == "22023", f"older than two seconds: {found}")
        problems.check(connection.execute("SELECT n FROM plain FOR SYSTEM_TIME AS OF now() - INTERVAL '1 second'").fetchall() == [(11,)], "a second ago")
        connection.execute("ALTER TABLE plain SET (retention_seconds = 3600)")
        found = error(connection, read, kept)
        problems.check(found[0] == "22023", f"kept for longer, but not what had gone: {found}")
        longer = now(connection)
        connection.execute("ALTER TABLE plain ADD COLUMN word TEXT DEFAULT 'x'")
        found = connection.execute("SELECT * FROM plain FOR SYSTEM_TIME AS OF %s::timestamptz", [longer]).fetchall()
        problems.check(found == [(1, 11, "x")], f"with one more column: {found}")
        connection.execute("ALTER TABLE plain ADD COLUMN twice INT AS (n * 2)")
        found = error(connection, read, longer)
        problems.check(found[0] == "22023" and "columns of now" in found[2], f"with a computed column: {found}")
        reshaped = now(connection)
        connection.execute("DELETE FROM plain")
    restart(server, "kill")
    with connect(server) as connection:
        found = error(connection, read, longer)
        problems.check(found[0] == "22023" and "can be read as of" in found[2], f"with a computed column, after kill -9: {found}")
        found = connection.execute("SELECT * FROM plain FOR SYSTEM_TIME AS OF %s::timestamptz", [reshaped]).fetchall()
        problems.check(found == [(1, 11, "x", 22)], f"behind it: {found}")
        connection.execute("DROP TABLE plain")
        connection.execute("CREATE TABLE plain (id INT PRIMARY KEY, n INT) WITH (retention_seconds = 60)")
        found = error(connection, read, reshaped)
        problems.check(found[0] == "22023", f"another table of the name: {found}")


def one_time(server, problems):
    """tables that transactions change together are read as of one tick, while they are written to, and so is a large one"""
    with connect(server) as connection:
        for name in ("debit", "credit"):
            connection.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, n BIGINT) WITH (retention_seconds = 600)")
            connection.execute(f"INSERT INTO {name} VALUES (0, 0)")
        start = now(connection)
    stopping, moved = threading.Event(), []

    def move(seed):
        chance, total = random.Random(seed), 0
        with connect(server) as writer:
            while not stopping.is_set():
                n = chance.randrange(1, 100)
                try:
                    with writer.transaction():
                        writer.execute(f"UPDATE debit SET n = n - {n} WHERE id = 0")
                        writer.execute(f"UPDATE credit SET n = n + {n} WHERE id = 0")
                except psycopg.errors.SerializationFailure:
                    continue
                total += n
                if chance.randrange(4) == 0:
                    moved.append(now(writer))

    writers = [threading.Thread(target=move, args=[seed]) for seed in (1, 2)]
    for writer in writers:
        writer.start()
    together = ("SELECT (SELECT n FROM debit FOR SYSTEM_TIME AS OF %(at)s::timestamptz), n FROM credit FOR SYSTEM_TIME AS OF %(at)s::timestamptz")
    seen = {}
    with connect(server) as reader:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            instant = now(reader)
            rows = reader.execute(together, {"at": instant}).fetchall()
            problems.check(len(rows) == 1 and rows[0][0] == -rows[0][1], f"apart as of {instant}: {rows}")
            seen[instant] = rows
        stopping.set()
        for writer in writers:
            writer.join()
        for instant in moved[::7]:
            rows = reader.execute(together, {"at": instant}).fetchall()
            problems.check(len(rows) == 1 and rows[0][0] == -rows[0][1], f"apart as of {instant}: {rows}")
        for instant, rows in seen.items():
            again = reader.execute(together, {"at": instant}).fetchall()
            problems.check(again == rows, f"as of {instant}: {again}, and the first time {rows}")
        problems.check(len(seen) > 10 and len(moved) > 10, f"{len(seen)} reads, {len(moved)} times")
        problems.check(reader.execute(together, {"at": start}).fetchall() == [(0, 0)], "the beginning")
        # More than one commit of the log takes (64 MiB of a tick's record and its changes).
        reader.execute("CREATE TABLE large (id INT PRIMARY KEY, word TEXT) WITH (retention_seconds = 600)")
        empty = now(reader)
        reader.execute("INSERT INTO large SELECT i, repeat('w', 2000) FROM generate_series(1, 20000) i")
        filled = now(reader)
        reader.execute("DELETE FROM large WHERE id % 2 = 0")
        halved = now(reader)
        reader.execute("UPDATE large SET word = 'short'")
    restart(server, "kill")
    with connect(server) as reader:
        for instant, want in ((empty, (0, None)), (filled, (20_000, 40_000_000)), (halved, (10_000, 20_000_000))):
            found = reader.execute(
                "SELECT count(*), sum(length(word)) FROM large FOR SYSTEM_TIME AS OF %s::timestamptz", [instant]).fetchone()
            problems.check(found == want, f"the large table: {found} for {want}")
        for instant, rows in list(seen.items())[::5]:
            again = reader.execute(together, {"at": instant}).fetchall()
            problems.check(again == rows, f"as of {instant} after kill -9: {again}, and before {rows}")


CASES = [every_version, other_columns, refusals, one_time]
