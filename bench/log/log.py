"""The log's figures: our server and a librdkafka client (client.c) on the same cores, synced before every acknowledgement.

    ./dev bench log [--figures produce,consume,latency,fleet,idle,restart,replay] [--scale 1.0] [--data DIR]

Every figure comes with what the machine could do at best in the same run: the disk's sequential write rate (half of it for
the log, which writes each byte twice), the loopback's rate, or the figure without the disturbance.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../Tests/SystemTests/Kafka"))
from figures import emit, median, say
from harness import listeners

CLIENT = ".build/bench/log/client"
PARTITIONS = 4
JOURNAL_BYTES = 1 << 30
RECORD_BYTES = {"small": 200, "large": 1024}


class Server:
    """`martlet serve` on a data directory; its standard error goes to a file beside it."""

    def __init__(self, data):
        self.data = data
        self.errors = open(data + ".log", "ab")
        started = time.monotonic()
        self.process = subprocess.Popen(
            [os.environ["MARTLET_BINARY"], "serve", "--data-dir", data, "--kafka", "127.0.0.1:0", "--no-http", "--no-postgres",
             "--set", f"journal.bytes.max={JOURNAL_BYTES}"],
            stdout=subprocess.PIPE, stderr=self.errors)
        self.address = listeners(self.process, 1, lambda: f"see {data}.log")["kafka"]
        self.start_seconds = time.monotonic() - started

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    def peak_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(60)
        self.errors.close()


@contextlib.contextmanager
def serving(folder, name):
    data = os.path.join(folder, name)
    shutil.rmtree(data, ignore_errors=True)
    server = Server(data)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)


def client(*words, **options):
    return json.loads(subprocess.run([CLIENT, *map(str, words)], stdout=subprocess.PIPE, text=True, check=True, **options).stdout)


def create(server, topic, partitions=PARTITIONS):
    subprocess.run(
        [os.environ["MARTLET_BINARY"], "topic", "create", topic, "--partitions", str(partitions), "--server", server.address],
        check=True, stdout=subprocess.DEVNULL)


# --- What the machine can do ---------------------------------------------------------------------------------------


def disk_bytes_per_second(folder, size=2 << 30):
    """Writes 4 MiB pieces and syncs at the end, as a plain sequential writer does."""
    path = os.path.join(folder, "sequential")
    piece = os.urandom(4 << 20)
    started = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // len(piece)):
            file.write(piece)
        os.fdatasync(file.fileno())
    seconds = time.monotonic() - started
    os.remove(path)
    return size / seconds


def loopback_bytes_per_second(size=2 << 30):
    """One process sends, another reads, 1 MiB at a time."""
    listener = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        piece = bytes(1 << 20)
        with socket.create_connection(listener.getsockname()) as sender:
            for _ in range(size >> 20):
                sender.sendall(piece)
        os._exit(0)
    receiver, _ = listener.accept()
    started, rest, buffer = time.monotonic(), size, bytearray(1 << 20)
    while rest > 0:
        rest -= receiver.recv_into(buffer)
    seconds = time.monotonic() - started
    os.waitpid(child, 0)
    return size / seconds


# --- Figures -------------------------------------------------------------------------------------------------------


def figure(name, engine, seconds, rows, value, unit, ratio=None, server=None):
    emit("log", name, engine, seconds=seconds, rows=rows, value=value, unit=unit, ratio=ratio,
         rss_bytes=server and server.peak_bytes())


def produce(folder, scale):
    """Over three times the ring; the ratio is to half the disk's sequential write rate."""
    disk = disk_bytes_per_second(folder)
    figure("disk", "machine", 0, 0, disk / 1e6, "MB/s")
    for name, size in RECORD_BYTES.items():
        records = int(3.2 * JOURNAL_BYTES / size * scale)
        with serving(folder, "produce") as server:
            create(server, "load")
            result = client("produce", server.address, "load", records, size)
            rate = result["records"] / result["seconds"]
            figure(f"produce-{size}", "martlet", result["seconds"], result["records"], rate, "records/s", None, server)
            share = rate * size / (disk / 2)
            figure(f"produce-{size}-of-half-the-disk", "martlet", result["seconds"], result["records"], share, "share")
            figure(f"produce-{size}-server-cpu", "martlet", result["seconds"], result["records"],
                   server.cpu_seconds() / result["records"] * 1e6, "CPU microseconds/record")


def consume(folder, scale):
    loopback = loopback_bytes_per_second()
    figure("loopback", "machine", 0, 0, loopback / 1e6, "MB/s")
    records = int(10_000_000 * scale)
    with serving(folder, "consume") as server:
        create(server, "load")
        client("produce", server.address, "load", records, 200)
        results = [client("consume", server.address, "load", records) for _ in range(3)]
        rate = median([each["records"] / each["seconds"] for each in results])
        figure("consume-200", "martlet", records / rate, records, rate, "records/s", None, server)
        figure("consume-200-of-loopback", "martlet", records / rate, records, rate * 200 / loopback, "share")


