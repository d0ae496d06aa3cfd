"""Consumer groups that grow, shrink, crash and rejoin, with both protocols: no record missed, none seen twice after its commit."""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time

import aiokafka
import kafka
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from harness import eventually, fresh
from messages import create

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")
PROTOCOLS = {
    "range": ["partition.assignment.strategy=range", "session.timeout.ms=6000", "heartbeat.interval.ms=300"],
    "cooperative": ["partition.assignment.strategy=cooperative-sticky", "session.timeout.ms=6000", "heartbeat.interval.ms=300"],
    "consumer": ["group.protocol=consumer"],
}
# The delay gives kafka-python the time to learn of a topic's partitions before it leads a group's first assignment.
SETTINGS = {"group.initial.rebalance.delay.ms": 500, "group.consumer.session.timeout.ms": 6000, "group.consumer.heartbeat.interval.ms": 300,
            "group.consumer.min.session.timeout.ms": 6000, "group.consumer.min.heartbeat.interval.ms": 300}


class Member:
    def __init__(self, server, group, topic, settings):
        descriptor, self.path = tempfile.mkstemp(prefix="martlet-member-")
        os.close(descriptor)
        self.process = subprocess.Popen(
            [sys.executable, WORKER, "consume", server.address, group, topic, self.path, *settings])

    def lines(self):
        with open(self.path) as file:
            return file.read().splitlines()

    def records(self):
        return [line.split() for line in self.lines() if line[:1].isdigit()]

    def unnoted(self):
        """The values of what it was committing when it was killed."""
        lines = self.lines()
        return [int(value) for value in lines[-1].split()[1:]] if lines and lines[-1].startswith("committing ") else []

    def partitions(self):
        owned = [line.split(" ", 1)[1] for line in self.lines() if line.startswith("assigned ")]
        return [int(each) for each in owned[-1].split(",") if each] if owned else []

    def kill(self):
        self.process.kill()
        self.process.wait()


def steady_producer(server, topic, count, partitions, seconds):
    """Sends count numbered records over some seconds, in the background."""

    def body():
        producer = Producer({"bootstrap.servers": server.address, "linger.ms": 1, "enable.idempotence": True})
        for at in range(count):
            producer.produce(topic, str(at).encode(), partition=at % partitions)
            producer.poll(0)
            time.sleep(seconds / count)
        producer.flush(30)

    thread = threading.Thread(target=body)
    thread.start()
    return thread


def churn(server, problems, protocol):
    """Members come, leave and are killed while records flow."""
    topic, group, count = create(server, partitions=6), fresh("group"), 2000
    settings = PROTOCOLS[protocol]
    sending = steady_producer(server, topic, count, 6, 14)
    members = [Member(server, group, topic, settings)]
    everyone, killed = list(members), []

    def kill_first():
        killed.append(members.pop(0))
        killed[-1].kill()

    def add():
        members.append(Member(server, group, topic, settings))
        everyone.append(members[-1])

    try:
        time.sleep(2)
        add()
        add()
        time.sleep(3)
        kill_first()
        time.sleep(2)
        add()
        time.sleep(3)
        kill_first()
        sending.join()

        def all_seen():
            return {int(value) for member in everyone for _, _, value in member.records()} >= wanted

        wanted = set(range(count)) - {value for member in killed for value in member.unnoted()}
        eventually(all_seen, 40, 0.3)
        seen = [int(value) for member in everyone for _, _, value in member.records()]
        missing = sorted(wanted - set(seen))
        problems.equal(missing[:20], [], f"{protocol}: {len(missing)} records that nobody saw")
        # A member killed between its commit and its note may have kept up to 20 to itself; nothing else may.
        twice = sorted({each for each in seen if seen.count(each) > 1}) if len(seen) != len(set(seen)) else []
        problems.equal(twice[:20], [], f"{protocol}: records seen again after their commit")
        spread = eventually(lambda: sorted(sum((m.partitions() for m in members), [])) == list(range(6)), 15)
        problems.check(spread, f"{protocol}: partitions over the survivors: {[m.partitions() for m in members]}")
    finally:
        for member in everyone:
            member.kill()
            os.unlink(member.path)


def range_churn(server, problems):
    """The classic protocol, eager: a group grows, shrinks and crashes without a record missed or seen twice after its commit"""
    churn(server, problems, "range")


def cooperative_churn(server, problems):
    """The classic protocol, cooperative: the same"""
    churn(server, problems, "cooperative")


def consumer_protocol_churn(server, problems):
    """The consumer protocol (KIP-848): the same"""
    churn(server, problems, "consumer")


def static_member_returns(server, problems):
    """A static member that restarts within its session gets its partitions back without a rebalance of the others"""
    topic, group = create(server, partitions=4), fresh("group")
    settings = PROTOCOLS["range"][:1] + ["session.timeout.ms=10000", "heartbeat.interval.ms=300"]
    first = Member(server, group, topic, settings + ["group.instance.id=one"])
    second = Member(server, group, topic, settings + ["group.instance.id=two"])
    try:
        split = eventually(lambda: sorted(first.partitions() + second.partitions()) == [0, 1, 2, 3] and second.partitions(), 20)
        problems.check(split, f"an assignment: {first.partitions()} {second.partitions()}")
        changes = len([line for line in second.lines() if line.startswith("assigned")])
        before = first.partitions()
        first.kill()
        first = Member(server, group, topic, settings + ["group.instance.id=one"])
        problems.check(eventually(lambda: first.partitions() == before, 15), f"{first.partitions()} is not {before}")
        problems.equal(len([line for line in second.lines() if line.startswith("assigned")]), changes, "rebalances of the other")
    finally:
        first.kill()
        second.kill()


