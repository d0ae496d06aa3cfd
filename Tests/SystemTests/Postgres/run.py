"""Runs one group of cases of PostgreSQL clients against a server of their own.

    run.py BINARY FOLDER GROUP [CASE]     prints one JSON line per case: {"name", "case", "problems", "seconds"}
"""

import importlib
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Kafka"))
from harness import listeners, run_cases  # noqa: E402


class Server:
    """`martlet serve` with PostgreSQL's and HTTP's listeners; once it was started, HTTP's is always on the same port."""

    def __init__(self, binary, folder):
        self.binary = binary
        self.data = os.path.join(folder, "data")
        self.log_path = os.path.join(folder, "serve.log")
        self.process = None
        self.http = "127.0.0.1:0"
        self.words = []
        self.start()

    def start(self):
        words = [self.binary, "serve", "--data-dir", self.data, "--no-kafka", "--postgres", "127.0.0.1:0", "--http", self.http, *self.words]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log)
        said = listeners(self.process, 2, self.tail)
        self.address = said["postgres"]
        self.host, self.port = said["postgres"].rsplit(":", 1)
        self.http = said["http"]

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "did not stop within 30 s"

    @property
    def conninfo(self):
        return f"host={self.host} port={self.port} user=ann dbname=dev"

    def psql(self, *commands, text=None):
        words = ["psql", "-X", "-h", self.host, "-p", self.port, "-U", "ann", "-d", "dev"]
        for command in commands:
            words += ["-c", command]
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=30)
        return done.stdout + done.stderr

    def shell(self, *words, text=""):
        """`martlet sql`."""
        return subprocess.run(
            [self.binary, "sql", "--server", self.address, *words], input=text, capture_output=True, text=True, timeout=30)

    def tail(self, lines=20):
        with open(self.log_path, errors="replace") as log:
            return "".join(log.readlines()[-lines:])


def main():
    binary, folder, group = sys.argv[1:4]
    os.makedirs(folder, exist_ok=True)
    cases = importlib.import_module(group)
    server = Server(binary, folder)
    try:
        run_cases(cases.CASES, server, sys.argv[4] if len(sys.argv) > 4 else None)
    finally:
        code = server.stop()
    if code != 0:
        sys.exit(f"the server's exit code after SIGTERM: {code}\n{server.tail()}")


if __name__ == "__main__":
    main()
