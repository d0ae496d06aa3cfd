"""Topics of changes become tables, and tables' changes topics: FORMAT UPSERT and FORMAT DEBEZIUM. What the same changes make of a
table in DuckDB is what has to be there."""

import json
import random
from decimal import Decimal

import duckdb
from confluent_kafka import Consumer, Producer

from harness import eventually, fresh

COLUMNS = "id BIGINT PRIMARY KEY, owner TEXT, balance NUMERIC"
NAMES = ["ann", "bob", "ça va", 'a "quoted" name', "line\nfeed", ""]


def changes(count, seed, keys=40):
    """What happens to a table, in order: (old row or None, new row or None)."""
    chance, rows = random.Random(seed), {}
    for _ in range(count):
        key = chance.randrange(keys)
        old = rows.get(key)
        if old and chance.random() < 0.3:
            del rows[key]
            yield old, None
        else:
            rows[key] = {"id": key, "owner": chance.choice(NAMES), "balance": chance.randrange(-1000, 1000) / 4}
            yield old, rows[key]


def oracle(happened):
    """The rows that DuckDB has in the end, and what they sum up to by owner."""
    database = duckdb.connect()
    database.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, owner VARCHAR, balance DECIMAL(18, 2))")
    for old, new in happened:
        if new:
            database.execute("INSERT OR REPLACE INTO t VALUES (?, ?, ?)", [new["id"], new["owner"], new["balance"]])
        else:
            database.execute("DELETE FROM t WHERE id = ?", [old["id"]])
    rows = database.execute("SELECT id, owner, balance FROM t ORDER BY id").fetchall()
    sums = database.execute("SELECT owner, count(*), sum(balance) FROM t GROUP BY owner ORDER BY owner").fetchall()
    return rows, [(owner, count, Decimal(total)) for owner, count, total in sums]


def send(server, topic, records):
    producer = Producer({"bootstrap.servers": server.address, "linger.ms": 5, "partitioner": "murmur2_random"})
    for key, value in records:
        producer.produce(topic, None if value is None else value if isinstance(value, bytes) else json.dumps(value).encode(), key=key)
    return producer.flush(20)


