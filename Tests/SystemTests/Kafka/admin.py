"""Administration by confluent-kafka's and kafka-python's admin clients."""

import kafka.admin
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewPartitions, NewTopic, OffsetSpec, ResourceType,
)

from harness import eventually, fresh
from messages import create, read_confluent


def client(server):
    return AdminClient({"bootstrap.servers": server.address})


def refusal(future):
    """The error's name, or None if it went well."""
    try:
        future.result(15)
    except KafkaException as error:
        return error.args[0].name()
    return None


def topics(server, problems):
    """Topics: created with configuration, listed, described, refused with the right error, deleted; ids differ"""
    admin, name = client(server), fresh()
    new = NewTopic(name, 3, 1, config={"retention.ms": "3600000"})
    problems.equal(refusal(admin.create_topics([new], validate_only=True)[name]), None, "validate only")
    problems.check(name not in admin.list_topics(timeout=10).topics, "validated, not created")
    problems.equal(refusal(admin.create_topics([new])[name]), None, "create")
    problems.equal(refusal(admin.create_topics([new])[name]), "TOPIC_ALREADY_EXISTS", "twice")
    described = admin.list_topics(name, timeout=10).topics[name]
    problems.equal(sorted(described.partitions), [0, 1, 2], "partitions")
    for bad, error in (
        (NewTopic("a/b", 1, 1), "TOPIC_EXCEPTION"), (NewTopic("..", 1, 1), "TOPIC_EXCEPTION"),
        (NewTopic("x" * 250, 1, 1), "TOPIC_EXCEPTION"), (NewTopic(fresh(), 0, 1), "INVALID_PARTITIONS"),
        (NewTopic(fresh(), 1, 3), "INVALID_REPLICATION_FACTOR"), (NewTopic(fresh(), 1, 1, config={"no.such": "1"}), "INVALID_CONFIG"),
        (NewTopic(fresh(), 1, 1, config={"retention.ms": "soon"}), "INVALID_CONFIG"),
    ):
        problems.equal(refusal(admin.create_topics([bad])[bad.topic]), error, f"create {bad.topic[:20]} {bad.config}")
    problems.equal(refusal(admin.delete_topics([name])[name]), None, "delete")
    problems.equal(refusal(admin.delete_topics([name])[name]), "UNKNOWN_TOPIC_OR_PART", "delete again")
    problems.equal(refusal(admin.create_topics([NewTopic(name, 1, 1)])[name]), None, "create again")
    problems.equal(read_confluent(server, name, 1, seconds=1), [], "the new one is empty")


def partitions(server, problems):
    """Partitions can be added, not taken away, and take records at once"""
    admin, name = client(server), create(server)
    problems.equal(refusal(admin.create_partitions([NewPartitions(name, 4)])[name]), None, "grow")
    problems.equal(refusal(admin.create_partitions([NewPartitions(name, 2)])[name]), "INVALID_PARTITIONS", "shrink")
    producer = Producer({"bootstrap.servers": server.address})
    producer.produce(name, b"x", partition=3)
    problems.equal(producer.flush(10), 0, "a record to the new one")
    problems.equal(len(read_confluent(server, name, 1, partition=3)), 1, "and back")


