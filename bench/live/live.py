"""A live pipeline's figures, guarantees on: bids through the Kafka port into windows and alerts, alerts read back read_committed.

    ./dev bench live [--figures steady,most,spike,sustained] [--seconds 20] [--data DIR]

Server, pipeline and librdkafka client (client.c) share the machine's cores. Latency counts from the moment a bid was due to
the consumption of its alert. Nothing that was acknowledged may be missing: a run with a missing alert fails.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../Tests/SystemTests/Kafka"))
from figures import emit, say
from harness import listeners

CLIENT = ".build/bench/live/client"
TOPIC_BYTES = 2 << 30


class Server:
    def __init__(self, folder):
        self.data = os.path.join(folder, "data")
        shutil.rmtree(self.data, ignore_errors=True)
        self.errors = open(os.path.join(folder, "serve.log"), "ab")
        binary = os.environ["MARTLET_BINARY"]
        words = ["serve", "--data-dir", self.data, "--kafka", "127.0.0.1:0", "--no-http", "--set", "num.partitions=4",
                 "--set", f"log.retention.bytes={TOPIC_BYTES // 4}", "--set", "log.segment.bytes=134217728"]
        self.process = subprocess.Popen([binary, *words, os.path.join(os.path.dirname(__file__), "live.sql")], stdout=subprocess.PIPE, stderr=self.errors)
        self.address = listeners(self.process, 1, lambda: f"see {self.errors.name}")["kafka"]

    def status(self, name):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def written_bytes(self):
        with open(f"/proc/{self.process.pid}/io") as io:
            return next(int(line.split()[1]) for line in io if line.startswith("write_bytes"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.errors.close()


def load(folder, rate, seconds, spike=(0, 0, 0)):
    server = Server(folder)
    try:
        cpu, written = server.cpu_seconds(), server.written_bytes()
        client = subprocess.Popen([CLIENT, server.address, "bids", "alerts", str(rate), str(seconds), *map(str, spike)],
                                  stdout=subprocess.PIPE, text=True)
        # Resident memory each second: whether it stays where it was.
        resident = []
        while client.poll() is None:
            resident.append(server.status("VmRSS"))
            time.sleep(1)
        if client.returncode != 0:
            raise SystemExit(f"live: the client ended with {client.returncode}")
        result = json.loads(client.stdout.read()) | {"resident": resident}
        millions = result["records"] / 1e6
        result |= {"cpu": (server.cpu_seconds() - cpu) / millions, "written": (server.written_bytes() - written) / millions,
                   "rss": server.status("VmHWM")}
        return result
    finally:
        server.stop()


def figure(name, result, value, unit):
    emit("live", name, "martlet", seconds=result["drained"], rows=result["records"], value=value, unit=unit, ratio=None, rss_bytes=result["rss"])


def costs(name, result):
    figure(f"{name}-cpu", result, result["cpu"], "CPU seconds/million events")
    figure(f"{name}-written", result, result["written"], "bytes/million events")


def steady(folder, seconds):
    result = load(folder, 100_000, seconds)
    for share in ("p50", "p99", "p999"):
        figure(f"latency-100000-{share}", result, result["latency"][share] / 1000, "ms")
    costs("latency-100000", result)


def most(folder, seconds):
    """As fast as acknowledgements allow; the rate counts until the last alert is there."""
    result = load(folder, 0, seconds)
    figure("most", result, result["records"] / result["drained"], "events/s")
    figure("most-p99", result, result["latency"]["p99"] / 1000, "ms")
    costs("most", result)


def sustained(folder, seconds):
    """50 billion a day. Memory: the most of the second half over the most of the first, its first tenth left out."""
    result = load(folder, 578_704, seconds)
    for share in ("p50", "p99", "p999"):
        figure(f"sustained-578704-{share}", result, result["latency"][share] / 1000, "ms")
    figure("sustained-578704-rate", result, result["records"] / result["drained"], "events/s")
    resident = result["resident"]
    half = len(resident) // 2
    figure("sustained-578704-memory", result, max(resident[half:]) / max(resident[len(resident) // 10:half]), "of the first half's")
    costs("sustained-578704", result)


def spike(folder, seconds):
    """Four times the rate for a while in the middle."""
    third = max(seconds // 3, 1)
    result = load(folder, 100_000, seconds + 5, (400_000, third, third))
    figure("spike-p99", result, result["latency"]["p99"] / 1000, "ms")
    figure("spike-p99-5s-after", result, result.get("after_spike", {"p99": -1})["p99"] / 1000, "ms")


FIGURES = {each.__name__: each for each in (steady, most, spike, sustained)}


def main():
    parser = argparse.ArgumentParser(prog="./dev bench live", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--figures", default="steady,most,spike", help="sustained: ten minutes with --seconds 600")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--data", help="where the data directories are made (default: a temporary folder)")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="martlet-live-", dir=options.data)
    try:
        for name in options.figures.split(","):
            say(f"live: {name}")
            FIGURES[name](folder, options.seconds)
            time.sleep(1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
