"""Nexmark under disturbance, held against a run without: ./dev crash --nexmark [--disturb kill,stop,clock].

Queries q4, q5, q8, q12, q12t, q18 and q20 (bench/nexmark) run as one pipeline with a data directory over the same generated
files: once as they please, then once for each kind of disturbance.

- kill: SIGKILL every few seconds, and a new start.
- stop: SIGSTOP for a while (--pause seconds) every few seconds.
- clock: the wall clock leaps 30 days ahead and back, and stands still (clock_leap.c).

What each sink's changes come to must be what they came to without. q12 counts by the wall clock: of it only the number of all
bids counts. One JSON line sums a disturbance up; the exit code is 1 if anything differed.
"""

import collections
import hashlib
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

QUERIES = ["q4", "q5", "q8", "q12", "q12t", "q18", "q20"]
HERE = os.path.dirname(os.path.abspath(__file__))


def say(text):
    print(text, file=sys.stderr, flush=True)


def pipeline(folder):
    """All queries as one script, from the bench's files: each source once, each sink under its query's name."""
    sources, others = {}, []
    for query in QUERIES:
        with open(f"{HERE}/../bench/nexmark/{query}.sql") as file:
            text = "".join(line for line in file if not line.startswith("--"))
        for statement in filter(str.strip, text.split(";\n")):
            source = re.match(r"\s*CREATE SOURCE (\w+)", statement)
            if source:
                sources[source[1]] = statement
            else:
                statement = statement.replace("CREATE SINK out AS", f"CREATE SINK {query} AS").replace(":'out'", f"'{folder}/{query}.ndjson'")
                others.append(statement)
    return ";\n".join([*sources.values(), *others]) + ";\n"


class Run:
    """One run of the pipeline to its end, in a folder of its own."""

    def __init__(self, binary, data, folder, variables=None):
        os.makedirs(folder)
        self.folder = folder
        with open(f"{folder}/pipeline.sql", "w") as file:
            file.write(pipeline(folder))
        self.words = [binary, "run", f"{folder}/pipeline.sql", "--data-dir", f"{folder}/data", "--out-dir", folder, "--checkpoint-seconds", "1"]
        for stream in ("person", "auction", "bid"):
            self.words += ["-v", f"{stream}s={data}/{stream}-*.ndjson"]
        self.environment = os.environ | (variables or {})

    def start(self):
        with open(f"{self.folder}/run.log", "ab") as log:
            self.process = subprocess.Popen(self.words + ["--log-level", "info", "-q"], stdout=log, stderr=log, env=self.environment)

    def has_ended(self, seconds):
        """Whether it comes to its end within so many seconds."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        if code != 0:
            with open(f"{self.folder}/run.log", errors="replace") as log:
                raise SystemExit(f"the pipeline ended with {code}:\n" + "".join(log.readlines()[-20:]))
        return True

    def lives(self):
        """How often it has begun, or gone on from where it was."""
        if not os.path.exists(f"{self.folder}/run.log"):
            return 0
        with open(f"{self.folder}/run.log", errors="replace") as log:
            return sum("pipeline resumed" in line or "pipeline begins" in line for line in log)

    def results(self):
        """Of each query, the sum of all changes: how many rows, and the sum of their hashes."""
        results = {}
        for query in QUERIES:
            rows, total, bids = 0, 0, 0
            with open(f"{self.folder}/{query}.ndjson") as lines:
                for line in lines:
                    row = json.loads(line)
                    sign = -1 if row.pop("op", "insert") == "delete" else 1
                    if query == "q12":
                        bids += sign * row["bids"]
                        continue
                    rows += sign
                    total += sign * int.from_bytes(hashlib.blake2b(repr(row).encode(), digest_size=8).digest())
            results[query] = bids if query == "q12" else (rows, total % (1 << 64))
        return results

    def rows(self, query):
        """What a query's changes come to, row by row: for those who ask what is wrong."""
        net = collections.Counter()
        with open(f"{self.folder}/{query}.ndjson") as lines:
            for line in lines:
                row = json.loads(line)
                net[row.pop("op", "insert") == "delete" and -1 or 1, repr(row)] += 1
        sums = collections.Counter()
        for (sign, row), count in net.items():
            sums[row] += sign * count
        return sums


def kill(run, chance, options):
    kills = 0
    while True:
        told = run.lives()
        run.start()
        # Most lives come back before they end, so that there is an end; some are killed on the way.
        while chance.random() < 0.99 and run.lives() == told and run.process.poll() is None:
            time.sleep(0.05)
        if run.has_ended(chance.uniform(0.5, 1.5) * options.every):
            return {"kills": kills, "came_back": run.lives() - 1}
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()
        kills += 1


def stop(run, chance, options):
    stops = 0
    run.start()
    while not run.has_ended(chance.uniform(0.5, 1.5) * options.every):
        run.process.send_signal(signal.SIGSTOP)
        time.sleep(options.pause)
        run.process.send_signal(signal.SIGCONT)
        stops += 1
    return {"stops": stops}


def clock(run, chance, options):
    library, file = f"{run.folder}/clock_leap.so", f"{run.folder}/clock"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, f"{HERE}/clock_leap.c", "-ldl"], check=True)
    month = 30 * 86_400 * 10**9
    settings, steps = [(0, 0), (month, 0), (-month, 0), (0, 1_767_225_600 * 10**9), (0, 0), (-month, 0)], 0

    def turn(setting):
        with open(file, "r+b" if os.path.exists(file) else "wb") as numbers:
            numbers.write(struct.pack("<qq", *setting))

    turn(settings[0])
    run.environment |= {"LD_PRELOAD": library, "MARTLET_CLOCK_LEAP": file}
    run.start()
    while not run.has_ended(chance.uniform(0.1, 0.3) * options.every):
        steps += 1
        turn(settings[steps % len(settings)])
    return {"steps": steps}


DISTURBANCES = {each.__name__: each for each in (kill, stop, clock)}


def main(options):
    binary, folder = os.environ["MARTLET_BINARY"], tempfile.mkdtemp(prefix="martlet-nexmark-")
    data, failed = f"{folder}/input", False
    subprocess.run([binary, "generate", "nexmark", "--events", str(options.events), "--seed", str(options.seed), "--files", "2",
                    "--disorder", "2s", "--out", data], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    calm = Run(binary, data, f"{folder}/calm")
    calm.start()
    started = time.monotonic()
    calm.process.wait()
    if not calm.has_ended(0):
        raise SystemExit("the run without disturbance does not end")
    say(f"crash: without disturbance, {time.monotonic() - started:.1f} s")
    expected = calm.results()
    for name in options.disturb.split(","):
        run, started = Run(binary, data, f"{folder}/{name}"), time.monotonic()
        happened = DISTURBANCES[name](run, random.Random(options.seed), options)
        found = run.results()
        wrong = [query for query in QUERIES if found[query] != expected[query]]
        print(json.dumps({"disturbance": name, "events": options.events, "seconds": round(time.monotonic() - started, 1)} | happened |
                         {"rows": {query: result if query == "q12" else result[0] for query, result in found.items()}, "wrong": wrong}), flush=True)
        for query in wrong:
            if query != "q12":
                mine, theirs = run.rows(query), calm.rows(query)
                say(f"crash: {name}: {query}: " + "; ".join(f"{row}: {mine[row]} times, {theirs[row]} without" for row in
                    [row for row in mine | theirs if mine[row] != theirs[row]][:3]))
        failed = failed or bool(wrong)
    if failed or options.keep:
        say(f"crash: everything is in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0
