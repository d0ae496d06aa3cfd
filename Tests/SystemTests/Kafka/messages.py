"""Records of every kind through every client: codecs, acks, keys, headers, tombstones, timestamps, offsets by time."""

import asyncio
import subprocess
import time

import aiokafka
import confluent_kafka
import kafka
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness import fresh

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
# Recent, since retention counts by the records' own time.
START_MILLIS = int(time.time()) * 1000 - 3_600_000


def create(server, partitions=1, **configuration):
    topic = fresh()
    configuration = {name.replace("_", "."): str(value) for name, value in configuration.items()}
    admin = AdminClient({"bootstrap.servers": server.address})
    admin.create_topics([NewTopic(topic, partitions, 1, config=configuration)])[topic].result(15)
    return topic


def samples(count=50):
    """(key, value, headers, timestamp): nulls, empties, bytes that are not text, repeated header names."""
    rows = []
    for at in range(count):
        key = None if at % 5 == 0 else b"" if at % 5 == 1 else f"k{at}".encode()
        value = None if at % 7 == 3 and key else b"" if at % 7 == 4 else bytes([at % 256]) * (at * 13 % 400 + 1)
        headers = [] if at % 3 == 0 else [("a", b"1"), ("a", b""), ("ü", bytes(range(256)))]
        rows.append((key, value, headers, START_MILLIS + at * 1000))
    return rows


def read_confluent(server, topic, count, partition=0, offset=0, seconds=15, **configuration):
    """Messages of one partition from an offset, at most `count` of them."""
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": fresh("reader"), "enable.auto.commit": False,
                         "check.crcs": True} | configuration)
    consumer.assign([TopicPartition(topic, partition, offset)])
    messages, deadline = [], time.monotonic() + seconds
    while len(messages) < count and time.monotonic() < deadline:
        for message in consumer.consume(count - len(messages), 0.2):
            if message.error():
                raise RuntimeError(message.error())
            messages.append(message)
    consumer.close()
    return messages


def rows_of(messages):
    return [(m.key(), m.value(), m.headers() or [], m.timestamp()[1]) for m in messages]


def produce_confluent(server, topic, rows, **configuration):
    failures = []
    producer = Producer({"bootstrap.servers": server.address} | configuration)
    for key, value, headers, stamp in rows:
        producer.produce(topic, value=value, key=key, headers=headers, timestamp=stamp, partition=0,
                         on_delivery=lambda error, _: error and failures.append(error))
    left = producer.flush(20)
    return failures + ([f"{left} records were not acknowledged"] if left else [])


def confluent_codecs(server, problems):
    """confluent-kafka: every codec with every acks comes back to the byte, in order, with its offsets"""
    for codec in CODECS:
        for acks in ("0", "1", "all"):
            topic, rows = create(server), samples()
            failures = produce_confluent(server, topic, rows, **{"compression.type": codec, "acks": acks, "linger.ms": 20})
            problems.equal(failures, [], f"{codec}, acks={acks}: delivery")
            messages = read_confluent(server, topic, len(rows))
            problems.equal(rows_of(messages), rows, f"{codec}, acks={acks}")
            problems.equal([m.offset() for m in messages], list(range(len(rows))), f"{codec}, acks={acks}: offsets")


def kafka_python_codecs(server, problems):
    """kafka-python: every codec and acks, read by kafka-python and by librdkafka"""
    for codec in CODECS:
        for acks in (0, 1, "all"):
            topic, rows = create(server), samples()
            producer = kafka.KafkaProducer(
                bootstrap_servers=server.address, acks=acks, compression_type=None if codec == "none" else codec, linger_ms=20,
                enable_idempotence=acks == "all")
            for key, value, headers, stamp in rows:
                producer.send(topic, value=value, key=key, headers=headers, timestamp_ms=stamp, partition=0)
            producer.flush(20)
            producer.close()
            problems.equal(rows_of(read_confluent(server, topic, len(rows))), rows, f"{codec}, acks={acks}, by librdkafka")
            found = read_kafka_python(server, topic, len(rows))
            problems.equal(found, rows, f"{codec}, acks={acks}, by kafka-python")


def read_kafka_python(server, topic, count, **configuration):
    consumer = kafka.KafkaConsumer(bootstrap_servers=server.address, enable_auto_commit=False, **configuration)
    consumer.assign([kafka.TopicPartition(topic, 0)])
    consumer.seek_to_beginning()
    rows, deadline = [], time.monotonic() + 15
    while len(rows) < count and time.monotonic() < deadline:
        for messages in consumer.poll(200).values():
            rows += [(m.key, m.value, list(m.headers), m.timestamp) for m in messages]
    consumer.close()
    return rows


