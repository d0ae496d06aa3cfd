"""Processes that the group and transaction tests start, and kill.

    worker.py consume ADDRESS GROUP TOPIC FILE [NAME=VALUE…]     appends "partition offset value" per record, after its commit
    worker.py transform ADDRESS GROUP FROM TO ID                 copies exactly once, in transactions
"""

import os
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition


def consume(address, group, topic, path, *settings):
    configuration = dict(setting.split("=", 1) for setting in settings)
    consumer = Consumer({
        "bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
        "enable.auto.offset.store": False,
    } | configuration)
    owned = []

    def note(what):
        with open(path, "a") as file:
            file.write(what + "\n")

    def assigned(_, partitions):
        owned.extend(p.partition for p in partitions)
        note("assigned " + ",".join(map(str, sorted(owned))))

    def revoked(_, partitions):
        for each in partitions:
            if each.partition in owned:
                owned.remove(each.partition)
        note("assigned " + ",".join(map(str, sorted(owned))))

    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
    while True:
        messages = [m for m in consumer.consume(20, 0.1) if not m.error()]
        if not messages:
            continue
        # Whoever is killed may have committed what he has not noted yet.
        note("committing " + " ".join(m.value().decode() for m in messages))
        # Of these messages only: what an earlier commit did not take is not to be passed over by this one.
        ends = {}
        for m in messages:
            ends[m.topic(), m.partition()] = m.offset() + 1
        try:
            answers = consumer.commit(offsets=[TopicPartition(*place, end) for place, end in ends.items()], asynchronous=False)
            failures = {(each.topic, each.partition): each.error.name() for each in answers if each.error}
        except KafkaException as error:
            failures = dict.fromkeys(ends, error.args[0].name())
        failed = [m for m in messages if (m.topic(), m.partition()) in failures]
        with open(path, "a") as file:
            file.write("".join(f"{m.partition()} {m.offset()} {m.value().decode()}\n" for m in messages if m not in failed))
        if failed:
            # Not done: to be read again, by whoever has the partition then.
            note(f"uncommitted {len(failed)} {sorted(set(failures.values()))}")
            go_back(consumer, failed)


def go_back(consumer, messages):
    first = {}
    for message in messages:
        place = (message.topic(), message.partition())
        first[place] = min(message.offset(), first.get(place, message.offset()))
    for (topic, partition), offset in first.items():
        try:
            consumer.seek(TopicPartition(topic, partition, offset))
        except KafkaException as error:
            # Somebody else's by now.
            if error.args[0].code() not in (KafkaError._STATE, KafkaError._UNKNOWN_PARTITION):
                raise


def transform(address, group, source, target, identity):
    consumer = Consumer({
        "bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
        "isolation.level": "read_committed", "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
    })
    producer = Producer({
        "bootstrap.servers": address, "transactional.id": identity, "transaction.timeout.ms": 5000, "linger.ms": 1})
    producer.init_transactions(30)
    consumer.subscribe([source])
    while True:
        messages = [m for m in consumer.consume(10, 0.2) if not m.error()]
        if not messages:
            continue
        producer.begin_transaction()
        try:
            for message in messages:
                producer.produce(target, key=message.key(), value=message.value())
            positions = consumer.position(consumer.assignment())
            producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), 20)
            producer.commit_transaction(20)
        except KafkaException as error:
            if error.args[0].fatal():
                os._exit(3)
            producer.abort_transaction(20)
            # Back to what the group committed: the positions in memory are ahead of it.
            for each in consumer.committed(consumer.assignment(), 20):
                if each.offset < 0:
                    each.offset = 0
                try:
                    consumer.seek(each)
                except KafkaException as lost:
                    if lost.args[0].code() != KafkaError._STATE:
                        raise


if __name__ == "__main__":
    {"consume": consume, "transform": transform}[sys.argv[1]](*sys.argv[2:])
