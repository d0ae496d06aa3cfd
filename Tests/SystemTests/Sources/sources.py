"""Sources that several views read, made one by one as psql makes them; and what clients may not do to topics that are Martlet's."""

import json

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from changes import read, send
from harness import eventually

SOURCE = """
CREATE SOURCE s (id BIGINT, k INT, v INT, ts TIMESTAMPTZ, WATERMARK FOR ts AS ts - INTERVAL '1 second')
WITH (connector = 'kafka', topic = 's', late_table = 's_late') FORMAT PLAIN ENCODE JSON
"""


def record(at, second):
    return (str(at).encode(), {"id": at, "k": at % 5, "v": at, "ts": f"2026-01-01T00:00:{second:02d}Z"})


def shared(server, problems):
    """Views made one after the other, with a kill between, see every record once; a bad record makes one dead letter"""
    server.sql(SOURCE, "CREATE MATERIALIZED VIEW a AS SELECT k, count(*) AS n FROM s GROUP BY k")
    bad = [(b"bad", b"{no json %d" % at) for at in range(10)]
    problems.equal(send(server, "s", [record(at, at % 30) for at in range(1000)] + bad), 0, "sent")
    server.eventually_rows("SELECT sum(n) FROM a", [(1000,)])
    server.sql("CREATE MATERIALIZED VIEW letters AS SELECT reason_code, count(*) AS n FROM s_dlq GROUP BY reason_code",
               "CREATE MATERIALIZED VIEW b AS SELECT k, count(*) AS n, sum(v) AS v FROM s GROUP BY k")
    server.kill()
    server.start()
    server.sql("CREATE MATERIALIZED VIEW c AS SELECT id, v FROM s")
    problems.equal(send(server, "s", [record(at, 30) for at in range(1000, 2000)] + bad), 0, "sent")
    expected = [(2000, 2000, sum(range(2000)))]
    problems.equal(server.eventually_rows("SELECT count(*), count(DISTINCT id), sum(v) FROM c", expected), expected, "c")
    sums = [(k, 400, sum(range(k, 2000, 5))) for k in range(5)]
    problems.equal(server.eventually_rows("SELECT k, n, v FROM b ORDER BY k", sums), sums, "b")
    problems.equal(server.eventually_rows("SELECT k, n FROM a ORDER BY k", [row[:2] for row in sums]), [row[:2] for row in sums], "a")
    problems.equal(server.eventually_rows("SELECT reason_code, n FROM letters", [("invalid_json", 20)]), [("invalid_json", 20)], "letters")
    found = read(server, "s_dlq", lambda found: len(found) >= 20, 10)
    found += read(server, "s_dlq", lambda found: len(found) > 20, 1)[20:]
    problems.equal(len(found), 20, "records in the dead letters' topic")


def late(server, problems):
    """A later view's late rows come to who reads the late table before it, and no view's twice"""
    server.sql("CREATE MATERIALIZED VIEW lates AS SELECT late_for, count(*) AS n FROM s_late GROUP BY late_for")
    for name in ("w1", "w2"):
        server.sql(f"""
            CREATE MATERIALIZED VIEW {name} AS SELECT window_start, count(*) AS n FROM TUMBLE(s, ts, INTERVAL '5 seconds')
            GROUP BY window_start EMIT ON WINDOW CLOSE""")

    def settled():
        # Both views judge the same records by the same watermarks.
        rows = server.rows("SELECT late_for, n FROM lates ORDER BY 1")
        return len(rows) == 2 and rows[0][1] == rows[1][1]

    problems.check(eventually(settled, 20), "as many late rows of both")
    late = server.rows("SELECT late_for, count(*), count(DISTINCT id) FROM s_late GROUP BY late_for ORDER BY 1")
    problems.equal([row[0] for row in late], ["w1", "w2"], "late rows of both")
    problems.check(late and all(row[1] == row[2] > 0 for row in late), f"each once: {late}")
    problems.equal(server.rows("SELECT late_for, n FROM lates ORDER BY 1"), [row[:2] for row in late], "view")
    counted = server.rows("SELECT sum(n) FROM w1")[0][0] or 0
    open_windows = 2000 - counted - late[0][1]
    problems.check(open_windows >= 0, f"in = counted {counted} + late {late[0][1]} + in open windows")


def own_topics(server, problems):
    """Topics in which Martlet keeps what it needs cannot be written, changed, deleted or made by clients"""
    admin = AdminClient({"bootstrap.servers": server.address})
    topics = [name for name in admin.list_topics(timeout=10).topics if name.startswith("__martlet_")]
    problems.check(topics, "there are some")
    name = topics[0]
    attempts = {
        "delete": lambda: admin.delete_topics([name])[name].result(10),
        "extend": lambda: admin.create_partitions([NewPartitions(name, 9)])[name].result(10),
        "make": lambda: admin.create_topics([NewTopic("__martlet_mine", 1)])["__martlet_mine"].result(10),
        "alter": lambda: list(admin.alter_configs([ConfigResource("topic", name, {"retention.ms": "1"})]).values())[0].result(10),
    }
    for what, attempt in attempts.items():
        try:
            attempt()
            problems.append(f"{what} was done")
        except KafkaException as error:
            problems.equal(error.args[0].name(), "TOPIC_AUTHORIZATION_FAILED", what)
    said = []
    producer = Producer({"bootstrap.servers": server.address})
    producer.produce(name, b"x", on_delivery=lambda error, _: said.append(error and error.name()))
    producer.flush(10)
    problems.equal(said, ["TOPIC_AUTHORIZATION_FAILED"], "produce")


