"""A pipeline that runs beside the listeners, over topics of the same log: what clients produce, it reads; what it writes, they read."""

import datetime
import json
import os
import subprocess
import time
import urllib.request

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from harness import eventually, fresh
from messages import kcat, read_confluent
from transactions import transactional

# Recent, since retention counts by the records' own time.
STAMP_MILLIS = int(time.time()) * 1000 + 123
STAMP = datetime.datetime.fromtimestamp(STAMP_MILLIS / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S") + ".123Z"
SCRIPT = """
CREATE SOURCE payments (
    card TEXT, amount NUMERIC, note TEXT, ts TIMESTAMPTZ,
    INCLUDE key AS k, INCLUDE header 'trace' AS trace, INCLUDE offset AS o, INCLUDE partition AS p, INCLUDE timestamp AS at,
    WATERMARK FOR ts AS ts - INTERVAL '5 seconds'
) WITH (connector = 'kafka', topic = 'payments', late_table = 'payments_late', on_error = 'dlq')
FORMAT PLAIN ENCODE JSON;

CREATE SINK big AS SELECT card, amount, note, encode(k, 'escape') AS k, encode(trace, 'escape') AS trace, o, p, at FROM payments WHERE amount > 10
WITH (connector = 'kafka', topic = 'big') FORMAT PLAIN ENCODE JSON;

CREATE MATERIALIZED VIEW spent AS SELECT card, count(*) AS n, sum(amount) AS total FROM payments GROUP BY card;

CREATE SINK totals FROM spent
WITH (connector = 'kafka', topic = 'totals', primary_key = 'card') FORMAT UPSERT ENCODE JSON;

CREATE SOURCE busy (n BIGINT) WITH (connector = 'kafka', topic = 'busy', backpressure = 'drop_oldest', max_lag = '100') FORMAT PLAIN ENCODE JSON;
CREATE SINK kept AS SELECT n FROM busy WITH (connector = 'kafka', topic = 'kept') FORMAT PLAIN ENCODE JSON;
"""


def send(server, rows):
    producer = Producer({"bootstrap.servers": server.address, "linger.ms": 5, "compression.type": "zstd"})
    for key, value, headers in rows:
        producer.produce("payments", value, key=key, headers=headers, partition=0, timestamp=STAMP_MILLIS)
    return producer.flush(20)


def payment(card, amount, second, **more):
    return json.dumps({"card": card, "amount": amount, "ts": f"2026-01-01T12:00:{second:02d}Z", **more}).encode()


def whole(server, topic, count, seconds=15):
    found = []
    for partition in range(4):
        found += read_confluent(server, topic, count, partition, seconds=0.5)
    deadline = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        found = sum((read_confluent(server, topic, count, each, seconds=0.5) for each in range(4)), [])
    return found


def filtered(server, problems):
    """Records with keys, headers and any layout of JSON come out of a filter, once, with what INCLUDE asked for"""
    rows = [
        (b"k1", payment("a", 12.50, 1), [("trace", b"t1")]), (None, payment("b", 3, 2), []),
        (b"k2", b'{\n  "card": "c",\n  "amount": 99,\n  "note": "two\\nlines",\n  "ts": "2026-01-01T12:00:03Z"\n}\n', []),
    ]
    problems.equal(send(server, rows), 0, "sent")
    found = sorted((json.loads(m.value()) for m in whole(server, "big", 2)), key=lambda row: row["card"])
    problems.equal(
        found,
        [{"card": "a", "amount": 12.5, "note": None, "k": "k1", "trace": "t1", "o": 0, "p": 0, "at": STAMP},
         {"card": "c", "amount": 99, "note": "two\nlines", "k": "k2", "trace": None, "o": 2, "p": 0, "at": STAMP}],
        "alerts")


def upserted(server, problems):
    """A changing view is upserted by its key, in the partition that Kafka's clients would choose"""
    before = {}

    def totals():
        for message in whole(server, "totals", 3, 1):
            before[json.loads(message.key())["card"]] = message.value() and json.loads(message.value())
        return before.get("b", {}).get("n") == 3

    problems.equal(send(server, [(None, payment("b", 4, 4), []), (None, payment("b", 5, 5), [])]), 0, "sent")
    problems.check(eventually(totals, 15), f"{before}")
    problems.equal(before.get("b"), {"card": "b", "n": 3, "total": 12}, "b")
    partitions = {json.loads(m.key())["card"]: m.partition() for m in whole(server, "totals", 3, 1)}
    topic = fresh("check")
    for card in partitions:
        kcat(server, "-P", "-t", topic, "-X", "partitioner=murmur2_random", "-K", "|", data=f'{{"card":"{card}"}}|x\n'.encode())
    same = {json.loads(m.key())["card"]: m.partition() for m in whole(server, topic, len(partitions))}
    problems.equal(partitions, same, "partitions")


def dead_letters(server, problems):
    """What cannot be read is kept with its bytes, key and headers, and does not stop what follows"""
    bad = b'{"card": "x",\n "amount": "a lot", "ts": "2026-01-01T12:00:06Z"}'
    rows = [(b"key", bad, [("trace", b"t9")]), (None, b"", []), (None, b"   ", []), (b"tombstone", None, []),
            (None, b'{"card": "raw\nfeed", "amount": 1}', []), (None, payment("after", 50, 7), [])]
    problems.equal(send(server, rows), 0, "sent")

    def letters():
        return whole(server, "payments_dlq", 5, 1)

    eventually(lambda: len(letters()) >= 5, 15)
    found = letters()
    headers = [{name: value.decode() for name, value in each.headers()} for each in found]
    problems.equal(len(found), 5, f"letters: {[each['__streams.errors.message'] for each in headers]}")
    first = next((each for each in zip(found, headers) if each[1].get("martlet.field") == "amount"), None)
    if problems.check(first, "a letter about the amount"):
        problems.equal(first[0].value(), bad, "its bytes")
        problems.equal(first[0].key(), b"key", "its key")
        problems.check("t9" in first[1]["martlet.headers"], "its headers")
        problems.equal(
            [first[1]["__streams.errors." + name] for name in ("topic", "partition", "offset")], ["payments", "0", "5"], "its place")
        problems.equal(first[1]["martlet.attempts"], "0", "attempts")
        problems.check(first[1]["martlet.reason"] == first[1]["__streams.errors.exception"], "its reason")
    tombstone = next((each for each in found if each.key() == b"tombstone"), None)
    problems.check(tombstone is not None and tombstone.value() is None, "the tombstone is one still")
    problems.check(any(json.loads(m.value())["card"] == "after" for m in whole(server, "big", 3)), "what followed")


def transactional_input(server, problems):
    """A record of an aborted transaction is never seen; one of a committed transaction is seen once"""
    producer = transactional(server)
    for card, ends in (("kept", producer.commit_transaction), ("gone", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce("payments", payment(card, 1000, 8), partition=1)
        ends(20)
    send(server, [(None, payment("last", 1000, 9), [])])
    eventually(lambda: any(json.loads(m.value())["card"] == "last" for m in whole(server, "big", 9, 1)), 15)
    cards = [json.loads(m.value())["card"] for m in whole(server, "big", 9, 1)]
    problems.equal((cards.count("kept"), cards.count("gone"), cards.count("last")), (1, 0, 1), "kept, gone, last")


def bounded_run(server, problems):
    """martlet run with the data directory reads a topic to its end and stops; a directory in use is refused by its owner's pid"""
    script = os.path.join(server.folder, "bounded.sql")
    with open(script, "w") as file:
        file.write("""
            CREATE SOURCE payments (card TEXT, amount NUMERIC)
            WITH (connector = 'kafka', topic = 'payments', scan.bounded.mode = 'latest-offset', on_error = 'skip') FORMAT PLAIN ENCODE JSON;
            CREATE SINK out AS SELECT card FROM payments WHERE amount >= 1000 WITH (connector = 'stdout') FORMAT PLAIN ENCODE JSON;""")
    words = [server.binary, "run", script, "--data-dir", server.data]
    refused = subprocess.run(words, capture_output=True, text=True, timeout=30)
    problems.equal(refused.returncode, 1, "exit code while the server has it")
    problems.check(str(server.process.pid) in refused.stderr, f"names the owner: {refused.stderr}")
    problems.equal(server.stop(), 0, "stop")
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    server.start()
    problems.equal(done.returncode, 0, done.stderr[-500:])
    problems.equal(sorted(json.loads(line)["card"] for line in done.stdout.splitlines()), ["kept", "last"], "rows")


def metric(server, name, label):
    text = urllib.request.urlopen(f"http://{server.http}/metrics", timeout=10).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + "{") and label in line)


def dropped(server, problems):
    """A source that may drop says exactly how many records it left out, and hands on all others"""
    producer = Producer({"bootstrap.servers": server.address, "linger.ms": 200, "batch.num.messages": 100000})
    for n in range(20000):
        producer.produce("busy", json.dumps({"n": n}).encode(), partition=0)
    problems.equal(producer.flush(20), 0, "sent")

    def settled():
        return metric(server, "martlet_source_rows_total", '"busy"') + metric(server, "martlet_source_dropped_total", '"busy"') == 20000

    problems.check(eventually(settled, 20), "rows and dropped make all")
    rows = int(metric(server, "martlet_source_rows_total", '"busy"'))
    found = [json.loads(each.value())["n"] for each in whole(server, "kept", rows)]
    problems.equal(len(found), rows, "kept")
    problems.equal(len(set(found)), rows, "each once")
    problems.check(19999 in found, "the newest is kept")


def new_partitions(server, problems):
    """Partitions that a topic gets while it is read are found"""
    admin = AdminClient({"bootstrap.servers": server.address})
    admin.create_partitions([NewPartitions("payments", 6)])["payments"].result(20)
    producer = Producer({"bootstrap.servers": server.address})
    producer.produce("payments", payment("fresh", 1000, 9), partition=5)
    problems.equal(producer.flush(20), 0, "sent")
    problems.check(
        eventually(lambda: any(json.loads(m.value())["card"] == "fresh" for m in whole(server, "big", 9, 1)), 15), "its record came through")


CASES = [filtered, upserted, dead_letters, transactional_input, bounded_run, dropped, new_partitions]