def aiokafka_codecs(server, problems):
    """aiokafka: every codec, idempotent, read by aiokafka"""

    async def body():
        for codec in CODECS:
            topic, rows = create(server), samples()
            producer = aiokafka.AIOKafkaProducer(
                bootstrap_servers=server.address, enable_idempotence=True, compression_type=None if codec == "none" else codec,
                linger_ms=20)
            await producer.start()
            waits = [await producer.send(topic, value=v, key=k, headers=h, timestamp_ms=t, partition=0) for k, v, h, t in rows]
            answers = [await wait for wait in waits]
            await producer.stop()
            problems.equal([a.offset for a in answers], list(range(len(rows))), f"{codec}: acknowledged offsets")
            consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=server.address, enable_auto_commit=False)
            await consumer.start()
            consumer.assign([aiokafka.TopicPartition(topic, 0)])
            await consumer.seek_to_beginning()
            found, deadline = [], time.monotonic() + 15
            while len(found) < len(rows) and time.monotonic() < deadline:
                for messages in (await consumer.getmany(timeout_ms=200)).values():
                    found += [(m.key, m.value, list(m.headers), m.timestamp) for m in messages]
            await consumer.stop()
            problems.equal(found, rows, codec)

    asyncio.run(body())


def kcat(server, *words, data=b"", timeout=20):
    return subprocess.run(["kcat", "-b", server.address, *words], input=data, capture_output=True, timeout=timeout)


def kcat_round_trip(server, problems):
    """kcat: keys, headers, tombstones, partitions and offsets, every codec"""
    for codec in CODECS:
        topic = create(server, partitions=2)
        written = kcat(server, "-P", "-t", topic, "-p", "1", "-K", ":", "-Z", "-z", codec, "-H", "trace=7", "-X", "acks=all",
                       data=b"a:1\nb:\nc:three\n")
        problems.equal(written.returncode, 0, written.stderr.decode())
        read = kcat(server, "-C", "-t", topic, "-p", "1", "-o", "beginning", "-e", "-q", "-Z", "-f", "%p %o %k=%s %h\\n")
        problems.equal(read.stdout.decode().splitlines(), ["1 0 a=1 trace=7", "1 1 b=NULL trace=7", "1 2 c=three trace=7"], codec)
        tail = kcat(server, "-C", "-t", topic, "-p", "1", "-o", "-1", "-e", "-q", "-f", "%k\\n")
        problems.equal(tail.stdout, b"c\n", f"{codec}: the last one")


def kcat_metadata(server, problems):
    """kcat -L lists the broker, the topic and its partitions; a produce creates what is missing"""
    topic = create(server, partitions=3)
    listed = kcat(server, "-L", "-t", topic).stdout.decode()
    problems.check(f'topic "{topic}" with 3 partitions' in listed, listed)
    problems.check(server.address in listed, listed)
    made = fresh("made")
    problems.equal(kcat(server, "-P", "-t", made, data=b"x\n").returncode, 0, "produce to a topic that is not there")
    problems.check(f'topic "{made}" with 4 partitions' in kcat(server, "-L", "-t", made).stdout.decode(), "4 partitions by default")


def offsets_for_times(server, problems):
    """The first offset at or after a time, the ends, and no offset past the last record, from every client"""
    topic, rows = create(server), samples()
    produce_confluent(server, topic, rows, **{"linger.ms": 1, "batch.num.messages": 7})
    asked = [START_MILLIS - 5, START_MILLIS, START_MILLIS + 20_500, START_MILLIS + 49_000, START_MILLIS + 49_001]
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": fresh()})
    found = [consumer.offsets_for_times([TopicPartition(topic, 0, at)], 10)[0].offset for at in asked]
    problems.equal(found[:4], [0, 0, 21, 49], "offsets_for_times")
    problems.check(found[4] in (confluent_kafka.OFFSET_END, 50), f"past the last record: {found[4]}")
    problems.equal(consumer.get_watermark_offsets(TopicPartition(topic, 0), 10), (0, 50), "watermarks")
    consumer.close()
    client = kafka.KafkaConsumer(bootstrap_servers=server.address)
    partition = kafka.TopicPartition(topic, 0)
    by_time = [client.offsets_for_times({partition: at})[partition] for at in asked]
    problems.equal([each and each.offset for each in by_time], [0, 0, 21, 49, None], "kafka-python")
    problems.equal(by_time[2].timestamp, START_MILLIS + 21_000, "the record's own time")
    problems.equal(client.beginning_offsets([partition])[partition], 0, "beginning")
    problems.equal(client.end_offsets([partition])[partition], 50, "end")
    client.close()


