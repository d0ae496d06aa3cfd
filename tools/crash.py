"""Kills a server under load again and again, and checks what it kept: ./dev crash [CYCLES] [--power ext4|xfs] [--seed N].

Each cycle starts `martlet serve` on the same data directory, lets idempotent and transactional producers write to it for a
moment, and kills it with SIGKILL; with --power the file system under it (a loop device) is shut down first, as when power
fails, and mounted again. The producers live through it all and repeat what was not acknowledged.

At the end everything is read back. An acknowledged record must be there once, in its producer's order, at the offset it was
acknowledged with; a transaction whose commit was acknowledged must be there whole, one that was aborted not at all, one of
unknown outcome whole or not at all; offsets have no gaps but those of transaction markers; committed group offsets never go
back. One JSON line sums it up; the exit code is 1 if anything did not hold.
"""

import argparse
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

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../Tests/SystemTests/Kafka"))
from harness import listeners

PARTITIONS = 4
# librdkafka 2.16 forgets a request that waits for its coordinator when it bootstraps anew, which is not what is tested here.
PATIENT = {"metadata.recovery.strategy": "none", "reconnect.backoff.max.ms": 200}


def say(text):
    print(text, file=sys.stderr, flush=True)


class Server:
    def __init__(self, binary, data, log):
        self.binary, self.data, self.log = binary, data, log
        self.port = 0

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--data-dir", self.data, "--kafka", f"127.0.0.1:{self.port}", "--no-http", "--no-postgres",
                 "--set", "journal.bytes.max=268435456", "--set", "group.initial.rebalance.delay.ms=0",
                 "--set", "log.segment.bytes=4194304"],
                stdout=subprocess.PIPE, stderr=log)
        try:
            self.port = int(listeners(self.process, 1)["kafka"].rsplit(":", 1)[1])
        except RuntimeError as error:
            with open(self.log, errors="replace") as log:
                raise SystemExit(f"{error}\n" + "".join(log.readlines()[-20:]))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


class Volume:
    """A file system of its own in a file, which can lose its power."""

    def __init__(self, folder, kind):
        self.image, self.mount = os.path.join(folder, "volume.img"), os.path.join(folder, "volume")
        os.makedirs(self.mount)
        subprocess.run(["truncate", "-s", "2G", self.image], check=True)
        subprocess.run([f"mkfs.{kind}", "-q", self.image], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.mount], check=True)

    def lose_power(self):
        # Nothing that is not synced by now reaches the image.
        subprocess.run(["xfs_io", "-x", "-c", "shutdown", self.mount], check=True)

    def come_back(self):
        subprocess.run(["umount", self.mount], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.mount], check=True)

    def close(self):
        subprocess.run(["umount", "-l", self.mount], check=False)


class Plain(threading.Thread):
    """An idempotent producer of values "p<name>-<n>", each partition in order; remembers what was acknowledged where."""

    def __init__(self, name, server, topic, stopping):
        super().__init__(daemon=True)
        self.name_, self.server, self.topic, self.stopping = name, server, topic, stopping
        self.acknowledged, self.errors, self.sent = {}, [], 0

    def report(self, error, message):
        if error:
            self.errors.append(str(error))
        else:
            self.acknowledged[message.value()] = (message.partition(), message.offset())

    def run(self):
        producer = Producer({
            "bootstrap.servers": self.server.address, "enable.idempotence": True, "linger.ms": 2, "delivery.timeout.ms": 600_000,
            "retry.backoff.max.ms": 200, "compression.type": "lz4" if self.name_ % 2 else "none"} | PATIENT)
        while not self.stopping.is_set():
            try:
                value = f"p{self.name_}-{self.sent}".encode()
                producer.produce(self.topic, value + b" " + b"x" * (self.sent * 7 % 300), partition=self.sent % PARTITIONS, on_delivery=self.report)
                self.sent += 1
            except BufferError:
                producer.poll(0.1)
            producer.poll(0)
            if self.sent % 50 == 0:
                time.sleep(0.005)
        left = producer.flush(120)
        if left:
            self.errors.append(f"{left} records never acknowledged")


