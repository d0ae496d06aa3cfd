"""What a broken or hostile client sends: refused with the protocol's error or a closed connection, and nobody else notices."""

import os
import random
import socket
import struct
import time
import zlib

from confluent_kafka import Producer

from harness import fresh
from messages import create, kcat

SETTINGS = {}


def frame(key, version, body, correlation=7, flexible=False):
    header = struct.pack(">hhih", key, version, correlation, 4) + b"evil" + (b"\0" if flexible else b"")
    return struct.pack(">i", len(header) + len(body)) + header + body


def exchange(server, data, wait=2.0):
    """What comes back until the server closes or says nothing more: (bytes, was closed)."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), 5) as peer:
        try:
            peer.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            return answer, True
        peer.settimeout(wait)
        try:
            while True:
                piece = peer.recv(65536)
                if not piece:
                    return answer, True
                answer += piece
        except TimeoutError:
            return answer, False
        except ConnectionResetError:
            return answer, True


def memory(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def still_well(server, problems, what):
    topic = fresh("well")
    problems.equal(kcat(server, "-P", "-t", topic, "-X", "acks=all", data=b"x\n").returncode, 0, f"{what}: a produce afterwards")


def lengths(server, problems):
    """Frames of negative, huge and lying lengths close the connection before any memory is taken"""
    before = memory(server)
    for length in (0x7FFFFFFF, -1, -0x80000000, (100 << 20) + 1, 0, 3):
        answer, closed = exchange(server, struct.pack(">i", length) + b"\0" * 64)
        problems.check(closed and not answer, f"length {length}: closed {closed}, {answer[:40]}")
    problems.check(memory(server) - before < 64 << 20, "memory")
    still_well(server, problems, "lengths")


def unknown_requests(server, problems):
    """Unknown APIs and versions close the connection; ApiVersions of an unknown version is answered with the ranges"""
    for key, version in ((999, 0), (-1, 0), (0, 99), (1, 3), (3, 127)):
        answer, closed = exchange(server, frame(key, version, b""))
        problems.check(closed and not answer, f"API {key} version {version}: closed {closed}, {answer[:40]}")
    answer, _ = exchange(server, frame(18, 99, b"", flexible=True), 0.5)
    problems.check(len(answer) > 40 and struct.unpack(">iih", answer[:10])[1:] == (7, 35), f"ApiVersions 99: {answer[:20]}")


def bombs(server, problems):
    """Arrays and strings that claim to be larger than their frame are refused before they are allocated"""
    before = memory(server)
    for body in (
        struct.pack(">i", 0x7FFFFFFF), struct.pack(">ih", 1, 0x7FFF), struct.pack(">i", -2), b"\x7f" * 32,
    ):
        answer, closed = exchange(server, frame(3, 1, body))
        problems.check(closed and not answer, f"Metadata with {body[:12]}: closed {closed}, {answer[:40]}")
    for body in (b"\xff\xff\xff\xff\x0f" * 3, b"\x80\x80\x80\x80\x80\x80", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"):
        answer, closed = exchange(server, frame(3, 12, body, flexible=True))
        problems.check(closed and not answer, f"Metadata 12 with {body[:12]}: closed {closed}, {answer[:40]}")
    problems.check(memory(server) - before < 64 << 20, "memory")
    still_well(server, problems, "bombs")


def garbage(server, problems):
    """A thousand frames of random bytes, and a valid one cut at every byte"""
    chance = random.Random(3)
    for _ in range(300):
        key = chance.choice([0, 1, 2, 3, 8, 9, 10, 11, 12, 14, 18, 19, 20, 22, 24, 26, 28, 32, 60, 68])
        body = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
        exchange(server, frame(key, chance.randrange(10), body, flexible=chance.random() < 0.5), 0.02)
    whole = frame(3, 1, struct.pack(">ih", 1, 5) + b"topic")
    for cut in range(len(whole)):
        exchange(server, whole[:cut], 0.005)
    still_well(server, problems, "garbage")


def record_batch(records, count, attributes=0, crc=None, magic=2):
    body = struct.pack(">hiqqqhii", attributes, count - 1, 0, 0, -1, -1, -1, count) + records
    crc = crc32c(body) if crc is None else crc
    return struct.pack(">qiibI", 0, 9 + len(body), 0, magic, crc) + body


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def produce(server, topic, batch):
    """The error code of a Produce 3 with this batch; None if the connection was closed."""
    body = struct.pack(">hhi", -1, 1, 5000) + struct.pack(">ih", 1, len(topic)) + topic.encode()
    body += struct.pack(">iii", 1, 0, len(batch)) + batch
    answer, _ = exchange(server, frame(0, 3, body), 0.5)
    at = 4 + 4 + 4 + 2 + len(topic) + 4 + 4
    return struct.unpack(">h", answer[at:at + 2])[0] if len(answer) >= at + 2 else None


def bad_batches(server, problems):
    """Batches with a wrong CRC, count, magic, deltas or lengths get the protocol's error, and leave nothing behind"""
    topic = create(server)
    good = b"\x12\0\0\0\x01\x06abc\0"
    problems.equal(produce(server, topic, record_batch(good, 1)), 0, "a good one")
    problems.equal(produce(server, topic, record_batch(good, 1, crc=1)), 2, "CRC: CORRUPT_MESSAGE")
    for batch, what in (
        (record_batch(good, 2), "count"), (record_batch(b"\x12\0\0\x02\x01\x06abc\0", 1), "offset delta"),
        (record_batch(b"\x7e\0\0\0\x01\x06abc\0", 1), "record length"), (record_batch(good + b"\0", 1), "bytes left over"),
        (record_batch(good, 1, attributes=0x20), "control batch"), (record_batch(good, 0x7FFFFFFF), "count of 2³¹"),
        (record_batch(good, 1, attributes=7), "unknown codec"),
    ):
        code = produce(server, topic, batch)
        problems.check(code not in (0, None), f"{what}: {code}")
    problems.check(produce(server, topic, record_batch(good, 1, magic=1)) not in (0, None), "magic 1")
    problems.check(produce(server, topic, record_batch(good, 1)[:30]) not in (0, None), "half a header")
    listed = kcat(server, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q")
    problems.equal(listed.stdout, b"abc\n", "what is in the topic")


def decompression_bombs(server, problems):
    """A gigabyte of zeros in a few kilobytes is refused in every codec, without the memory"""
    import cramjam
    import zstandard

    topic = create(server)
    zeros = bytes(1 << 26)
    before = memory(server)
    squeezed = zlib.compressobj(9, wbits=31)
    gzip = b"".join(squeezed.compress(zeros) for _ in range(16)) + squeezed.flush()
    bombs = {1: gzip, 2: bytes(cramjam.snappy.compress_raw(zeros)),
             3: bytes(cramjam.lz4.compress(zeros)), 4: zstandard.compress(zeros * 8, 19)}
    for codec, data in bombs.items():
        code = produce(server, topic, record_batch(data, 1, attributes=codec))
        problems.check(code not in (0, None), f"codec {codec}: {code}")
    problems.check(memory(server) - before < 200 << 20, f"memory: {(memory(server) - before) >> 20} MiB")
    still_well(server, problems, "decompression bombs")


def names(server, problems):
    """Topic names that would be paths or are too long"""
    for name in ("..", ".", "a/b", "a\0b", "x" * 250, "", "ü"):
        raw = name.encode()
        body = struct.pack(">ih", 1, len(raw)) + raw + b"\x01"
        answer, closed = exchange(server, frame(3, 4, body), 0.3)
        code = struct.pack(">h", 17)
        problems.check(closed or code in answer, f"{name[:10]!r}: {answer[-40:]}")
    problems.equal(sorted(n for n in os.listdir(server.data) if "x" * 20 in n), [], "nothing of it on disk")


def burst(server, problems):
    """Thousands of connections at once, then gone; those who were there go on"""
    topic = create(server)
    producer = Producer({"bootstrap.servers": server.address, "linger.ms": 1})
    errors = []
    peers = []
    for at in range(3000):
        peers.append(socket.create_connection(("127.0.0.1", server.port), 10))
        if at % 100 == 0:
            producer.produce(topic, b"x", on_delivery=lambda error, _: error and errors.append(error))
            producer.poll(0)
    problems.equal(producer.flush(20), 0, "left to send")
    for peer in peers:
        peer.close()
    problems.equal(errors, [], "deliveries in the burst")
    still_well(server, problems, "burst")


def slow_frames(server, problems):
    """A client that sends a byte at a time is served; one that never reads its answers costs bounded memory"""
    whole = frame(18, 0, b"")
    with socket.create_connection(("127.0.0.1", server.port), 5) as peer:
        for at in range(len(whole)):
            peer.sendall(whole[at:at + 1])
            time.sleep(0.01)
        problems.check(len(peer.recv(4096)) > 40, "an answer")
    before = memory(server)
    with socket.create_connection(("127.0.0.1", server.port), 5) as peer:
        peer.settimeout(0.5)
        sent, request = 0, frame(3, 1, struct.pack(">i", -1)) * 100
        try:
            while sent < 64 << 20:
                sent += peer.send(request)
        except (TimeoutError, ConnectionError):
            pass
        problems.check(memory(server) - before < 150 << 20, f"memory: {(memory(server) - before) >> 20} MiB")
    still_well(server, problems, "slow frames")


CASES = [lengths, unknown_requests, bombs, garbage, bad_batches, decompression_bombs, names, burst, slow_frames]