def broker_time(server, problems):
    """message.timestamp.type=LogAppendTime: the broker's time, for the producer too"""
    topic = create(server, message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    produce_confluent(server, topic, samples(5))
    messages = read_confluent(server, topic, 5)
    kinds = {m.timestamp()[0] for m in messages}
    problems.equal(kinds, {confluent_kafka.TIMESTAMP_LOG_APPEND_TIME}, "kind of time")
    problems.check(all(before <= m.timestamp()[1] <= time.time() * 1000 + 1 for m in messages), "between before and after")


def large_records(server, problems):
    """Records of a megabyte pass; one above max.message.bytes is refused with MSG_SIZE_TOO_LARGE and disturbs nothing"""
    topic = create(server, max_message_bytes=4 << 20)
    rows = [(b"k", bytes([at]) * (1 << 20), [], START_MILLIS + at) for at in range(5)]
    problems.equal(produce_confluent(server, topic, rows, **{"message.max.bytes": 8 << 20}), [], "delivery")
    problems.equal(rows_of(read_confluent(server, topic, 5, **{"fetch.message.max.bytes": 1 << 20})), rows, "content")
    errors = produce_confluent(server, topic, [(None, bytes(5 << 20), [], START_MILLIS)], **{"message.max.bytes": 8 << 20})
    problems.equal([e.code() for e in errors], [confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE], "too large")
    problems.equal(produce_confluent(server, topic, rows[:1], **{"message.max.bytes": 8 << 20}), [], "afterwards")


def long_poll(server, problems):
    """A waiting consumer gets a record soon after it was written, not when its wait is over"""
    topic = create(server)
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": fresh(), "fetch.wait.max.ms": 10_000})
    consumer.assign([TopicPartition(topic, 0, 0)])
    consumer.poll(1)
    time.sleep(0.5)
    producer = Producer({"bootstrap.servers": server.address, "linger.ms": 0})
    waits = []
    for _ in range(5):
        producer.produce(topic, b"x", partition=0)
        producer.flush(10)
        acknowledged = time.monotonic()
        message = consumer.poll(10)
        waits.append(time.monotonic() - acknowledged)
        problems.check(message is not None and not message.error(), "a record")
    problems.check(max(waits) < 2, f"waits: {waits}")
    consumer.close()


def history_survives_restart(server, problems):
    """What was acknowledged is there after SIGTERM and after kill -9, with the same offsets and times"""
    topic, rows = create(server), samples(200)
    produce_confluent(server, topic, rows, **{"acks": "all", "linger.ms": 1})
    problems.equal(server.stop(), 0, "exit code after SIGTERM")
    server.start()
    problems.equal(rows_of(read_confluent(server, topic, 200)), rows, "after SIGTERM")
    produce_confluent(server, topic, rows, **{"acks": "all", "compression.type": "zstd"})
    server.kill()
    server.start()
    problems.equal(rows_of(read_confluent(server, topic, 400)), rows + rows, "after kill -9")


def command_line(server, problems):
    """martlet topic: create, produce, consume, describe, alter, delete"""
    topic = fresh("cli")
    made = server.martlet("topic", "create", topic, "--partitions", 2)
    problems.equal(made.returncode, 0, made.stderr)
    problems.check(topic in server.martlet("topic", "list").stdout, "list shows it")
    sent = server.martlet("topic", "produce", topic, text="one\ntwo\nthree\n")
    problems.equal(sent.returncode, 0, sent.stderr)
    got = server.martlet("topic", "consume", topic, "--max", 3)
    problems.equal(sorted(got.stdout.split()), ["one", "three", "two"], got.stderr)
    problems.check(server.martlet("topic", "describe", topic, "-o", "json").stdout.lstrip()[:1] in "[{", "JSON")
    problems.equal(server.martlet("topic", "delete", topic).returncode, 0, "delete")
    problems.check(server.martlet("topic", "consume", topic, "--max", 1).returncode != 0, "consuming from what is gone")


CASES = [
    confluent_codecs, kafka_python_codecs, aiokafka_codecs, kcat_round_trip, kcat_metadata, offsets_for_times, broker_time,
    large_records, long_poll, history_survives_restart, command_line,
]
