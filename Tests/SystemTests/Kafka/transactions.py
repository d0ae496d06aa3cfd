"""Transactions: committed, aborted, fenced, timed out, read at both isolation levels; consume-transform-produce under fire."""

import asyncio
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

import aiokafka
import kafka.admin
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from harness import eventually, fresh
from messages import create, read_confluent

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")


def transactional(server, identity=None, **configuration):
    producer = Producer({
        "bootstrap.servers": server.address, "transactional.id": identity or fresh("tx"), "linger.ms": 0,
    } | configuration)
    producer.init_transactions(20)
    return producer


def values(server, topic, count, isolation, seconds=4, partition=0):
    messages = read_confluent(server, topic, count, partition, seconds=seconds, **{"isolation.level": isolation})
    return [m.value().decode() for m in messages]


def committed_and_aborted(server, problems):
    """read_committed sees what was committed, in order; read_uncommitted also what was aborted"""
    topic = create(server)
    producer = transactional(server)
    for at in range(6):
        producer.begin_transaction()
        for part in "ab":
            producer.produce(topic, f"{at}{part}".encode(), partition=0)
        # An abort drops what was not sent yet.
        producer.flush(10)
        (producer.abort_transaction if at % 3 == 1 else producer.commit_transaction)(20)
    every = [f"{at}{part}" for at in range(6) for part in "ab"]
    good = [each for each in every if int(each[0]) % 3 != 1]
    problems.equal(values(server, topic, 99, "read_committed"), good, "read_committed")
    problems.equal(values(server, topic, 99, "read_uncommitted"), every, "read_uncommitted")
    server.kill()
    server.start()
    problems.equal(values(server, topic, 99, "read_committed"), good, "read_committed after kill -9")


def open_transaction_holds_readers(server, problems):
    """An open transaction holds the last stable offset: others' later records wait for it"""
    topic = create(server)
    opened = transactional(server)
    opened.begin_transaction()
    opened.produce(topic, b"open", partition=0)
    opened.flush(10)
    plain = Producer({"bootstrap.servers": server.address})
    plain.produce(topic, b"plain", partition=0)
    plain.flush(10)
    problems.equal(values(server, topic, 9, "read_committed", 2), [], "before the end")
    problems.equal(values(server, topic, 2, "read_uncommitted"), ["open", "plain"], "read_uncommitted")
    opened.commit_transaction(10)
    problems.equal(values(server, topic, 2, "read_committed"), ["open", "plain"], "after the commit")


class Wire:
    """A way to the server that can lose answers, and be cut. Clients are told to come by it again."""

    def __init__(self, server):
        self.server, self.passes_answers, self.is_cut, self.ends = server, True, False, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        # What the server calls itself in its answers, and what it is to be called.
        names = [b"127.0.0.1" + struct.pack(">i", int(each.rsplit(":", 1)[1])) for each in (self.server.address, self.address)]
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            if self.is_cut:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.server.port))
            self.ends += [client, server]
            threading.Thread(target=self.carry, args=(client, server, lambda piece: piece), daemon=True).start()
            threading.Thread(
                target=self.carry, args=(server, client, lambda piece: self.passes_answers and piece.replace(*names)), daemon=True
            ).start()

    def carry(self, start, target, change):
        try:
            while piece := start.recv(1 << 16):
                if changed := change(piece):
                    target.sendall(changed)
        except OSError:
            pass

    def cut(self):
        self.is_cut = True
        for end in self.ends:
            # Wakes those who wait in recv, too.
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
        self.ends = []

    def mend(self):
        self.passes_answers, self.is_cut = True, False


