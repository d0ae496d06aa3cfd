"""Questions to a server whose pipeline takes 100,000 events a second meanwhile, beside PostgreSQL on the same machine and data.

    ./dev bench serve [--figures copy,scan,lookup,http,fresh,beside] [--rows 10000000] [--seconds 10] [--rate 100000] [--data DIR]

Server, PostgreSQL, load and clients share the machine's cores; PostgreSQL is asked beside the same load, and answers nobody
while Martlet is asked. `ratio` is PostgreSQL's time by ours.
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../tools"))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../Tests/SystemTests/Kafka"))
from figures import emit, median, say
from harness import listeners
from postgres_server import PostgresServer

CLIENT = ".build/bench/serve/client"
LOOKUPS = ".build/bench/serve/lookups"
LOOKUP = "\\set id random(1, {rows})\nSELECT id, name, score FROM profiles WHERE id = :id;\n"
PIPELINED = 100
SCANS = {
    "scan-sum": "SELECT count(*), sum(score), min(score), max(score) FROM profiles",
    "scan-filter": "SELECT count(*) FROM profiles WHERE score % 1000 = 7",
    "scan-group": "SELECT score % 100 AS bucket, count(*), sum(score) FROM profiles GROUP BY 1 ORDER BY 1",
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Engine:
    """Somebody who speaks PostgreSQL's protocol, by name."""

    def __init__(self, name, address, user, database):
        self.name = name
        host, port = address.rsplit(":", 1)
        self.words = ["-h", host, "-p", port, "-U", user]
        self.database = database

    def cpu(self):
        """Seconds of the processor that whoever answers has had so far."""
        raise NotImplementedError

    @staticmethod
    def spent(path):
        """What a process or thread has had, and its children that are gone."""
        try:
            with open(f"{path}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def psql(self, *words, **options):
        return subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *self.words, "-d", self.database, *words], check=True,
                              capture_output=True, text=True, **options).stdout

    def seconds(self, query, runs=5):
        """The median of what psql's clock says of it."""
        script = "\\timing on\n" + f"{query};\n" * (runs + 1)
        said = self.psql("-t", input=script)
        return median([float(millis) / 1000 for millis in re.findall(r"Time: ([0-9.]+) ms", said)][1:])

    def pgbench(self, folder, script, seconds, clients):
        path = os.path.join(folder, "script.sql")
        with open(path, "w") as file:
            file.write(script)
        said = subprocess.run(
            ["pgbench", "-n", "-M", "prepared", "-f", path, "-T", str(seconds), "-c", str(clients), "-j", "1", "-l",
             f"--log-prefix={folder}/latency", *self.words, self.database],
            check=True, capture_output=True, text=True).stdout
        rate = float(re.search(r"tps = ([0-9.]+)", said)[1])
        micros = []
        for name in os.listdir(folder):
            if name.startswith("latency"):
                with open(os.path.join(folder, name)) as file:
                    micros += [int(line.split()[2]) for line in file]
                os.remove(os.path.join(folder, name))
        micros.sort()
        return rate, micros[int(len(micros) * 0.99)] / 1000

    def lookups(self, rows, seconds, clients):
        """The same from a client that takes less of the cores than pgbench does, and so leaves more to who is asked."""
        said = subprocess.run([LOOKUPS, *self.words[1::2], self.database, *map(str, (rows, clients, 1, seconds))],
                              check=True, capture_output=True, text=True).stdout
        told = json.loads(said)
        if told["found"] < told["answers"]:
            raise SystemExit(f"{self.name}: {told['answers']} answers have {told['found']} rows")
        return told["rate"], told["p99_ms"]


class Martlet(Engine):
    def __init__(self, folder):
        self.errors = open(os.path.join(folder, "serve.log"), "ab")
        words = ["serve", "--data-dir", os.path.join(folder, "data"), "--kafka", "127.0.0.1:0", "--postgres", "127.0.0.1:0",
                 "--http", "127.0.0.1:0", "--set", "log.retention.bytes=536870912", "--set", "log.segment.bytes=134217728"]
        self.process = subprocess.Popen([os.environ["MARTLET_BINARY"], *words, os.path.join(os.path.dirname(__file__), "serve.sql")],
                                        stdout=subprocess.PIPE, stderr=self.errors)
        found = listeners(self.process, 3, lambda: f"see {self.errors.name}")
        self.kafka, self.http = found["kafka"], found["http"]
        super().__init__("martlet", found["postgres"], "bench", "dev")

    def cpu(self):
        # The others' time is the pipeline's.
        seconds = 0
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            path = f"/proc/{self.process.pid}/task/{thread}"
            with open(f"{path}/comm") as name:
                seconds += self.spent(path) if name.read().strip() in ("postgres", "sql") else 0
        return seconds

    @property
    def rss(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)
        self.errors.close()