class Transactional(threading.Thread):
    """Transactions of a few records over all partitions and a group offset; remembers how each ended."""

    def __init__(self, name, server, topic, stopping):
        super().__init__(daemon=True)
        self.name_, self.server, self.topic, self.stopping = name, server, topic, stopping
        self.ends, self.errors, self.committed = {}, [], 0

    def fresh(self):
        """A producer that has fenced whoever had its id before; None if there is to be no more."""
        producer = None
        while not self.stopping.is_set():
            producer = producer or Producer({
                "bootstrap.servers": self.server.address, "transactional.id": f"crash-{self.name_}", "linger.ms": 0,
                "transaction.timeout.ms": 30_000} | PATIENT)
            try:
                producer.init_transactions(10)
                return producer
            except KafkaException as error:
                if not error.args[0].retriable():
                    producer = None
        return None

    def run(self):
        chance, number, producer = random.Random(self.name_), 0, self.fresh()
        reader = Consumer({"bootstrap.servers": self.server.address, "group.id": f"crash-{self.name_}"} | PATIENT)
        while producer and not self.stopping.is_set():
            number += 1
            values = [f"t{self.name_}-{number}-{part}" for part in range(chance.randrange(1, 8))]
            aborts = chance.random() < 0.25
            self.ends[number] = ("unknown", values)
            try:
                producer.begin_transaction()
                for at, value in enumerate(values):
                    producer.produce(self.topic, value.encode(), partition=at % PARTITIONS)
                producer.send_offsets_to_transaction(
                    [TopicPartition(self.topic, 0, number)], reader.consumer_group_metadata(), 20)
                if aborts:
                    producer.abort_transaction(20)
                else:
                    # Repeated while the outcome can still be learnt: the call goes on where it was.
                    while True:
                        try:
                            producer.commit_transaction(20)
                            break
                        except KafkaException as error:
                            if not error.args[0].retriable() or self.stopping.is_set():
                                raise
                self.ends[number] = ("aborted" if aborts else "committed", values)
                if not aborts:
                    self.committed = number
            except KafkaException as error:
                failure = error.args[0]
                try:
                    if failure.fatal():
                        producer = self.fresh()
                    elif failure.txn_requires_abort():
                        producer.abort_transaction(20)
                        self.ends[number] = ("aborted", values)
                    else:
                        producer = self.fresh()
                except KafkaException:
                    producer = self.fresh()
        reader.close()


