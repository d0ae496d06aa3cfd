"""Kills a server with a pipeline under load again and again, and checks what its sinks' readers see: ./dev crash --pipelines.

Idempotent and transactional producers (a quarter of whose transactions abort) write transfers between accounts to a topic. The
pipeline copies them to another topic, keeps a count and a sum per account (upserts to a topic, changes to a file, rows in
PostgreSQL where there is one), and adds all balances up. Each cycle kills the server, and now and then PostgreSQL, with SIGKILL.

A view and a sink of their own read the same source. They, and the pipeline, are paused and resumed at random all the while.

At the end, what a read_committed consumer finds in the input is the truth. The copy must have each of its records exactly once,
in the order of each account, as must the sink that is paused; the view that is paused, file, upserts and PostgreSQL must come to the sums of the input; and no sum of all balances that was
ever visible may be anything but 0. One JSON line sums it up; the exit code is 1 if anything did not hold.
"""

import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import listeners
from postgres_server import PostgresServer

PARTITIONS, ACCOUNTS = 4, 50
PATIENT = {"metadata.recovery.strategy": "none", "reconnect.backoff.max.ms": 200}

SCRIPT = """
CREATE SOURCE transfers (id BIGINT, source BIGINT, target BIGINT, amount BIGINT)
WITH (connector = 'kafka', topic = 'transfers', on_error = 'dlq') FORMAT PLAIN ENCODE JSON;

CREATE SINK copied AS SELECT id, source FROM transfers
WITH (connector = 'kafka', topic = 'copied', primary_key = 'source') FORMAT PLAIN ENCODE JSON;

CREATE MATERIALIZED VIEW balances AS
SELECT account, count(*) AS n, sum(amount) AS balance
FROM (SELECT target AS account, amount FROM transfers UNION ALL SELECT source AS account, -amount AS amount FROM transfers) AS legs
GROUP BY account;

CREATE SINK upserted FROM balances WITH (connector = 'kafka', topic = 'upserted', primary_key = 'account') FORMAT UPSERT ENCODE JSON;
CREATE SINK filed FROM balances WITH (connector = 'file', path = :'file') FORMAT PLAIN ENCODE JSON;
CREATE SINK rolled AS SELECT id FROM transfers WITH (connector = 'file', path = :'folder') FORMAT PLAIN ENCODE JSON;

CREATE MATERIALIZED VIEW bank AS SELECT sum(balance) AS total, count(*) AS accounts FROM balances;
CREATE SINK banked FROM bank WITH (connector = 'kafka', topic = 'banked') FORMAT PLAIN ENCODE JSON;
"""

POSTGRES_SCRIPT = """
CREATE SINK posted FROM balances
WITH (connector = 'postgres', host = :'host', database = 'postgres', table = 'balances', type = 'upsert', primary_key = 'account');
CREATE SINK listed AS SELECT id, source FROM transfers
WITH (connector = 'postgres', host = :'host', database = 'postgres', table = 'copied');
"""

# Each by itself: others read the source while it is paused.
ASIDE = {
    "SINK aside": "CREATE SINK aside AS SELECT id, source FROM transfers"
    " WITH (connector = 'kafka', topic = 'aside', primary_key = 'source') FORMAT PLAIN ENCODE JSON",
    "MATERIALIZED VIEW received": "CREATE MATERIALIZED VIEW received AS SELECT target, count(*) AS n, sum(amount) AS total FROM transfers GROUP BY target",
}


def say(text):
    print(text, file=sys.stderr, flush=True)


class Postgres(PostgresServer):
    """With the tables that the sinks write to."""

    def __init__(self, binaries, folder):
        import psycopg

        super().__init__(binaries, folder)
        with psycopg.connect(host=folder, user="postgres", autocommit=True) as connection:
            connection.execute("CREATE TABLE balances (account bigint PRIMARY KEY, n bigint, balance numeric)")
            connection.execute("CREATE TABLE copied (id bigint, source bigint)")

    def rows(self, query):
        import psycopg

        with psycopg.connect(host=self.folder, user="postgres") as connection:
            return connection.execute(query).fetchall()

    def stream(self, query):
        """The same, without having all rows in memory."""
        import psycopg

        with psycopg.connect(host=self.folder, user="postgres") as connection, connection.cursor("rows") as cursor:
            cursor.itersize = 50_000
            yield from cursor.execute(query)


