"""Transactions: committed, aborted, fenced, timed out, read at both isolation levels; consume-transform-produce under fire."""

import asyncio
import os
import random
import subprocess
import sys
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
    committed_and_aborted, open_transaction_holds_readers, many_partitions, fenced, timed_out, large_transaction,
    offsets_in_transaction, transform_under_fire, aiokafka_transactions, listed,
]
