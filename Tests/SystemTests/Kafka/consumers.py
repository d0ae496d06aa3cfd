"""Consumers in unusual situations: patterns, seeks and pauses, topics that go and come back, offsets that are not there."""

import asyncio
import re
import time

import aiokafka
import confluent_kafka
import kafka
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from groups import PROTOCOLS, SETTINGS  # noqa: F401 (the server's settings are those of the groups' cases)
from harness import eventually, fresh
from messages import create, read_confluent


def consumer(server, **configuration):
    settings = {name.replace("_", "."): value for name, value in configuration.items()}
    return Consumer({"bootstrap.servers": server.address, "group.id": fresh("group"), "auto.offset.reset": "earliest",
                     "topic.metadata.refresh.interval.ms": 500} | settings)


def produce(server, topic, values, partition=0):
    producer = Producer({"bootstrap.servers": server.address, "linger.ms": 1})
    for value in values:
        producer.produce(topic, value, partition=partition)
    return producer.flush(20)


def recreate(server, topic, partitions=1):
    """Deletes the topic and makes it anew."""
    admin = AdminClient({"bootstrap.servers": server.address})
    admin.delete_topics([topic])[topic].result(10)
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(10)


def values(client, count, seconds=20):
    """What the next `count` polls with a record give, and the errors between them."""
    found, errors, deadline = [], [], time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        message = client.poll(0.1)
        if message is not None and message.error():
            errors.append(message.error().name())
        elif message is not None:
            found.append(message.value())
    return found, errors


def options(protocol):
    return dict(each.split("=", 1) for each in PROTOCOLS[protocol])


def pattern(server, problems):
    """A subscription to a pattern finds the topics that match, those made later too, in every protocol, and no others"""
    for protocol in PROTOCOLS:
        prefix = fresh("pattern")
        admin = AdminClient({"bootstrap.servers": server.address})

        def make(name):
            admin.create_topics([NewTopic(name, 1, 1)])[name].result(10)
            produce(server, name, [name.encode()])

        make(prefix + "-one")
        make("no-" + prefix + "-one")
        client = consumer(server, **options(protocol))
        client.subscribe([f"^{prefix}-.*"])
        problems.equal(values(client, 1), ([f"{prefix}-one".encode()], []), f"{protocol}: there at the start")
        make(prefix + "-two")
        problems.equal(values(client, 1), ([f"{prefix}-two".encode()], []), f"{protocol}: made later")
        problems.equal(values(client, 1, 1), ([], []), f"{protocol}: nothing else")
        client.close()
    found = kafka.KafkaConsumer(
        bootstrap_servers=server.address, group_id=fresh(), auto_offset_reset="earliest", metadata_max_age_ms=500)
    found.subscribe(pattern=f"^{re.escape(prefix)}-.*")
    seen, deadline = set(), time.monotonic() + 20
    while len(seen) < 2 and time.monotonic() < deadline:
        seen |= {m.topic for each in found.poll(200).values() for m in each}
    problems.equal(seen, {prefix + "-one", prefix + "-two"}, "kafka-python")
    found.close()


def seek_and_pause(server, problems):
    """Seeks forwards, back and by time land on the record asked for; a paused partition gives nothing until it is resumed"""
    topic = create(server, partitions=2)
    for partition in range(2):
        produce(server, topic, [f"{partition}-{at}".encode() for at in range(50)], partition)
    client = consumer(server)
    client.assign([TopicPartition(topic, 0, 10)])
    problems.equal(values(client, 2)[0], [b"0-10", b"0-11"], "from an offset")
    for offset in (40, 3, 49, 0):
        client.seek(TopicPartition(topic, 0, offset))
        problems.equal(values(client, 1)[0], [b"0-%d" % offset], f"seek to {offset}")
    client.assign([TopicPartition(topic, partition, 0) for partition in range(2)])
    client.pause([TopicPartition(topic, 1)])
    problems.equal(values(client, 50)[0], [b"0-%d" % at for at in range(50)], "one is paused")
    problems.equal(values(client, 1, 1)[0], [], "and gives nothing")
    client.resume([TopicPartition(topic, 1)])
    problems.equal(values(client, 50)[0], [b"1-%d" % at for at in range(50)], "resumed")
    # librdkafka's OFFSET_TAIL(3).
    client.assign([TopicPartition(topic, 0, -2000 - 3)])
    problems.equal(values(client, 3)[0], [b"0-47", b"0-48", b"0-49"], "the last three")
    client.close()