def read(server, topic, done, seconds=15):
    """Records of a topic, committed ones, in the order of each partition, until `done` of them answers true."""
    consumer = Consumer({
        "bootstrap.servers": server.address, "group.id": fresh("group"), "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
    consumer.subscribe([topic])
    found = []
    eventually(lambda: (found.extend(m for m in consumer.consume(1000, 0.2) if not m.error()), done(found))[1], seconds)
    consumer.close()
    return found


def check(server, problems, table, happened):
    rows, sums = oracle(happened)
    problems.equal(server.eventually_rows(f"SELECT id, owner, balance FROM {table} ORDER BY id", rows), rows, "rows")
    query = f"SELECT owner, n, total FROM {table}_sums ORDER BY owner COLLATE \"C\""
    problems.equal(server.eventually_rows(query, sums), sums, "view")


def make(server, table, definition, form):
    server.sql(
        f"CREATE TABLE {table} ({definition}) WITH (connector = 'kafka', topic = '{table}') FORMAT {form} ENCODE JSON",
        f"CREATE MATERIALIZED VIEW {table}_sums AS SELECT owner, count(*) AS n, sum(balance) AS total FROM {table} GROUP BY owner")


def key_of(row):
    return json.dumps({"id": row["id"]}).encode()


def upserts(server, problems):
    """A topic of upserts and tombstones is a table, across a kill"""
    make(server, "upserted", COLUMNS, "UPSERT")
    happened = list(changes(1500, seed=1))
    records = [(key_of(old or new), new) for old, new in happened]
    problems.equal(send(server, "upserted", records[:700]), 0, "sent")
    server.kill()
    server.start()
    problems.equal(send(server, "upserted", records[700:]), 0, "sent")
    check(server, problems, "upserted", happened)


def bare_keys(server, problems):
    """Keys may be bare values, or the bytes that INCLUDE KEY gives"""
    server.sql(
        f"CREATE TABLE bare ({COLUMNS}) WITH (connector = 'kafka', topic = 'bare') FORMAT UPSERT ENCODE JSON",
        "CREATE TABLE included (v INT, PRIMARY KEY (k)) INCLUDE key AS k WITH (connector = 'kafka', topic = 'bare') FORMAT UPSERT ENCODE JSON")
    row = {"owner": "x", "balance": 1, "v": 7}
    records = [(b"1", row | {"id": 1}), (b"2", row | {"id": 2}), (b"1", None), (b"\xff\x00", row | {"id": 3}), (b"2", row | {"id": 2, "v": 8})]
    problems.equal(send(server, "bare", records), 0, "sent")
    expected = [(b"2", 8), (b"\xff\x00", 7)]
    problems.equal(server.eventually_rows("SELECT k, v FROM included ORDER BY k", expected), expected, "by INCLUDE KEY")
    problems.equal(server.eventually_rows("SELECT id FROM bare ORDER BY id", [(2,), (3,)]), [(2,), (3,)], "by a bare value")


def debezium(server, problems):
    """A topic of change events is a table; events that make no sense are dead letters, and change nothing"""
    make(server, "captured", COLUMNS, "DEBEZIUM")
    happened = list(changes(1500, seed=2))
    records = []
    for at, (old, new) in enumerate(happened):
        operation = "u" if old and new else "d" if old else "r" if at % 3 == 0 else "c"
        event = {"before": old, "after": new, "source": {"op": "x", "after": [1]}, "op": operation, "ts_ms": 1}
        if operation == "u" and at % 2:
            event["before"] = None
        records.append((key_of(old or new), {"schema": {"type": "struct", "fields": []}, "payload": event} if at % 5 == 0 else event))
        if operation == "d":
            records.append((key_of(old), None))
    bad = [
        b'{"before": null, "after": {"id": 1, "owner": "x", "balance": "much"}, "op": "c"}', b'{"before": null, "after": null, "op": "u"}',
        b'{"after": {"id": 1}, "op": "c"', b'{"after": {"owner": "nobody"}, "op": "c"}', b'{"op": "t"}', b"[]", b'{"id": 1}',
        b'{"before": {"id": 3}, "after": {"id": "?"}, "op": "u"}',
    ]
    problems.equal(send(server, "captured", records + [(key_of({"id": 3}), each) for each in bad]), 0, "sent")
    check(server, problems, "captured", happened)
    letters = server.eventually_rows("SELECT payload FROM captured_dlq ORDER BY payload", sorted((each,) for each in bad))
    problems.equal(letters, sorted((each,) for each in bad), "dead letters")


def round_trip(server, problems):
    """A view's changes leave as change events and as upserts, each key's in order, and make the same table elsewhere"""
    server.sql(
        "CREATE SINK out_events FROM upserted_sums WITH (connector = 'kafka', topic = 'events', primary_key = 'owner') FORMAT DEBEZIUM ENCODE JSON",
        "CREATE SINK out_upserts FROM upserted_sums WITH (connector = 'kafka', topic = 'upserts', primary_key = 'owner') FORMAT UPSERT ENCODE JSON",
        "CREATE TABLE from_events (owner TEXT PRIMARY KEY, n BIGINT, total NUMERIC) WITH (connector = 'kafka', topic = 'events') FORMAT DEBEZIUM ENCODE JSON",
        "CREATE TABLE from_upserts (owner TEXT PRIMARY KEY, n BIGINT, total NUMERIC) WITH (connector = 'kafka', topic = 'upserts') FORMAT UPSERT ENCODE JSON")
    # After the sinks began, some owners come, change and go.
    happened = list(changes(1500, seed=1)) + [(None, {"id": 1000 + n, "owner": f"new {n % 7}", "balance": n}) for n in range(40)]
    last = {}
    for old, new in happened:
        last[(new or old)["id"]] = new
    gone = [(new, None) for key, new in sorted(last.items()) if new and key % 3 == 0]
    more = happened[1500:] + gone
    problems.equal(send(server, "upserted", [(key_of(old or new), new) for old, new in more]), 0, "sent")
    _, sums = oracle(happened + gone)
    order = "ORDER BY owner COLLATE \"C\""
    for table in ("upserted_sums", "from_events", "from_upserts"):
        query = f"SELECT owner, n, total FROM {table} {order}"
        problems.equal(server.eventually_rows(query, sums), sums, table)
    # What another reader makes of the events: each event's `before` is what stood there.
    state = {}
    for message in read(server, "events", lambda found: False, 4):
        key = json.loads(message.key())["owner"]
        if message.value() is None:
            problems.check(key not in state, f"a tombstone of {key} before its deletion")
            continue
        event = json.loads(message.value())
        problems.equal(event["before"], state.get(key), f"before of {key}")
        problems.equal(event["op"], "c" if event["before"] is None else "d" if event["after"] is None else "u", "op")
        state.pop(key, None)
        if event["after"] is not None:
            state[key] = event["after"]
    problems.equal(sorted((key, row["n"]) for key, row in state.items()), [(owner, n) for owner, n, _ in sums], "replayed events")


CASES = [upserts, bare_keys, debezium, round_trip]
