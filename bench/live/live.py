"""A live pipeline's figures, guarantees on: bids through the Kafka port into windows and alerts, alerts read back read_committed.

    ./dev bench live [--figures steady,most,spike,sustained] [--seconds 20] [--data DIR]
    ./dev bench live --figures state [--state-keys 10000000]
    ./dev bench live --figures cost

Server, pipeline and librdkafka client (client.c) share the machine's cores. Latency counts from the moment a bid was due to
the consumption of its alert. Nothing that was acknowledged may be missing: a run with a missing alert fails.

`state` holds a count for each of so many keys beside it (state.sql), which the load goes on changing: what checkpoints of them do
to the latency, how long the pipeline stands still for one, and, after a SIGKILL, how long it is from the start of the process to the
first alert of a new bid: amid the load, and once more with a checkpoint of all there is.

`cost` runs the server with commits disabled as well (MARTLET_BENCH_WITHOUT_COMMITS): what exactly-once costs.
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
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../Tests/SystemTests/Kafka"))
from figures import emit, say
from harness import listeners

CLIENT = ".build/bench/live/client"
TOPIC_BYTES = 2 << 30


class Server:
    def __init__(self, folder, scripts=("live.sql",), commits=True, **variables):
        self.data = os.path.join(folder, "data")
        shutil.rmtree(self.data, ignore_errors=True)
        self.errors = open(os.path.join(folder, "serve.log"), "ab")
        self.environment = os.environ | ({} if commits else {"MARTLET_BENCH_WITHOUT_COMMITS": "1"})
        self.words = [os.environ["MARTLET_BINARY"], "serve", "--data-dir", self.data, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0",
                      "--no-postgres", "--set", "num.partitions=4", "--set", f"log.retention.bytes={TOPIC_BYTES // 4}",
                      "--set", "log.segment.bytes=134217728", *(os.path.join(os.path.dirname(__file__), script) for script in scripts)]
        for name, value in variables.items():
            self.words += ["-v", f"{name}={value}"]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, stderr=self.errors, env=self.environment)
        said = listeners(self.process, 2, lambda: f"see {self.errors.name}", seconds=600)
        self.address, self.http = said["kafka"], said["http"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def metrics(self):
        """{name with its labels: value}"""
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))}

    def metric(self, name, *labels):
        """The sum of a metric over all that have these labels."""
        return sum(value for key, value in self.metrics().items() if key.split("{")[0] == name and all(label in key for label in labels))

    def pauses(self):
        """How often the pipeline stood still for a checkpoint, and for how long all in all."""
        return self.metric("martlet_checkpoint_pause_seconds_count"), self.metric("martlet_checkpoint_pause_seconds_sum")

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


def load(folder, rate, seconds, spike=(0, 0, 0), commits=True):
    server = Server(folder, commits=commits)
    try:
        return load_on(server, rate, seconds, spike)
    finally:
        server.stop()


def load_on(server, rate, seconds, spike=(0, 0, 0)):
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
    return result | {"cpu": (server.cpu_seconds() - cpu) / millions, "written": (server.written_bytes() - written) / millions,
                     "rss": server.status("VmHWM")}


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


def cost(folder, seconds):
    """What commits cost: as fast as acknowledgements allow, with and without them in turn, three times each; medians."""
    rates, cpus = {True: [], False: []}, {True: [], False: []}
    for commits in (True, False) * 3:
        result = load(folder, 0, seconds, commits=commits)
        rates[commits].append(result["records"] / result["drained"])
        cpus[commits].append(result["cpu"])
        say(f"live: {rates[commits][-1]:.0f} events/s, {cpus[commits][-1]:.3f} CPU seconds a million {'with' if commits else 'without'} commits")
    middle = {commits: (sorted(rates[commits])[1], sorted(cpus[commits])[1]) for commits in rates}
    for name, commits in (("with", True), ("without", False)):
        figure(f"cost-{name}", result, middle[commits][0], "events/s")
        figure(f"cost-{name}-cpu", result, middle[commits][1], "CPU seconds/million events")
    figure("cost", result, (1 - middle[True][0] / middle[False][0]) * 100, "% of the rate without commits")
    figure("cost-cpu", result, (middle[True][1] / middle[False][1] - 1) * 100, "% more CPU seconds")


def spike(folder, seconds):
    """Four times the rate for a while in the middle."""
    third = max(seconds // 3, 1)
    result = load(folder, 100_000, seconds + 5, (400_000, third, third))
    figure("spike-p99", result, result["latency"]["p99"] / 1000, "ms")
    figure("spike-p99-5s-after", result, result.get("after_spike", {"p99": -1})["p99"] / 1000, "ms")


def state(folder, seconds, keys):
    """The same load with many keys and with almost none, each long enough for some checkpoints; then a start after a kill."""
    found = {}
    for held in (1, keys):
        # Three bids a key leave one key in twenty without any.
        events = held * 3 * 50 // 46
        server = Server(folder, ("live.sql", "state.sql"), events=events, keys=held)
        try:
            wait_until(lambda: server.metric("martlet_source_rows_total", 'source="past"') >= held * 3 - 100, "the past is not read")
            taken = server.metric("martlet_checkpoints_total")
            # Neither filling belongs to a figure nor the checkpoint during it.
            wait_until(lambda: server.metric("martlet_checkpoints_total") > taken, "no checkpoint is taken")
            say(f"live: {held} keys are there")
            before = server.pauses()
            result = found[held] = load_on(server, 100_000, seconds if held == 1 else until_next_checkpoint(server) + seconds)
            count, total = (after - earlier for after, earlier in zip(server.pauses(), before))
            if held == 1:
                continue
            size = server.metric("martlet_checkpoint_bytes")
            figure("state-checkpoint", result, size, "bytes")
            figure("state-pause", result, total / max(count, 1) * 1000, f"ms a checkpoint, mean of {count:.0f}")
            for share in ("p50", "p99", "p999"):
                figure(f"state-{share}", result, result["latency"][share] / 1000, "ms")
                figure(f"state-{share}-moved", result, (result["latency"][share] - found[1]["latency"][share]) / 1000, "ms")
            server.kill()
            started = time.monotonic()
            server.start()
            figure("state-restart", result, first_alert(server.address) - started, "s to the first alert")
            figure("state-recovery", result, server.metric("martlet_recovery_seconds"), "s of it to the first tick")
            taken = server.metric("martlet_checkpoints_total")
            wait_until(lambda: server.metric("martlet_checkpoints_total") > taken, "no checkpoint is taken")
            server.kill()
            started = time.monotonic()
            server.start()
            figure("state-restart-settled", result, first_alert(server.address) - started, "s to the first alert")
        finally:
            server.stop()


def until_next_checkpoint(server):
    """Seconds: the next is begun five times as long after the last as that took to be written, and after ten seconds at least."""
    count = max(server.metric("martlet_checkpoint_write_seconds_count"), 1)
    return int(max(6 * server.metric("martlet_checkpoint_write_seconds_sum") / count, 10)) + 1


def wait_until(holds, complaint, seconds=900):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(complaint)
        time.sleep(0.2)


def first_alert(address):
    """When the alert of a bid that is sent now is there."""
    from confluent_kafka import Consumer, Producer, TopicPartition

    mark = f"first-{time.monotonic_ns()}"
    producer = Producer({"bootstrap.servers": address, "linger.ms": 0})
    date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    bid = {"auction": 1, "bidder": 1, "price": 2_000_000, "channel": "", "url": "", "date_time": date, "extra": mark}
    producer.produce("bids", json.dumps(bid))
    producer.flush(60)
    consumer = Consumer({"bootstrap.servers": address, "group.id": "first", "isolation.level": "read_committed", "fetch.wait.max.ms": 20})
    ends = [consumer.get_watermark_offsets(TopicPartition("alerts", partition), timeout=60) for partition in range(4)]
    consumer.assign([TopicPartition("alerts", partition, max(low, high - 500)) for partition, (low, high) in enumerate(ends)])
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.05):
            if not message.error() and mark in message.value().decode():
                now = time.monotonic()
                consumer.close()
                return now
    raise SystemExit("no alert came after the start")


FIGURES = {each.__name__: each for each in (steady, most, spike, sustained, cost)}


def main():
    parser = argparse.ArgumentParser(prog="./dev bench live", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--figures", default="steady,most,spike", help="sustained: ten minutes with --seconds 600")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--state-keys", type=int, default=10_000_000, help="with the figure state: how many keys are held")
    parser.add_argument("--data", help="where the data directories are made (default: a temporary folder)")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="martlet-live-", dir=options.data)
    try:
        for name in options.figures.split(","):
            say(f"live: {name}")
            if name == "state":
                state(folder, options.seconds, options.state_keys)
            else:
                FIGURES[name](folder, options.seconds)
            time.sleep(1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