class PostgreSQL(Engine):
    def __init__(self, server, port):
        self.server = server
        super().__init__("postgresql", f"127.0.0.1:{port}", "postgres", "postgres")

    def cpu(self):
        with open(f"{self.server.folder}/data/postmaster.pid") as file:
            leader = file.readline().strip()
        with open(f"/proc/{leader}/task/{leader}/children") as children:
            return sum(self.spent(f"/proc/{process}") for process in [leader, *children.read().split()])


class Bench:
    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.martlet = Martlet(folder)
        port = free_port()
        self.server = PostgresServer(options.postgres, os.path.join(folder, "postgres"), port)
        self.postgres = PostgreSQL(self.server, port)
        self.postgres.psql("-c", "CREATE TABLE profiles (id BIGINT PRIMARY KEY, name TEXT, score BIGINT)")
        self.engines = [self.martlet, self.postgres]
        self.load = None
        self.pings = 0

    def figure(self, name, engine, seconds, rows, value, unit, ratio=None):
        emit("serve", name, engine.name, seconds=seconds, rows=rows, value=value, unit=unit, ratio=ratio,
             rss_bytes=self.martlet.rss if engine is self.martlet else None)

    def start_load(self):
        if self.load is None and self.options.rate > 0:
            self.load = subprocess.Popen([CLIENT, self.martlet.kafka, "bids", "alerts", str(self.options.rate), "3600", "0", "0", "0"],
                                         stdout=subprocess.DEVNULL)
            time.sleep(2)

    def stop(self):
        if self.load:
            self.load.kill()
            self.load.wait()
        self.martlet.stop()
        self.server.stop()

    def copy(self):
        """Rows in by COPY FROM STDIN, each engine with its usual durability."""
        path = os.path.join(self.folder, "profiles.csv")
        rows = self.options.rows
        with open(path, "w") as file:
            for start in range(1, rows + 1, 100_000):
                file.write("".join(f"{id},name-{id},{id * 7919 % 1000003}\n" for id in range(start, min(start + 100_000, rows + 1))))
        times = {}
        for engine in self.engines:
            began = time.monotonic()
            # In pieces, as loaders do: a COPY is one transaction.
            step = 500_000
            for start in range(0, rows, step):
                with subprocess.Popen(["sh", "-c", f"tail -n +{start + 1} {path} | head -n {step}"], stdout=subprocess.PIPE) as lines:
                    engine.psql("-c", "COPY profiles FROM STDIN WITH (FORMAT csv)", stdin=lines.stdout)
            times[engine] = time.monotonic() - began
        self.postgres.psql("-c", "VACUUM ANALYZE profiles")
        os.remove(path)
        for engine, seconds in times.items():
            ratio = times[self.postgres] / times[self.martlet] if engine is self.postgres else None
            self.figure("copy", engine, seconds, rows, rows / seconds, "rows/s", ratio)

    def scan(self):
        self.start_load()
        for name, query in SCANS.items():
            ours = self.martlet.seconds(query)
            theirs = self.postgres.seconds(query)
            self.figure(name, self.martlet, ours, self.options.rows, ours, "s")
            self.figure(name, self.postgres, theirs, self.options.rows, theirs, "s", theirs / ours)

    def lookup(self):
        self.start_load()
        single = LOOKUP.format(rows=self.options.rows)
        # Pipelines need the extended protocol; a script's rate counts scripts.
        pipelined = "\\startpipeline\n" + single * PIPELINED + "\\endpipeline\n"
        rows, seconds = self.options.rows, self.options.seconds
        for name, script, per, clients in (("lookup", single, 1, 8), ("lookup-pipelined", pipelined, PIPELINED, 4), ("lookup-lean", None, 1, 8)):
            rates = {}
            for engine in self.engines:
                spent, asking = engine.cpu(), self.children()
                if script:
                    rate, p99 = engine.pgbench(self.folder, script, seconds, clients)
                else:
                    rate, p99 = engine.lookups(rows, seconds, clients)
                rates[engine] = rate * per
                ratio = rates[self.martlet] / rates[engine] if engine is self.postgres else None
                self.figure(name, engine, self.options.seconds, self.options.rows, rates[engine], "lookups/s", ratio)
                self.figure(f"{name}-p99", engine, self.options.seconds, self.options.rows, p99, "ms" if per == 1 else f"ms/{per} lookups")
                if per == 1:
                    for of, cost in (("cpu", engine.cpu() - spent), ("client-cpu", self.children() - asking)):
                        self.figure(f"{name}-{of}", engine, seconds, rows, cost / (rate * seconds) * 1e6, "us/lookup")

    @staticmethod
    def children():
        """Seconds of the processor that programs have had which this one started and that are over."""
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def http(self):
        self.start_load()
        script = os.path.join(self.folder, "lookup.lua")
        with open(script, "w") as file:
            file.write(f"request = function() return wrk.format('GET', '/v1/views/profiles?key=' .. math.random(1, {self.options.rows})) end\n")
        said = subprocess.run(["wrk", "-t1", "-c8", f"-d{self.options.seconds}s", "--latency", "-s", script, f"http://{self.martlet.http}"],
                              check=True, capture_output=True, text=True).stdout
        if "Non-2xx" in said:
            raise SystemExit(f"lookups over HTTP fail:\n{said}")
        p99 = re.search(r"99%\s+([0-9.]+)(us|ms|s)", said)
        millis = float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]
        rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", said)[1])
        self.figure("http-lookup", self.martlet, self.options.seconds, self.options.rows, rate, "lookups/s")
        self.figure("http-lookup-p99", self.martlet, self.options.seconds, self.options.rows, millis, "ms")

    def freshness(self):
        """Milliseconds from a record's acknowledgement to the SELECT that sees it, sorted: one client asks again and again."""
        import psycopg
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": self.martlet.kafka, "linger.ms": 0, "acks": "all"})
        host, port = self.martlet.words[1], self.martlet.words[3]
        millis = []
        with psycopg.connect(host=host, port=port, user="bench", dbname="dev", autocommit=True) as connection:
            for _ in range(30 * self.options.seconds):
                self.pings += 1
                told = []
                producer.produce("pings", json.dumps({"id": self.pings, "sent": self.pings}).encode(),
                                 on_delivery=lambda error, _: told.append((time.monotonic(), error)))
                while not told:
                    producer.poll(0.001)
                if told[0][1]:
                    raise SystemExit(f"not produced: {told[0][1]}")
                while not connection.execute("SELECT sent FROM seen WHERE id = %s", (self.pings,)).fetchone():
                    if time.monotonic() - told[0][0] > 30:
                        raise SystemExit("what was acknowledged does not become visible")
                millis.append((time.monotonic() - told[0][0]) * 1000)
                time.sleep(0.02)
        return sorted(millis)

    def fresh(self):
        self.start_load()
        millis = self.freshness()
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            self.figure(f"fresh-{name}", self.martlet, self.options.seconds, len(millis), millis[int(len(millis) * share)], "ms")

    def beside(self):
        """What a client that keeps asking for aggregates over all rows costs the others' freshness."""
        self.start_load()
        shares = (("p50", 0.5), ("p99", 0.99), ("max", 1))
        alone = self.freshness()
        script = os.path.join(self.folder, "aggregates.sql")
        with open(script, "w") as file:
            # More of them than there is time for.
            file.write((SCANS["scan-group"] + ";\n") * 10_000)
        asking = subprocess.Popen(["psql", "-X", "-q", *self.martlet.words, "-d", "dev", "-f", script], stdout=subprocess.DEVNULL)
        try:
            millis = self.freshness()
            if asking.poll() is not None:
                raise SystemExit("nobody asked for aggregates any more")
        finally:
            asking.kill()
            asking.wait()
        for name, share in shares:
            mine, quiet = (them[min(int(len(them) * share), len(them) - 1)] for them in (millis, alone))
            self.figure(f"fresh-beside-scan-{name}", self.martlet, self.options.seconds, len(millis), mine, "ms")
            self.figure(f"scan-delays-{name}", self.martlet, self.options.seconds, len(millis), mine - quiet, "ms")


FIGURES = ("copy", "scan", "lookup", "http", "fresh", "beside")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench serve", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--figures", default=",".join(FIGURES), help="copy fills the tables: leave it out, and lookups find nothing")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=int, default=10, help="of each figure")
    parser.add_argument("--rate", type=int, default=100_000, help="events a second that the pipeline takes meanwhile; 0: none")
    parser.add_argument("--postgres", metavar="BIN", required=True, help="where initdb is")
    parser.add_argument("--data", help="where the data directories are made (default: a temporary folder)")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="martlet-serve-", dir=options.data)
    os.chmod(folder, 0o755)
    bench = Bench(folder, options)
    try:
        for name in options.figures.split(","):
            say(f"serve: {name}")
            getattr(bench, name)()
    finally:
        bench.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