def unwanted(server, problems):
    """A record with a value that does not fit is a dead letter as soon as somebody wants the column, also when it was read before; once"""
    server.sql("CREATE SOURCE u (k INT, v INT) WITH (connector = 'kafka', topic = 'u') FORMAT PLAIN ENCODE JSON",
               "CREATE MATERIALIZED VIEW u1 AS SELECT k, count(*) AS n FROM u GROUP BY k")
    records = [(b"%d" % at, {"k": 1, "v": "no number" if at % 3 == 0 else at}) for at in range(30)] + [(b"x", b"no json")]
    problems.equal(send(server, "u", records), 0, "sent")
    problems.equal(server.eventually_rows("SELECT n FROM u1", [(30,)]), [(30,)], "a view that does not want it")
    for name in ("u2", "u3"):
        server.sql(f"CREATE MATERIALIZED VIEW {name} AS SELECT count(*) AS n, sum(v) AS v FROM u")
        expected = [(20, sum(at for at in range(30) if at % 3))]
        problems.equal(server.eventually_rows(f"SELECT n, v FROM {name}", expected), expected, name)
    query = "SELECT field, count(*) FROM u_dlq GROUP BY field ORDER BY field"
    problems.equal(server.eventually_rows(query, [("v", 10), (None, 1)]), [("v", 10), (None, 1)], "dead letters")


def renamed(server, problems):
    """RENAME COLUMN changes a column's name, not that of the field in the records; what setval set is there after a kill"""
    server.sql("CREATE SOURCE named (k INT, v INT) WITH (connector = 'kafka', topic = 'named') FORMAT PLAIN ENCODE JSON",
               "CREATE MATERIALIZED VIEW before AS SELECT sum(v) AS v FROM named")
    problems.equal(send(server, "named", [record(at, 0) for at in range(100)]), 0, "sent")
    problems.equal(server.eventually_rows("SELECT v FROM before", [(4950,)]), [(4950,)], "before")
    server.sql("ALTER SOURCE named RENAME COLUMN v TO amount", "CREATE MATERIALIZED VIEW after AS SELECT sum(amount) AS v FROM named")
    server.sql("CREATE TABLE numbered (id SERIAL PRIMARY KEY, k INT)", "SELECT setval('numbered_id_seq', 700)")
    server.kill()
    server.start()
    problems.equal(server.rows("INSERT INTO numbered (k) VALUES (1) RETURNING id"), [(701,)], "the number after setval and a kill")
    fields = [(str(at).encode(), {"k": 0, "v": at, "amount": 1_000_000}) for at in range(100, 200)]
    problems.equal(send(server, "named", fields), 0, "sent")
    for name in ("before", "after"):
        problems.equal(server.eventually_rows(f"SELECT v FROM {name}", [(19900,)]), [(19900,)], name)
    problems.equal([row[0] for row in server.rows("DESCRIBE named")][:2], ["k", "amount"], "the columns")


def unfit(server, problems):
    """A late record with a value that fits no column, which nobody wanted, is in the late table, and the others keep their places"""
    server.sql("""CREATE SOURCE f (id INT, v INT, ts TIMESTAMPTZ, WATERMARK FOR ts AS ts - INTERVAL '1 second')
                  WITH (connector = 'kafka', topic = 'f', late_table = 'f_late') FORMAT PLAIN ENCODE JSON""",
               """CREATE MATERIALIZED VIEW fw AS SELECT window_start, count(*) AS n FROM TUMBLE(f, ts, INTERVAL '5 seconds')
                  GROUP BY window_start EMIT ON WINDOW CLOSE""")
    values = [(0, 1), (50, 2), (1, "no number"), (2, 4), (3, 5)]
    records = [(b"k", {"id": at, "v": v, "ts": f"2026-01-01T00:00:{second:02d}Z"}) for at, (second, v) in enumerate(values)]
    problems.equal(send(server, "f", records), 0, "sent")
    expected = [(None, None, 2), (3, 4, 3), (4, 5, 4)]
    found = server.eventually_rows('SELECT id, v, "offset" FROM f_late ORDER BY "offset"', expected)
    problems.equal(found, expected, "late rows")


def crowded(server, problems):
    """Of a batch with tens of thousands of late and bad records each is kept, in a time that does not grow with its square"""
    server.sql("""
        CREATE SOURCE many (id BIGINT, ts TIMESTAMPTZ, WATERMARK FOR ts AS ts - INTERVAL '1 second')
        WITH (connector = 'kafka', topic = 'many', late_table = 'many_late') FORMAT PLAIN ENCODE JSON""", """
        CREATE MATERIALIZED VIEW many_w AS SELECT window_start, count(*) AS n FROM TUMBLE(many, ts, INTERVAL '5 seconds')
        GROUP BY window_start EMIT ON WINDOW CLOSE""")
    count = 20_000
    refused = []
    producer = Producer({"bootstrap.servers": server.address, "linger.ms": 1000, "batch.num.messages": 100_000, "batch.size": 900_000,
                         "queue.buffering.max.messages": 200_000, "on_delivery": lambda error, _: error and refused.append(str(error))})
    producer.produce("many", b'{"id":-1,"ts":"2026-01-01T01:00:00Z"}', partition=0)
    for at in range(count):
        producer.produce("many", b'{"id":%d,"ts":"2026-01-01T00:00:00Z"}' % at, partition=0)
        producer.produce("many", b'{"id":"none"}', partition=0)
    problems.equal((producer.flush(30), refused[:3]), (0, []), "sent")
    query = "SELECT (SELECT count(DISTINCT id) FROM many_late), (SELECT count(DISTINCT \"offset\") FROM many_dlq)"
    problems.equal(server.eventually_rows(query, [(count, count)], 30), [(count, count)], "late rows and dead letters")


CASES = [shared, late, own_topics, unwanted, renamed, unfit, crowded]
