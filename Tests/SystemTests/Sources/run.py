"""Runs one group of cases of sources and sinks against a server of their own, with listeners for Kafka and PostgreSQL.

    run.py BINARY FOLDER GROUP [CASE]     prints one JSON line per case: {"name", "case", "problems", "seconds"}
"""

import importlib
import os
import subprocess
import sys

import psycopg

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Kafka"))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "tools"))
from harness import eventually, listeners, run_cases  # noqa: E402


class Server:
    """`martlet serve` on a data directory and, once it was started, always on the same ports."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.data = os.path.join(folder, "data")
        self.log_path = os.path.join(folder, "serve.log")
        self.ports = {"kafka": 0, "postgres": 0, "http": 0}
        self.process = None
        self.start()

    def start(self):
        words = [self.binary, "serve", "--data-dir", self.data, "--checkpoint-seconds", "1",
                 "--set", "group.initial.rebalance.delay.ms=0"]
        for name, port in self.ports.items():
            words += [f"--{name}", f"127.0.0.1:{port}"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log)
        said = listeners(self.process, 3, self.tail)
        self.ports = {name: int(said[name].rsplit(":", 1)[1]) for name in self.ports}
        self.http = said["http"]

    @property
    def address(self):
        return f"127.0.0.1:{self.ports['kafka']}"

    def connect(self):
        return psycopg.connect(host="127.0.0.1", port=self.ports["postgres"], user="ann", dbname="dev", autocommit=True)

    def sql(self, *statements):
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, query):
        with self.connect() as connection:
            return connection.execute(query).fetchall()

    def eventually_rows(self, query, expected, seconds=20):
        """The query's rows once they are as expected, or at last."""
        found = None

        def look():
            nonlocal found
            found = self.rows(query)
            return found == expected

        eventually(look, seconds, 0.1)
        return found

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return "did not stop within 30 s"

    def tail(self, lines=20):
        with open(self.log_path, errors="replace") as log:
            return "".join(log.readlines()[-lines:])


def main():
    binary, folder, group = sys.argv[1:4]
    cases = importlib.import_module(group)
    os.makedirs(folder, exist_ok=True)
    server = Server(binary, folder)
    try:
        run_cases(cases.CASES, server, sys.argv[4] if len(sys.argv) > 4 else None)
    finally:
        code = server.stop()
    if code != 0:
        sys.exit(f"the server's exit code after SIGTERM: {code}\n{server.tail()}")


if __name__ == "__main__":
    main()