def read_all(address, topic, isolation):
    """Per partition [(offset, value)], up to the end at the start of the read."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "check", "isolation.level": isolation,
                         "enable.partition.eof": True, "check.crcs": True})
    found = []
    for partition in range(PARTITIONS):
        rows = []
        consumer.assign([TopicPartition(topic, partition, 0)])
        deadline = time.monotonic() + 120
        ended = False
        while not ended and time.monotonic() < deadline:
            for message in consumer.consume(5000, 1.0):
                if message.error() is None:
                    rows.append((message.offset(), message.value().split(b" ")[0]))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended = True
                else:
                    raise SystemExit(f"reading partition {partition}: {message.error()}")
        if not ended:
            raise SystemExit(f"partition {partition} did not end")
        found.append(rows)
    consumer.close()
    return found


def check(address, topic, plain, transactional):
    problems = []
    committed, everything = read_all(address, topic, "read_committed"), read_all(address, topic, "read_uncommitted")
    places, twice = {}, 0
    for partition, rows in enumerate(committed):
        for offset, value in rows:
            if value in places:
                twice += 1
                problems.append(f"{value} twice: {places[value]} and {(partition, offset)}")
            places[value] = (partition, offset)
    lost = 0
    for producer in plain:
        for value, place in producer.acknowledged.items():
            name = value.split(b" ")[0]
            if places.get(name) != place:
                lost += 1
                problems.append(f"{name} acknowledged at {place}, found at {places.get(name)}")
        for partition in range(PARTITIONS):
            numbers = [int(value.split(b"-")[1]) for _, value in committed[partition] if value.startswith(b"p%d-" % producer.name_)]
            if numbers != sorted(numbers):
                problems.append(f"producer {producer.name_}, partition {partition}: out of order")
        problems += producer.errors
    ends = {"committed": 0, "aborted": 0, "unknown": 0}
    for producer in transactional:
        for number, (end, values) in producer.ends.items():
            ends[end] += 1
            there = [value.encode() in places for value in values]
            if end == "committed" and not all(there) or end == "aborted" and any(there) or any(there) != all(there):
                lost += end == "committed"
                problems.append(f"transaction {producer.name_}-{number}, {end}: {there}")
        problems += producer.errors
        reader = Consumer({"bootstrap.servers": address, "group.id": f"crash-{producer.name_}"})
        offset = reader.committed([TopicPartition(topic, 0)], 20)[0].offset
        if offset < producer.committed:
            problems.append(f"group crash-{producer.name_} stands at {offset}, and {producer.committed} was committed")
        reader.close()
    gaps = 0
    for partition, rows in enumerate(everything):
        offsets = [offset for offset, _ in rows]
        # A marker takes one offset, and several stand in a row where transactions end side by side or were aborted before
        # their records were sent. Only a wider hole is one: what was acknowledged has been looked for already.
        wide = [(a, b) for a, b in zip(offsets, offsets[1:]) if b - a > 1 + len(transactional) * 16]
        gaps += len(wide)
        problems += [f"partition {partition}: gap {gap}" for gap in wide]
    return problems, {"records": len(places), "lost": lost, "duplicated": twice, "gaps": gaps, "transactions": ends}


def main():
    parser = argparse.ArgumentParser(prog="./dev crash", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cycles", nargs="?", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="stop early after this time")
    parser.add_argument("--power", choices=["ext4", "xfs"], help="power losses on this file system instead of kill -9 alone")
    parser.add_argument("--keep", action="store_true", help="keep the data directory")
    parser.add_argument("--pipelines", action="store_true", help="a pipeline and its sinks instead of the log alone: see crash_pipelines.py")
    parser.add_argument("--postgres", metavar="BIN", help="with --pipelines and --sink-stops: where initdb is; a PostgreSQL of its own takes part, and dies too")
    parser.add_argument("--sink-stops", type=float, metavar="SECONDS", help="PostgreSQL stops for so long: see crash_sink_stops.py")
    parser.add_argument("--rate", type=float, help="with --sink-stops: rows a second (default: twice what PostgreSQL takes)")
    parser.add_argument("--nexmark", action="store_true", help="queries of Nexmark, disturbed and not: see crash_nexmark.py")
    parser.add_argument("--disturb", default="kill,stop,clock", help="with --nexmark: how")
    parser.add_argument("--events", type=int, default=3_000_000, help="with --nexmark: how many")
    parser.add_argument("--every", type=float, default=3, help="with --nexmark: seconds between two disturbances, about")
    parser.add_argument("--pause", type=float, default=10, help="with --nexmark: seconds that a SIGSTOP lasts")
    options = parser.parse_args()
    if options.nexmark:
        import crash_nexmark

        return crash_nexmark.main(options)
    if options.sink_stops:
        import crash_sink_stops

        return crash_sink_stops.main(options)
    if options.pipelines:
        import crash_pipelines

        return crash_pipelines.main(options)
    folder = tempfile.mkdtemp(prefix="martlet-crash-")
    volume = None
    if options.power:
        try:
            volume = Volume(folder, options.power)
        except (OSError, subprocess.CalledProcessError) as error:
            say(f"crash: skipped, no {options.power} on a loop device here: {error}")
            return 0
    data = os.path.join(volume.mount if volume else folder, "data")
    server = Server(os.environ["MARTLET_BINARY"], data, os.path.join(folder, "serve.log"))
    server.start()
    topic, stopping, chance = "crash", threading.Event(), random.Random(options.seed)
    admin = AdminClient({"bootstrap.servers": server.address})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(20)
    plain = [Plain(name, server, topic, stopping) for name in range(2)]
    transactional = [Transactional(name, server, topic, stopping) for name in range(2)]
    for each in plain + transactional:
        each.start()
    started, cycles = time.monotonic(), 0
    while cycles < options.cycles and not (options.seconds and time.monotonic() - started > options.seconds):
        time.sleep(chance.uniform(0.1, 1.2))
        if volume:
            volume.lose_power()
        server.kill()
        if volume:
            volume.come_back()
        server.start()
        cycles += 1
        if cycles % 20 == 0:
            say(f"crash: {cycles} cycles, {sum(len(each.acknowledged) for each in plain)} records acknowledged")
    time.sleep(1)
    stopping.set()
    for each in plain + transactional:
        each.join(180)
    for each in transactional:
        # Ends what a stopped producer left open, so that nobody waits for its timeout.
        heir = Producer({"bootstrap.servers": server.address, "transactional.id": f"crash-{each.name_}"})
        heir.init_transactions(30)
    problems, summary = check(server.address, topic, plain, transactional)
    code = server.stop()
    if code != 0:
        problems.append(f"exit code {code} after SIGTERM")
    summary = {"cycles": cycles, "power": options.power, "seed": options.seed, "seconds": round(time.monotonic() - started, 1),
               "acknowledged": sum(len(each.acknowledged) for each in plain)} | summary | {"problems": len(problems)}
    print(json.dumps(summary | {"first_problems": problems[:5]}), flush=True)
    for problem in problems[:20]:
        say(f"crash: {problem}")
    if volume:
        volume.close()
    if problems or options.keep:
        say(f"crash: the server's log and data are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