def abandoned_unanswered(server, problems):
    """A transaction is abandoned while the answer to what it sent is lost: what later ones commit is there, once"""
    for records in (1, 3):
        topic, wire = create(server), Wire(server)
        producer = transactional(server, **{
            "bootstrap.servers": wire.address, "reconnect.backoff.max.ms": 200, "metadata.recovery.strategy": "none"})
        producer.begin_transaction()
        producer.produce(topic, b"first", partition=0)
        producer.flush(10)
        wire.passes_answers = False
        for at in range(records):
            producer.produce(topic, f"abandoned {at}".encode(), partition=0)
        arrived = eventually(lambda: len(values(server, topic, records + 1, "read_uncommitted", 1)) == records + 1)
        problems.check(arrived, "what is abandoned had arrived")
        wire.cut()
        time.sleep(0.5)
        threading.Timer(1, wire.mend).start()
        committed, fatal = [], False
        try:
            # Drops what waits to be sent again, and then waits for the server.
            producer.abort_transaction(20)
            for at in range(records):
                producer.begin_transaction()
                producer.produce(topic, f"kept {at}".encode(), partition=0)
                producer.commit_transaction(20)
                committed.append(f"kept {at}")
        except KafkaException as error:
            fatal = error.args[0].fatal()
        # librdkafka 2 gives sequences out again that were taken. It has to be told, rather than that all is well.
        if fatal:
            heir = transactional(server)
            heir.begin_transaction()
            heir.produce(topic, b"kept by another", partition=0)
            heir.commit_transaction(20)
            committed.append("kept by another")
        problems.check(committed, "something is committed")
        problems.equal(values(server, topic, 9, "read_committed", 2), committed, f"{records} abandoned, and what was committed")
        wire.listener.close()


def many_partitions(server, problems):
    """A transaction over many partitions of several topics is atomic in each"""
    topics = [create(server, partitions=8) for _ in range(3)]
    producer = transactional(server)
    for outcome in ("commit", "abort"):
        producer.begin_transaction()
        for topic in topics:
            for partition in range(8):
                producer.produce(topic, outcome.encode(), partition=partition)
        producer.flush(10)
        (producer.commit_transaction if outcome == "commit" else producer.abort_transaction)(20)
    for topic in topics:
        for partition in (0, 3, 7):
            problems.equal(values(server, topic, 1, "read_committed", partition=partition), ["commit"], f"{topic} {partition}")


def fenced(server, problems):
    """A second producer with the same id fences the first, whose open transaction is aborted"""
    topic, identity = create(server), fresh("tx")
    zombie = transactional(server, identity)
    zombie.begin_transaction()
    zombie.produce(topic, b"zombie", partition=0)
    zombie.flush(10)
    heir = transactional(server, identity)
    heir.begin_transaction()
    heir.produce(topic, b"heir", partition=0)
    heir.commit_transaction(20)
    try:
        zombie.produce(topic, b"again", partition=0)
        zombie.commit_transaction(10)
        problems.append("the zombie committed")
    except KafkaException as error:
        problems.check(error.args[0].fatal(), f"a fatal error: {error}")
    problems.equal(values(server, topic, 9, "read_committed"), ["heir"], "read_committed")


def timed_out(server, problems):
    """A transaction past its timeout is aborted by the server, and its producer fenced"""
    topic = create(server)
    producer = transactional(server, **{"transaction.timeout.ms": 2000})
    producer.begin_transaction()
    producer.produce(topic, b"too slow", partition=0)
    producer.flush(10)
    plain = Producer({"bootstrap.servers": server.address})
    plain.produce(topic, b"plain", partition=0)
    plain.flush(10)
    problems.check(eventually(lambda: values(server, topic, 1, "read_committed", 2) == ["plain"], 30), "aborted by itself")
    try:
        producer.commit_transaction(10)
        problems.append("committed after its timeout")
    except KafkaException:
        pass


def large_transaction(server, problems):
    """A transaction of 100,000 records over 4 partitions"""
    topic = create(server, partitions=4)
    producer = transactional(server, **{"linger.ms": 5, "queue.buffering.max.messages": 200_000})
    producer.begin_transaction()
    for at in range(100_000):
        producer.produce(topic, str(at).encode(), partition=at % 4)
        producer.poll(0)
    producer.commit_transaction(60)
    found = sum((values(server, topic, 25_000, "read_committed", 20, partition) for partition in range(4)), [])
    problems.equal(sorted(map(int, found)) == list(range(100_000)), True, "every record once")


