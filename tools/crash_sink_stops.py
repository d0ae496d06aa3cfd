"""A sink that stops: ./dev crash --sink-stops SECONDS --postgres BIN.

A producer writes rows to a topic twice as fast as PostgreSQL takes them from a pipeline's sink, or --rate of them a second. Then
PostgreSQL is stopped (SIGSTOP) for SECONDS while they keep coming; if that is half a minute or more, the server is asked to stop in the
middle of it, which it must do, and started again. Afterwards PostgreSQL goes on (SIGCONT). Nobody helps.

Memory must not grow while the sink is away: its most in the last third of that time is held to its most before, and half a GiB. In the end
PostgreSQL must have each row once, as must a topic that another sink of the same pipeline writes to. One JSON line sums it up; the exit
code is 1 if anything did not hold.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from confluent_kafka import Producer

from crash_pipelines import Ids, Postgres, Server, Topic, compare_ids, say

SCRIPT = """
CREATE SOURCE transfers (id BIGINT, source BIGINT) WITH (connector = 'kafka', topic = 'transfers') FORMAT PLAIN ENCODE JSON;
CREATE SINK listed AS SELECT id, source FROM transfers
WITH (connector = 'postgres', host = :'host', database = 'postgres', table = 'copied');
CREATE SINK copied AS SELECT id, source FROM transfers WITH (connector = 'kafka', topic = 'copied') FORMAT PLAIN ENCODE JSON;
"""
# 64 MiB of rows that wait, the log's newest batches, which readers are served from memory, and what an allocator keeps of both.
SLACK_BYTES = 512 << 20


class Load(threading.Thread):
    """So many rows a second; nothing is lost while the server is away."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.rate, self.sent, self.is_stopping = server, 0, 0, False

    def run(self):
        producer = Producer({"bootstrap.servers": self.server.address, "enable.idempotence": True, "linger.ms": 5, "delivery.timeout.ms": 600_000,
                             "queue.buffering.max.messages": 1_000_000, "retry.backoff.max.ms": 200, "metadata.recovery.strategy": "none",
                             "reconnect.backoff.max.ms": 200})
        due, last = 0.0, time.monotonic()
        while not self.is_stopping:
            now = time.monotonic()
            due, last = min(due + (now - last) * self.rate, self.rate), now
            while due >= 1:
                try:
                    producer.produce("transfers", b'{"id":%d,"source":%d}' % (self.sent, self.sent % 50))
                except BufferError:
                    break
                due, self.sent = due - 1, self.sent + 1
            producer.poll(0.005)
        self.unsent = producer.flush(300)


def processes(leader):
    """A process and those below it."""
    found, at = [leader], 0
    while at < len(found):
        with open(f"/proc/{found[at]}/task/{found[at]}/children") as children:
            found += [int(child) for child in children.read().split()]
        at += 1
    return found


def resident(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS")), 0)


def stop(server, problems):
    """Asks the server to stop. How long it took."""
    started = time.monotonic()
    server.process.terminate()
    try:
        code = server.process.wait(60)
    except subprocess.TimeoutExpired:
        code = None
        server.kill()
    if code != 0:
        problems.append(f"with a sink that is stopped the server does not stop: exit code {code}")
    return time.monotonic() - started


def main(options):
    folder = tempfile.mkdtemp(prefix="martlet-crash-")
    os.chmod(folder, 0o755)
    postgres, script, problems = Postgres(options.postgres, f"{folder}/pg"), f"{folder}/pipeline.sql", []
    with open(script, "w") as text:
        text.write(SCRIPT)
    server = Server(os.environ["MARTLET_BINARY"], folder, script, {"host": postgres.folder})
    server.start()
    load, memory = Load(server), []
    count = lambda: postgres.rows("SELECT count(*) FROM copied")[0][0]

    def watch(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            memory.append(resident(server))
            time.sleep(0.25)

    # What the sink takes is seen while more comes than it can take.
    load.rate = options.rate or 100_000
    load.start()
    watch(2)
    before, since = count(), time.monotonic()
    watch(2)
    taken = (count() - before) / (time.monotonic() - since)
    load.rate = options.rate or max(2 * taken, 1000)
    say(f"crash: PostgreSQL takes {taken:.0f} rows a second, {load.rate:.0f} come")
    watch(2)
    before = max(memory)
    with open(f"{postgres.folder}/data/postmaster.pid") as file:
        stopped = processes(int(file.readline()))
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    memory.clear()
    watch(options.sink_stops / 2)
    stop_seconds = 0
    if options.sink_stops >= 30:
        stop_seconds = stop(server, problems)
        server.start()
    watch(options.sink_stops / 2)
    most = max(memory[len(memory) * 2 // 3:])
    if most > before + SLACK_BYTES:
        problems.append(f"memory grew from {before} to {most} bytes while the sink was away")
    behind = load.sent
    for process in stopped:
        os.kill(process, signal.SIGCONT)
    load.is_stopping = True
    load.join()
    resumed, last = time.monotonic(), (time.monotonic(), -1)
    while (rows := count()) < load.sent:
        if rows != last[1]:
            last = time.monotonic(), rows
        elif time.monotonic() - last[0] > 60:
            problems.append(f"PostgreSQL has {rows} of {load.sent} rows, and no more come")
            break
        time.sleep(0.5)
    caught_up = time.monotonic() - resumed
    truth, listed, copied = Ids(), Ids(), Ids()
    for number in range(load.sent):
        truth.add(number)
    for (number,) in postgres.stream("SELECT id FROM copied"):
        listed.add(number)
    for _, value in Topic(server, "copied").records():
        copied.add(json.loads(value)["id"])
    lost, twice = compare_ids(problems, "PostgreSQL", listed, truth)
    compare_ids(problems, "the topic", copied, truth)
    server.kill()
    postgres.stop()
    print(json.dumps({
        "stopped_seconds": options.sink_stops, "rows": load.sent, "rate": round(load.rate), "sink_rate": round(taken), "behind": behind,
        "caught_up_seconds": round(caught_up, 1), "server_stop_seconds": round(stop_seconds, 1), "memory_before": before,
        "memory_most": most, "lost": lost, "duplicated": twice, "problems": len(problems), "first_problems": problems[:5]}), flush=True)
    for problem in problems:
        say(f"crash: {problem}")
    if problems or options.keep:
        say(f"crash: the server's log and data are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if problems else 0
