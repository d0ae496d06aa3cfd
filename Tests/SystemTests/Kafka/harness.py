"""What the tests with Kafka clients share: a server of their own, and cases that report what was wrong.

    run.py BINARY FOLDER GROUP [CASE]     prints one JSON line per case: {"name", "problems", "seconds"}
"""

import json
import os
import re
import select
import signal
import subprocess
import time
import traceback
import uuid


class Server:
    """`martlet serve` on a data directory and, once it was started, always on the same port."""

    def __init__(self, binary, folder, script=None, **settings):
        self.binary = binary
        self.folder = folder
        self.data = os.path.join(folder, "data")
        self.log_path = os.path.join(folder, "serve.log")
        self.script = script and os.path.join(folder, "pipeline.sql")
        if script:
            with open(self.script, "w") as file:
                file.write(script)
        self.settings = {"group.initial.rebalance.delay.ms": 0} | settings
        self.port = 0
        self.process = None
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        words = [self.binary, "serve", "--data-dir", self.data, "--kafka", f"127.0.0.1:{self.port}", "--no-postgres",
            "--http", "127.0.0.1:0",
        ]
        for name, value in self.settings.items():
            words += ["--set", f"{name}={value}"]
        if self.script:
            words += [self.script]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log)
        said = listeners(self.process, 2, self.tail)
        self.port = int(said["kafka"].rsplit(":", 1)[1])
        self.http = said["http"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return "did not stop within 30 s"

    def martlet(self, *words, text="", timeout=30):
        return subprocess.run(
            [self.binary, *map(str, words), "--server", self.address], input=text, capture_output=True, text=True, timeout=timeout)

    def tail(self, lines=20):
        with open(self.log_path, errors="replace") as log:
            return "".join(log.readlines()[-lines:])


def listeners(process, count, explain=lambda: "", seconds=60):
    """What a starting server says on its standard output: {"kafka": "127.0.0.1:9092", …}, once it has named `count` of them."""
    deadline, said = time.monotonic() + seconds, b""
    while True:
        found = {name.decode(): address.decode() for name, address in re.findall(rb"(\w+) on (?:http://)?(\S+:\d+)\n", said)}
        if len(found) >= count:
            return found
        if not select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
            raise RuntimeError("the server did not say where it listens\n" + explain())
        piece = os.read(process.stdout.fileno(), 4096)
        if not piece:
            raise RuntimeError(f"the server ended at its start with {process.wait()}\n{explain()}")
        said += piece


class Problems(list):
    """Collects what did not hold; a case with none has passed."""

    def check(self, holds, message):
        if not holds:
            self.append(message if isinstance(message, str) else repr(message))
        return holds

    def equal(self, found, expected, what):
        return self.check(found == expected, f"{what}: {_short(found)} is not {_short(expected)}")


def _short(value):
    text = repr(value)
    return text if len(text) <= 400 else text[:400] + "…"


def fresh(prefix="topic"):
    """A name nobody used before."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def eventually(holds, seconds=15, pause=0.05):
    """The first true answer of `holds`, or its last."""
    deadline = time.monotonic() + seconds
    while True:
        answer = holds()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(pause)


def run_cases(cases, server, only=None):
    """Runs each case with the server and its own Problems, and prints what came of it."""
    for case in cases:
        if only and case.__name__ != only:
            continue
        problems = Problems()
        started = time.monotonic()
        try:
            case(server, problems)
        except Exception:
            problems.append(traceback.format_exc())
        if server.process.poll() is not None:
            problems.append(f"the server ended with {server.process.returncode}\n{server.tail()}")
            server.start()
        print(json.dumps({
            "name": case.__doc__.strip().split("\n")[0], "case": case.__name__, "problems": problems,
            "seconds": round(time.monotonic() - started, 2)}), flush=True)