def offsets_in_transaction(server, problems):
    """Offsets sent with a transaction appear with its commit, and never with its abort"""
    topic, group = create(server), fresh("group")
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": group})
    producer = transactional(server)
    for at, ends in enumerate(("commit", "abort")):
        producer.begin_transaction()
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, 10 + at)], consumer.consumer_group_metadata(), 10)
        (producer.commit_transaction if ends == "commit" else producer.abort_transaction)(20)
        problems.equal(consumer.committed([TopicPartition(topic, 0)], 10)[0].offset, 10, f"after the {ends}")
    consumer.close()


def transform_under_fire(server, problems):
    """Consume-transform-produce with three workers being killed, and the server too: each record exactly once in the output"""
    source, target, group, count = create(server, partitions=4), create(server, partitions=4), fresh("group"), 3000
    workers = {}
    chance = random.Random(7)

    def start(at):
        workers[at] = subprocess.Popen(
            [sys.executable, WORKER, "transform", server.address, group, source, target, f"{group}-{at}"],
            stderr=subprocess.DEVNULL)

    producer = Producer({"bootstrap.servers": server.address, "enable.idempotence": True})
    for at in range(count):
        producer.produce(source, str(at).encode(), key=str(at % 50).encode())
    problems.equal(producer.flush(30), 0, "the input")
    try:
        for at in range(3):
            start(at)
        found, deadline, turn = [], time.monotonic() + 100, 0
        while time.monotonic() < deadline:
            time.sleep(2.5)
            found = sum((values(server, target, count, "read_committed", 1, each) for each in range(4)), [])
            if len(set(found)) >= count:
                break
            if turn < 6:
                victim = chance.randrange(3)
                workers[victim].kill()
                workers[victim].wait()
                if turn == 3:
                    server.kill()
                    server.start()
                start(victim)
            for at, worker in list(workers.items()):
                if worker.poll() is not None:
                    start(at)
            turn += 1
        time.sleep(2)
        found = sum((values(server, target, 2 * count, "read_committed", 3, each) for each in range(4)), [])
        problems.equal(len(set(found)), count, "records in the output")
        problems.equal(len(found) - len(set(found)), 0, "records twice")
        for each in range(4):
            order = {}
            for value in values(server, target, count, "read_committed", 2, each):
                order.setdefault(int(value) % 50, []).append(int(value))
            problems.check(all(seen == sorted(seen) for seen in order.values()), f"partition {each}: order within keys")
    finally:
        for worker in workers.values():
            worker.kill()
            worker.wait()


def aiokafka_transactions(server, problems):
    """aiokafka: commit and abort, read_committed"""
    topic = create(server)

    async def body():
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=server.address, transactional_id=fresh("tx"))
        await producer.start()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"good", partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"bad", partition=0)
        await producer.abort_transaction()
        await producer.stop()
        consumer = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=server.address, isolation_level="read_committed",
                                             auto_offset_reset="earliest", enable_auto_commit=False)
        await consumer.start()
        found = [m.value for batch in (await consumer.getmany(timeout_ms=3000)).values() for m in batch]
        await consumer.stop()
        problems.equal(found, [b"good"], "read_committed")

    asyncio.run(body())


def listed(server, problems):
    """An open transaction and its producer can be listed and described"""
    topic, identity = create(server), fresh("tx")
    producer = transactional(server, identity)
    producer.begin_transaction()
    producer.produce(topic, b"x", partition=0)
    producer.flush(10)
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=server.address)
    answer = repr(admin.list_transactions())
    problems.check(identity in answer, answer[:300])
    described = repr(admin.describe_transactions([identity]))
    problems.check(topic in described and "Ongoing" in described.title(), described[:300])
    producers = repr(admin.describe_producers([kafka.TopicPartition(topic, 0)]))
    problems.check("producer_id" in producers, producers[:300])
    admin.close()
    producer.abort_transaction(10)


CASES = [
    committed_and_aborted, open_transaction_holds_readers, abandoned_unanswered, many_partitions, fenced, timed_out, large_transaction,
    offsets_in_transaction, transform_under_fire, aiokafka_transactions, listed,
]