def incremental_callbacks(server, problems):
    """A cooperative rebalance takes from a member only what moves: the others' partitions are never revoked"""
    for protocol in ("cooperative", "consumer"):
        topic, group, told = create(server, partitions=6), fresh("group"), {0: [], 1: []}

        def note(who, what):
            return lambda _, partitions: told[who].append((what, sorted(each.partition for each in partitions)))

        def poll(*clients):
            for client in clients:
                client.poll(0.1)

        def member(who):
            client = consumer(server, group_id=group, **options(protocol))
            client.subscribe([topic], on_assign=note(who, "assigned"), on_revoke=note(who, "revoked"), on_lost=note(who, "lost"))
            return client

        def owned(client):
            return sorted(each.partition for each in client.assignment())

        first = member(0)
        problems.check(eventually(lambda: poll(first) or owned(first) == list(range(6)), 20), f"{protocol}: everything to the first")
        second = member(1)
        problems.check(
            eventually(lambda: poll(first, second) or [len(owned(first)), len(owned(second))] == [3, 3], 30), f"{protocol}: three each")
        taken = [each for what, partitions in told[0] if what != "assigned" for each in partitions]
        problems.equal(sorted(taken), owned(second), f"{protocol}: revoked is what moved: {told}")
        problems.equal([what for what, partitions in told[1] if what != "assigned" and partitions], [], f"{protocol}: the second lost")
        second.close()
        problems.check(eventually(lambda: poll(first) or owned(first) == list(range(6)), 30), f"{protocol}: and back")
        problems.check("lost" not in [what for what, _ in told[0]], f"{protocol}: nothing was lost: {told[0]}")
        first.close()


def offsets_of_deleted_topics(server, problems):
    """Offsets go with their topic: a topic of the same name made later begins without any"""
    topic, other, group = create(server), create(server), fresh("group")
    produce(server, topic, [b"old"] * 5)
    client = consumer(server, group_id=group)
    client.commit(offsets=[TopicPartition(topic, 0, 5), TopicPartition(other, 0, 7)], asynchronous=False)
    recreate(server, topic)
    produce(server, topic, [b"new"])
    found = client.committed([TopicPartition(topic, 0), TopicPartition(other, 0)], 10)
    problems.equal([(each.offset, each.error) for each in found], [(-1001, None), (7, None)], "committed")
    admin = AdminClient({"bootstrap.servers": server.address})
    listed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(10).topic_partitions
    problems.equal([(each.topic, each.offset) for each in listed], [(other, 7)], "all of the group")
    client.close()
    client = consumer(server, group_id=group)
    client.subscribe([topic])
    problems.equal(values(client, 1)[0], [b"new"], "a member of the group begins at the beginning")
    client.close()
    try:
        client = consumer(server, group_id=group)
        client.commit(offsets=[TopicPartition(fresh(), 0, 1)], asynchronous=False)
        problems.append("an offset was committed for a topic that is not there")
    except KafkaException as error:
        problems.equal(error.args[0].name(), "UNKNOWN_TOPIC_OR_PART", "an offset for a topic that is not there")
    client.close()


def reading_over_recreation(server, problems):
    """Consumers and a producer go on when their topic is deleted and made anew, in every protocol"""
    for protocol in PROTOCOLS:
        topic = create(server, partitions=2)
        produce(server, topic, [b"old-%d" % at for at in range(20)])
        client = consumer(server, **options(protocol))
        client.subscribe([topic])
        problems.equal(len(values(client, 20)[0]), 20, f"{protocol}: before")
        producer = Producer({"bootstrap.servers": server.address, "enable.idempotence": True, "topic.metadata.refresh.interval.ms": 500})
        producer.produce(topic, b"old-20", partition=0)
        problems.equal(producer.flush(10), 0, f"{protocol}: an idempotent producer's")
        problems.equal(values(client, 1)[0], [b"old-20"], f"{protocol}: and read")
        recreate(server, topic, 2)
        errors = []
        for at in range(30):
            producer.produce(topic, b"new-%d" % at, partition=0, on_delivery=lambda error, _: error and errors.append(error.name()))
        problems.equal(producer.flush(20), 0, f"{protocol}: to the new topic")
        problems.equal(errors, [], f"{protocol}: to the new topic")
        # It comes with a position of the old topic: whether it begins anew or goes on from there is the client's business.
        problems.equal(eventually(lambda: values(client, 1, 1)[0] == [b"new-29"], 20, 0), True, f"{protocol}: to the last record")
        client.close()