class Server:
    def __init__(self, binary, folder, script, variables):
        self.words = [binary, "serve", "--data-dir", f"{folder}/data", "--no-http", "--set", "journal.bytes.max=268435456", "--set",
                      "log.segment.bytes=4194304", "--checkpoint-seconds", "1", "--log-level", "info", script]
        for name, value in variables.items():
            self.words += ["-v", f"{name}={value}"]
        self.log, self.port, self.sql_port = f"{folder}/serve.log", 0, 0

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.words + ["--kafka", f"127.0.0.1:{self.port}", "--postgres", f"127.0.0.1:{self.sql_port}"], stdout=subprocess.PIPE, stderr=log)
        try:
            said = listeners(self.process, 2)
            self.port, self.sql_port = (int(said[name].rsplit(":", 1)[1]) for name in ("kafka", "postgres"))
        except RuntimeError as error:
            with open(self.log, errors="replace") as log:
                raise SystemExit(f"{error}\n" + "".join(log.readlines()[-20:]))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def sql(self, text):
        """Its rows, of a statement that has some."""
        import psycopg

        with psycopg.connect(host="127.0.0.1", port=self.sql_port, user="crash", dbname="dev", autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []


class Pauses(threading.Thread):
    """Lets this and that stand still for a while, and in the end everything go on."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.server, self.chance, self.said, self.ending = server, random.Random(seed), 0, threading.Event()

    def say(self, text):
        import psycopg

        try:
            self.server.sql(text)
            self.said += 1
            return True
        except psycopg.OperationalError:
            # It was killed, or is about to be there again.
            return False

    def run(self):
        while not self.ending.wait(self.chance.uniform(0.05, 0.8)):
            self.say(f"ALTER {self.chance.choice([*ASIDE, 'MATERIALIZED VIEW balances'])} {self.chance.choice(['PAUSE', 'RESUME'])}")
        for what in [*ASIDE, "MATERIALIZED VIEW balances"]:
            while not self.say(f"ALTER {what} RESUME"):
                time.sleep(0.1)


class Load(threading.Thread):
    """Transfers of one producer: the source account says the partition, so that each account has an order."""

    def __init__(self, name, server, stopping, transactional):
        super().__init__(daemon=True)
        self.number, self.server, self.stopping, self.transactional = name, server, stopping, transactional
        self.chance, self.sent, self.errors = random.Random(name), 0, []

    def transfer(self):
        self.sent += 1
        # Accounts of their own, so that the order within an account is this producer's.
        source = self.number + 4 * self.chance.randrange(ACCOUNTS // 4)
        value = {"id": self.number + 4 * self.sent, "source": source, "target": self.chance.randrange(ACCOUNTS), "amount": self.chance.randrange(1, 100)}
        return json.dumps(value).encode(), source % PARTITIONS

    def run(self):
        (self.run_transactions if self.transactional else self.run_plain)()

    def run_plain(self):
        producer = Producer({"bootstrap.servers": self.server.address, "enable.idempotence": True, "linger.ms": 1,
                             "delivery.timeout.ms": 600_000, "retry.backoff.max.ms": 200} | PATIENT)
        while not self.stopping.is_set():
            value, partition = self.transfer()
            try:
                producer.produce("transfers", value, partition=partition)
            except BufferError:
                producer.poll(0.1)
            producer.poll(0)
            if self.sent % 20 == 0:
                time.sleep(0.005)
        if producer.flush(120):
            self.errors.append("records never acknowledged")

    def run_transactions(self):
        producer = None
        while not self.stopping.is_set():
            try:
                if producer is None:
                    producer = Producer({"bootstrap.servers": self.server.address, "transactional.id": f"load-{self.number}", "linger.ms": 0,
                                         "transaction.timeout.ms": 20_000} | PATIENT)
                    producer.init_transactions(10)
                producer.begin_transaction()
                for _ in range(self.chance.randrange(1, 20)):
                    value, partition = self.transfer()
                    producer.produce("transfers", value, partition=partition)
                if self.chance.random() < 0.25:
                    producer.abort_transaction(10)
                else:
                    producer.commit_transaction(10)
            except KafkaException as error:
                try:
                    if not error.args[0].fatal() and error.args[0].txn_requires_abort():
                        producer.abort_transaction(10)
                        continue
                except KafkaException:
                    pass
                producer = None
        heir = Producer({"bootstrap.servers": self.server.address, "transactional.id": f"load-{self.number}"})
        heir.init_transactions(30)


class Topic:
    """A topic as a read_committed consumer finds it. It remembers where it got to, so that asking again costs what is new."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.count, self.next = 0, [0] * PARTITIONS

    def records(self):
        """(key, value) of what has come since the last call, partition by partition."""
        consumer = Consumer({"bootstrap.servers": self.server.address, "group.id": "check", "isolation.level": "read_committed",
                             "enable.partition.eof": True})
        for partition in range(PARTITIONS):
            consumer.assign([TopicPartition(self.name, partition, self.next[partition])])
            progress, ended = time.monotonic(), False
            while not ended:
                messages = consumer.consume(5000, 1.0)
                if messages:
                    progress = time.monotonic()
                elif time.monotonic() - progress > 60:
                    raise SystemExit(f"reading {self.name}: nothing came for a minute, and partition {partition} is not at its end")
                for message in messages:
                    if message.error() is None:
                        self.count, self.next[partition] = self.count + 1, message.offset() + 1
                        yield message.key(), message.value()
                    elif message.error().code() == KafkaError._PARTITION_EOF:
                        ended = True
                    else:
                        raise SystemExit(f"reading {self.name}: {message.error()}")
        consumer.close()

    def counted(self):
        """How many records it has by now."""
        for _ in self.records():
            pass
        return self.count


class Ids:
    """How often each id was seen: a byte an id, for ids are dense and there are millions."""

    def __init__(self):
        self.seen = bytearray(1 << 20)

    def add(self, number):
        if number >= len(self.seen):
            self.seen.extend(bytes(max(number + 1 - len(self.seen), len(self.seen))))
        self.seen[number] = min(self.seen[number] + 1, 255)

    def compare(self, truth):
        """Ids that are lost, that are there more than once, and that nobody wrote: of each how many, and the first few."""
        size = max(len(self.seen), len(truth.seen))
        mine, true = (each.seen.ljust(size, b"\0") for each in (self, truth))
        lost, twice, made_up = [0, []], [0, []], [0, []]
        if mine != true:
            for number, (found, wanted) in enumerate(zip(mine, true)):
                for is_so, group in ((wanted and not found, lost), (found > 1, twice), (found and not wanted, made_up)):
                    if is_so:
                        group[0] += 1
                        if len(group[1]) < 5:
                            group[1].append(number)
        return lost, twice, made_up


def read_transfers(server, name, problems, each_row=lambda row: None):
    """Its ids and how many records it has; the order of each account is looked at on the way."""
    topic, ids, last = Topic(server, name), Ids(), {}
    is_ordered = True
    for _, value in topic.records():
        row = json.loads(value)
        ids.add(row["id"])
        if is_ordered and row["id"] <= last.get(row["source"], -1):
            problems.append(f"{name} is out of order: {row} after {last[row['source']]}")
            is_ordered = False
        last[row["source"]] = row["id"]
        each_row(row)
    return ids, topic.count


def compare(problems, what, found, expected):
    if found != expected:
        wrong = [key for key in set(found) | set(expected) if found.get(key) != expected.get(key)]
        problems.append(f"{what}: {len(wrong)} of {len(expected)} accounts are wrong, such as " +
                        ", ".join(f"{key}: {found.get(key)}, expected {expected.get(key)}" for key in sorted(wrong)[:3]))


def compare_ids(problems, what, found, truth):
    lost, twice, made_up = found.compare(truth)
    for (count, some), fate in ((lost, "are lost"), (twice, "are there twice"), (made_up, "were aborted or never written")):
        if count:
            problems.append(f"{what}: {count} records {fate}, such as {some}")
    return lost[0], twice[0]


def check(server, file, directory, postgres):
    """Nothing is kept of a record but a byte for its id: there may be tens of millions."""
    problems, sums, incoming = [], collections.defaultdict(lambda: [0, 0]), collections.defaultdict(lambda: [0, 0])

    def add(row):
        incoming[row["target"]][0] += 1
        incoming[row["target"]][1] += row["amount"]
        for account, amount in ((row["target"], row["amount"]), (row["source"], -row["amount"])):
            sums[account][0] += 1
            sums[account][1] += amount

    truth, count = read_transfers(server, "transfers", problems, add)
    copied, copied_count = read_transfers(server, "copied", problems)
    lost, twice = compare_ids(problems, "the copy", copied, truth)
    aside, _ = read_transfers(server, "aside", problems)
    compare_ids(problems, "the sink that was paused", aside, truth)
    received = {target: (int(n), int(total)) for target, n, total in server.sql("SELECT target, n, total FROM received")}
    compare(problems, "the view that was paused", received, {target: tuple(each) for target, each in incoming.items()})
    expected = {account: tuple(each) for account, each in sums.items()}
    upserted = {}
    for key, value in Topic(server, "upserted").records():
        upserted[json.loads(key)["account"]] = value and json.loads(value)
    compare(problems, "upserts", {account: (row["n"], row["balance"]) for account, row in upserted.items() if row}, expected)
    net = collections.defaultdict(int)
    with open(file) as lines:
        for line in lines:
            row = json.loads(line)
            key = row["account"], row["n"], row["balance"]
            net[key] += 1 if row["op"] == "insert" else -1
            if net[key] == 0:
                del net[key]
    if any(each != 1 for each in net.values()):
        problems.append(f"the file takes back what was not there, or says it twice: {[each for each in net.items() if each[1] != 1][:3]}")
    compare(problems, "the file", {row[0]: row[1:] for row, each in net.items() if each == 1}, expected)
    # Complete files, and the one that is being written.
    rolled = Ids()
    for name in os.listdir(directory):
        with open(f"{directory}/{name}") as lines:
            for line in lines:
                rolled.add(json.loads(line)["id"])
    compare_ids(problems, "the directory", rolled, truth)
    banked, wrong = Topic(server, "banked"), []
    for _, value in banked.records():
        row = json.loads(value)
        if row["total"] not in (0, None):
            wrong.append(row)
    if wrong:
        problems.append(f"{len(wrong)} of {banked.count} visible sums of all balances are not 0, such as {wrong[0]}")
    if postgres:
        rows = {int(account): (int(n), int(balance)) for account, n, balance in postgres.rows("SELECT account, n, balance FROM balances")}
        compare(problems, "PostgreSQL", rows, expected)
        listed = Ids()
        for (number,) in postgres.stream("SELECT id FROM copied"):
            listed.add(number)
        compare_ids(problems, "PostgreSQL's copy", listed, truth)
    return problems, {"records": count, "copied": copied_count, "lost": lost, "duplicated": twice, "sums_seen": banked.count}


def is_drained(source, copies, postgres):
    """Whether the outputs have caught up with the input: as many records on both sides."""
    wanted = source.counted()
    listed = postgres.rows("SELECT count(*) FROM copied")[0][0] if postgres else wanted
    return wanted == listed and all(copy.counted() == wanted for copy in copies)


def main(options):
    folder = tempfile.mkdtemp(prefix="martlet-crash-")
    os.chmod(folder, 0o755)
    postgres = Postgres(options.postgres, f"{folder}/pg") if options.postgres else None
    script, file, directory = f"{folder}/pipeline.sql", f"{folder}/filed.ndjson", f"{folder}/rolled/"
    with open(script, "w") as text:
        text.write(SCRIPT + (POSTGRES_SCRIPT if postgres else ""))
    server = Server(os.environ["MARTLET_BINARY"], folder, script, {"file": file, "folder": directory} | ({"host": postgres.folder} if postgres else {}))
    server.start()
    for statement in ASIDE.values():
        server.sql(statement)
    stopping, chance, pauses = threading.Event(), random.Random(options.seed), Pauses(server, options.seed)
    pauses.start()
    load = [Load(number, server, stopping, transactional=number >= 2) for number in range(4)]
    for each in load:
        each.start()
    started, cycles, postgres_kills = time.monotonic(), 0, 0
    while cycles < options.cycles and not (options.seconds and time.monotonic() - started > options.seconds and cycles >= 3):
        time.sleep(chance.uniform(0.3, 2.0))
        if postgres and chance.random() < 0.3:
            postgres.kill()
            postgres_kills += 1
            continue
        server.kill()
        server.start()
        cycles += 1
        if cycles % 20 == 0:
            say(f"crash: {cycles} cycles")
    time.sleep(1)
    stopping.set()
    for each in load:
        each.join(180)
    pauses.ending.set()
    pauses.join()
    problems = sum((each.errors for each in load), [])
    # As long again for the first look at everything as what is left to be written may take.
    deadline = time.monotonic() + 60 + (time.monotonic() - started) / 10
    source, copies = Topic(server, "transfers"), [Topic(server, name) for name in ("copied", "aside")]
    while not is_drained(source, copies, postgres) and time.monotonic() < deadline:
        time.sleep(0.5)
    # A clean stop leaves nothing to be replayed, and everything where it belongs.
    server.process.terminate()
    code = server.process.wait(60)
    if code != 0:
        problems.append(f"exit code {code} after SIGTERM")
    server.start()
    found, summary = check(server, file, directory, postgres)
    problems += found
    server.kill()
    with open(server.log, errors="replace") as log:
        resumed = [json.loads(line) for line in log if ' resumed"' in line]
    if resumed and resumed[-1]["replayed"] != 0:
        problems.append(f"after a clean stop {resumed[-1]['replayed']} ticks were carried out again")
    summary = {"cycles": cycles, "postgres_kills": postgres_kills, "pauses": pauses.said, "seed": options.seed, "seconds": round(time.monotonic() - started, 1),
               "replayed": sum(each["replayed"] for each in resumed)} | summary | {"problems": len(problems)}
    print(json.dumps(summary | {"first_problems": problems[:5]}), flush=True)
    for problem in problems[:20]:
        say(f"crash: {problem}")
    if postgres:
        postgres.stop()
    if problems or options.keep:
        say(f"crash: the server's log and data are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if problems else 0