def commits_and_metadata(server, problems):
    """Committed offsets come back with their metadata, for a group of no members, over restarts of the server"""
    topic, group = create(server, partitions=3), fresh("group")
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": group})
    nothing = consumer.committed([TopicPartition(topic, 0)], 10)[0]
    problems.check(nothing.offset < 0 and nothing.error is None, f"an unknown group has no offset and no error: {nothing}")
    consumer.commit(offsets=[TopicPartition(topic, 1, 7, metadata="half-way", leader_epoch=0)], asynchronous=False)
    consumer.close()
    server.kill()
    server.start()
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": group})
    found = consumer.committed([TopicPartition(topic, at) for at in range(3)], 10)
    problems.equal([each.offset for each in found], [-1001, 7, -1001], "offsets")
    problems.equal(found[1].metadata, "half-way", "metadata")
    consumer.close()


def kafka_python_group(server, problems):
    """kafka-python: two members share a topic; one closes, the other takes over"""
    topic, group = create(server, partitions=4), fresh("group")
    options = dict(bootstrap_servers=server.address, group_id=group, auto_offset_reset="earliest", heartbeat_interval_ms=300,
                   session_timeout_ms=6000)
    members = [kafka.KafkaConsumer(topic, **options) for _ in range(2)]

    def shared(expected):
        for member in members:
            member.poll(100)
        return sorted(len(member.assignment()) for member in members) == expected

    problems.check(eventually(lambda: shared([2, 2]), 30), "two each")
    members.pop().close()
    problems.check(eventually(lambda: shared([4]), 30), "all to the one left")
    members.pop().close()


def aiokafka_group(server, problems):
    """aiokafka: a group reads everything once and commits"""
    topic, group = create(server, partitions=3), fresh("group")

    async def body():
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=server.address)
        await producer.start()
        for at in range(300):
            await producer.send(topic, str(at).encode(), partition=at % 3)
        await producer.stop()
        consumers = [
            aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=server.address, group_id=group, auto_offset_reset="earliest",
                                      enable_auto_commit=False, heartbeat_interval_ms=300, session_timeout_ms=6000)
            for _ in range(2)]
        for consumer in consumers:
            await consumer.start()
        seen, deadline = [], time.monotonic() + 30
        while len(set(seen)) < 300 and time.monotonic() < deadline:
            for consumer in consumers:
                for messages in (await consumer.getmany(timeout_ms=100)).values():
                    seen += [int(m.value) for m in messages]
                if consumer.assignment():
                    try:
                        await consumer.commit()
                    except aiokafka.errors.CommitFailedError:
                        pass
        for consumer in consumers:
            await consumer.stop()
        problems.equal(sorted(set(seen)), list(range(300)), "records")

    asyncio.run(body())


def describe_and_delete(server, problems):
    """Groups are listed, described, their offsets altered and deleted; a group in use is not deleted"""
    topic, group = create(server, partitions=2), fresh("group")
    admin = AdminClient({"bootstrap.servers": server.address})
    member = Member(server, group, topic, PROTOCOLS["range"])
    try:
        problems.check(eventually(lambda: len(member.partitions()) == 2, 20), "an assignment")
        listed = {each.group_id: each for each in admin.list_consumer_groups().result(10).valid}
        problems.check(group in listed, "list")
        description = admin.describe_consumer_groups([group])[group].result(10)
        problems.equal(description.state.name, "STABLE", "state")
        problems.equal(len(description.members), 1, "members")
        problems.equal(len(description.members[0].assignment.topic_partitions), 2, "the member's partitions")
        try:
            admin.delete_consumer_groups([group])[group].result(10)
            problems.append("a group with a member was deleted")
        except KafkaException as error:
            problems.equal(error.args[0].name(), "NON_EMPTY_GROUP", "deleting a group in use")
    finally:
        member.kill()
    # Killed without leaving: its session has to end first.
    problems.check(
        eventually(lambda: admin.describe_consumer_groups([group])[group].result(10).state.name == "EMPTY", 20, 0.5), "empty")
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 5)])
    admin.alter_consumer_group_offsets([wanted])[group].result(10)
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(10)
    problems.check(any(p.partition == 0 and p.offset == 5 for p in offsets.topic_partitions), "altered offset")
    admin.delete_consumer_groups([group])[group].result(10)
    problems.check(group not in {g.group_id for g in admin.list_consumer_groups().result(10).valid}, "deleted")


CASES = [
    range_churn, cooperative_churn, consumer_protocol_churn, static_member_returns, commits_and_metadata, kafka_python_group,
    aiokafka_group, describe_and_delete,
]