def no_reset(server, problems):
    """auto.offset.reset=error: a position that is not there is the application's business, told as such"""
    topic = create(server)
    produce(server, topic, [b"x"] * 10)
    admin = AdminClient({"bootstrap.servers": server.address})
    admin.delete_records([TopicPartition(topic, 0, 4)])[TopicPartition(topic, 0)].result(10)
    for offset in (0, 3, 11, 5_000_000_000, confluent_kafka.OFFSET_STORED):
        client = consumer(server, auto_offset_reset="error")
        client.assign([TopicPartition(topic, 0, offset)])
        message = eventually(lambda: client.poll(0.2), 10)
        code = message and message.error() and message.error().code()
        problems.equal(code, KafkaError._AUTO_OFFSET_RESET, f"offset {offset}")
        client.close()
    client = consumer(server, auto_offset_reset="error")
    client.assign([TopicPartition(topic, 0, 10)])
    problems.equal(values(client, 1, 1), ([], []), "the end is a position")
    produce(server, topic, [b"y"])
    problems.equal(values(client, 1), ([b"y"], []), "and what comes then is read")
    client.close()

    async def body():
        reader = aiokafka.AIOKafkaConsumer(bootstrap_servers=server.address, auto_offset_reset="none", enable_auto_commit=False)
        await reader.start()
        partition = aiokafka.TopicPartition(topic, 0)
        reader.assign([partition])
        reader.seek(partition, 1)
        try:
            await asyncio.wait_for(reader.getone(), 10)
            problems.append("aiokafka: a record before the start")
        except aiokafka.errors.OffsetOutOfRangeError:
            pass
        await reader.stop()

    asyncio.run(body())


def headers(server, problems):
    """Ten thousand headers on one record, and one header of 900 kB, come back as they went"""
    topic = create(server)
    many = [(f"h{at}", b"%d" % at) for at in range(10_000)]
    one = [("large", bytes(range(256)) * 3_500)]
    producer = Producer({"bootstrap.servers": server.address})
    for each in (many, one):
        producer.produce(topic, b"v", headers=each, partition=0)
    problems.equal(producer.flush(20), 0, "delivery")
    found = [m.headers() for m in read_confluent(server, topic, 2)]
    problems.check(found == [many, one], "headers")


def nearest_replica(server, problems):
    """A consumer with a rack of its own (KIP-392) reads from the only broker there is"""
    topic = create(server)
    produce(server, topic, [b"x"])
    for protocol in PROTOCOLS:
        client = consumer(server, client_rack="far-away", **options(protocol))
        client.subscribe([topic])
        problems.equal(values(client, 1), ([b"x"], []), protocol)
        client.close()


def thousand_partitions(server, problems):
    """A topic of 1,000 partitions: its metadata, a record to each, all of them read by one group and counted"""
    topic, group = create(server, partitions=1000), fresh("group")
    admin = AdminClient({"bootstrap.servers": server.address})
    problems.equal(sorted(admin.list_topics(topic, timeout=10).topics[topic].partitions), list(range(1000)), "metadata")
    producer = Producer({"bootstrap.servers": server.address, "enable.idempotence": True})
    for at in range(1000):
        producer.produce(topic, b"%d" % at, partition=at)
    problems.equal(producer.flush(30), 0, "delivery")
    client = consumer(server, group_id=group, enable_auto_commit=False)
    client.subscribe([topic])
    found = values(client, 1000, 40)[0]
    problems.equal(len({int(each) for each in found}), 1000, "read")
    client.commit(asynchronous=False)
    committed = client.committed([TopicPartition(topic, at) for at in range(1000)], 10)
    problems.equal({each.offset for each in committed}, {1}, "committed")
    client.close()


def outsider(server, problems):
    """Offsets of a group with members are its members' to commit: others are refused, and change nothing"""
    topic = create(server)
    produce(server, topic, [b"x"] * 3)
    for protocol, refusals in (("range", {"UNKNOWN_MEMBER_ID"}), ("consumer", {"UNKNOWN_MEMBER_ID", "STALE_MEMBER_EPOCH"})):
        group = fresh("group")
        client = consumer(server, group_id=group, enable_auto_commit=False, **options(protocol))
        client.subscribe([topic])
        problems.equal(len(values(client, 3)[0]), 3, f"{protocol}: read")
        client.commit(asynchronous=False)
        other = consumer(server, group_id=group)
        try:
            other.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
            problems.append(f"{protocol}: an outsider has committed")
        except KafkaException as error:
            problems.check(error.args[0].name() in refusals, f"{protocol}: {error}")
        problems.equal(other.committed([TopicPartition(topic, 0)], 10)[0].offset, 3, f"{protocol}: the members' offset")
        other.close()
        client.close()


CASES = [
    pattern, seek_and_pause, incremental_callbacks, offsets_of_deleted_topics, reading_over_recreation, no_reset, headers,
    nearest_replica, thousand_partitions, outsider,
]