def latency(folder, scale):
    """At a steady rate, with a ring that has grown to what the rate needs: the first half gigabyte is not measured."""
    seconds = max(5, int(30 * scale))
    with serving(folder, "latency") as server:
        create(server, "load")
        client("produce", server.address, "load", 2_500_000, 200)
        result = client("latency", server.address, "load", 100_000, seconds, 200)
        for share in ("p50", "p99", "p999", "max"):
            figure(f"latency-100000-{share}", "martlet", seconds, result["records"], result[share] / 1000, "ms", None, server)


def fleet(folder, scale):
    """Ten producers and ten consumers at once."""
    records = int(10_000_000 * scale)
    with serving(folder, "fleet") as server:
        create(server, "load", 10)
        started = time.monotonic()
        consumer = subprocess.Popen(
            [CLIENT, "consume", server.address, "load", str(records), "10"], stdout=subprocess.PIPE, text=True)
        produced = client("produce", server.address, "load", records, 200, 10)
        consumed = json.loads(consumer.communicate()[0])
        seconds = time.monotonic() - started
        figure("fleet-produce", "martlet", produced["seconds"], records, records / produced["seconds"], "records/s", None, server)
        figure("fleet-both", "martlet", seconds, consumed["records"], records / seconds, "records/s", None, server)


def idle(folder, scale):
    """1,000 partitions with a record each, and 1,000 connections that say nothing."""
    with serving(folder, "idle") as server:
        create(server, "load", 1000)
        client("produce", server.address, "load", 100_000, 200)
        holder = subprocess.Popen([CLIENT, "idle", server.address, "1000", "10"], stdout=subprocess.PIPE, text=True)
        connected = json.loads(holder.stdout.readline())
        time.sleep(2)
        figure("idle-memory", "martlet", connected["seconds"], connected["connections"], server.rss_bytes() / 2**20, "MiB", None, server)
        holder.wait()


def history(folder, scale, body):
    """Gives `body` a server with 10 GB of records of 1 KB in one topic, and its name and count."""
    records = int(10_000_000 * scale)
    data = os.path.join(folder, "history")
    shutil.rmtree(data, ignore_errors=True)
    server = Server(data)
    create(server, "history")
    client("produce", server.address, "history", records, 1000)
    try:
        return body(server, records)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def restart(folder, scale):
    def body(server, records):
        for how, name in ((signal.SIGTERM, "clean"), (signal.SIGKILL, "killed")):
            if how == signal.SIGKILL:
                # What came since the last checkpoint has to be read from the journal.
                client("produce", server.address, "history", min(records, 1_000_000), 200)
            server.stop(how)
            server = Server(server.data)
            figure(f"start-after-{name}", "martlet", server.start_seconds, records, server.start_seconds, "s", None, server)
        server.stop()

    history(folder, scale, body)


def replay(folder, scale):
    """What a consumer of all history costs the producers: their rate beside it over their rate alone."""

    def body(server, records):
        create(server, "live")
        live = int(3_000_000 * scale)
        rates = []
        for _ in range(3):
            alone = client("produce", server.address, "live", live, 200)
            reader = subprocess.Popen([CLIENT, "consume", server.address, "history", str(records)], stdout=subprocess.DEVNULL)
            time.sleep(1)
            beside = client("produce", server.address, "live", live, 200)
            overlapped = reader.poll() is None
            reader.kill()
            reader.wait()
            rates.append((alone["seconds"] / beside["seconds"], beside["seconds"], overlapped))
        rates.sort()
        ratio, seconds, overlapped = rates[1]
        if not overlapped:
            say("the replay ended before the producer did: the ratio is too kind")
        figure("produce-beside-replay", "martlet", seconds, live, ratio, "share of the rate alone", None, server)
        server.stop()

    history(folder, scale, body)


FIGURES = {each.__name__: each for each in (produce, consume, latency, fleet, idle, restart, replay)}


def main():
    parser = argparse.ArgumentParser(prog="./dev bench log", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--figures", default=",".join(FIGURES), help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--scale", type=float, default=1.0, help="of the records and seconds")
    parser.add_argument("--data", default=".build/bench/log/data", help="where the servers keep their data")
    options = parser.parse_args()
    unknown = [name for name in options.figures.split(",") if name not in FIGURES]
    if unknown:
        parser.error(f"there is no figure {unknown[0]}; there are {', '.join(FIGURES)}")
    os.makedirs(options.data, exist_ok=True)
    for name in options.figures.split(","):
        say(f"log: {name}")
        FIGURES[name](options.data, options.scale)


if __name__ == "__main__":
    main()