def configurations(server, problems):
    """Configurations are described with every default, altered and take effect, at topic and broker"""
    admin, name = client(server), create(server, cleanup_policy="compact")
    resource = ConfigResource(ResourceType.TOPIC, name)
    entries = admin.describe_configs([resource])[resource].result(10)
    for known in ("cleanup.policy", "retention.ms", "retention.bytes", "segment.bytes", "max.message.bytes", "min.insync.replicas",
                  "compression.type", "message.timestamp.type", "delete.retention.ms", "min.compaction.lag.ms"):
        problems.check(known in entries, f"{known} is described")
    problems.equal(entries["cleanup.policy"].value, "compact", "cleanup.policy")
    problems.equal(entries["cleanup.policy"].source, ConfigSource.DYNAMIC_TOPIC_CONFIG.value, "its source")
    problems.equal(entries["retention.ms"].is_default, True, "retention.ms is a default")
    change = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[
        ConfigEntry("max.message.bytes", "1000", incremental_operation=AlterConfigOpType.SET),
        ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.APPEND)])
    problems.equal(refusal(admin.incremental_alter_configs([change])[change]), None, "alter")
    entries = admin.describe_configs([resource])[resource].result(10)
    problems.equal(entries["max.message.bytes"].value, "1000", "altered")
    problems.equal(entries["cleanup.policy"].value, "compact,delete", "appended")
    errors = []
    producer = Producer({"bootstrap.servers": server.address})
    producer.produce(name, bytes(2000), key=b"k", on_delivery=lambda error, _: errors.append(error and error.name()))
    producer.flush(10)
    problems.equal(errors, ["MSG_SIZE_TOO_LARGE"], "in effect at once")
    broker = ConfigResource(ResourceType.BROKER, "1")
    problems.check(len(admin.describe_configs([broker])[broker].result(10)) > 10, "the broker's")
    nobody = ConfigResource(ResourceType.TOPIC, fresh())
    problems.equal(refusal(admin.describe_configs([nobody])[nobody]), "UNKNOWN_TOPIC_OR_PART", "of what is not there")


def cluster_and_offsets(server, problems):
    """The cluster, offsets by specification, and records deleted before an offset"""
    admin, name = client(server), create(server)
    cluster = admin.describe_cluster().result(10)
    problems.equal([node.id for node in cluster.nodes], [cluster.controller.id], "one node, the controller")
    problems.check(bool(cluster.cluster_id), "a cluster id")
    producer = Producer({"bootstrap.servers": server.address})
    for at in range(10):
        producer.produce(name, str(at).encode(), partition=0, timestamp=1000 + at * (3 if at < 9 else 1))
    producer.flush(10)
    partition = TopicPartition(name, 0)
    for specification, expected in ((OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 10), (OffsetSpec.max_timestamp(), 8),
                                    (OffsetSpec.for_timestamp(1004), 2)):
        found = admin.list_offsets({partition: specification})[partition].result(10).offset
        problems.equal(found, expected, repr(specification))
    low = admin.delete_records([TopicPartition(name, 0, 4)])[partition].result(10).low_watermark
    problems.equal(low, 4, "the low watermark")
    problems.equal([m.offset() for m in read_confluent(server, name, 9, offset=4, seconds=3)], [4, 5, 6, 7, 8, 9], "what is left")
    problems.equal(admin.list_offsets({partition: OffsetSpec.earliest()})[partition].result(10).offset, 4, "earliest")
    beyond = admin.delete_records([TopicPartition(name, 0, 99)])
    problems.equal(refusal(beyond[partition]), "OFFSET_OUT_OF_RANGE", "beyond the end")
    reader = Consumer({"bootstrap.servers": server.address, "group.id": fresh(), "auto.offset.reset": "earliest"})
    reader.assign([TopicPartition(name, 0, 0)])
    message = reader.poll(10)
    problems.equal(message and message.offset(), 4, "a reader before the start is set to it")
    reader.close()


def kafka_python_admin(server, problems):
    """kafka-python's admin client: topics, configurations, groups, log directories, access rules (none)"""
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=server.address)
    name = fresh()
    admin.create_topics([kafka.admin.NewTopic(name, 2, 1)])
    problems.check(eventually(lambda: name in admin.list_topics(), 10), "listed")
    described = repr(admin.describe_topics([name]))
    problems.check(name in described, described[:200])
    problems.check("retention.ms" in repr(admin.describe_configs([kafka.admin.ConfigResource("TOPIC", name)], config_filter="all")), "configuration")
    directories = repr(admin.describe_log_dirs())
    problems.check(name in directories, directories[:300])
    admin.delete_topics([name])
    problems.check(eventually(lambda: name not in admin.list_topics(), 10), "deleted")
    admin.close()


CASES = [topics, partitions, configurations, cluster_and_offsets, kafka_python_admin]
