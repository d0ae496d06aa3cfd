"""The two that are asked, how their answers are compared, and a server of Martlet's to ask."""

import os
import subprocess

import psycopg


class Broken(Exception):
    """The connection is gone."""


class Side:
    """One of the two, asked in text through the simple protocol. `names` and `types`: of the last answer's columns, where types matter."""
    TYPES = {701: "double", 1186: "interval", 1700: "numeric"}

    def __init__(self, **where):
        self.where = where
        self.connection = psycopg.connect(autocommit=True, **where)

    def ask(self, sql):
        """(rows, None), or (None, (SQLSTATE, message))."""
        result = self.connection.pgconn.exec_(sql.encode())
        if result.status in (psycopg.pq.ExecStatus.FATAL_ERROR, psycopg.pq.ExecStatus.BAD_RESPONSE):
            field = lambda of: (result.error_field(of) or b"").decode(errors="replace")
            state = field(psycopg.pq.DiagnosticField.SQLSTATE)
            if not state:
                raise Broken(f"the connection broke at: {sql}")
            return None, (state, field(psycopg.pq.DiagnosticField.MESSAGE_PRIMARY))
        self.names = [result.fname(column) for column in range(result.nfields)]
        self.types = [Side.TYPES.get(result.ftype(column), "other") for column in range(result.nfields)]
        rows = []
        for row in range(result.ntuples):
            values = (result.get_value(row, column) for column in range(result.nfields))
            rows.append(tuple(None if value is None else value.decode() for value in values))
        return rows, None

    def do(self, sql):
        rows, error = self.ask(sql)
        if error:
            raise RuntimeError(f"{error}: {sql}")
        return rows


def length(text):
    """How long an interval is: those of one length are equal, and either may stand for a group of them."""
    micros, words = 0, text.split()
    for number, unit in zip(words[::2], words[1::2]):
        micros += int(number) * {"y": 360, "m": 30, "d": 1}[unit[0]] * 86_400_000_000
    if ":" in words[-1]:
        hours, minutes, seconds = words[-1].lstrip("+-").split(":")
        clock = (int(hours) * 60 + int(minutes)) * 60_000_000 + round(float(seconds) * 1_000_000)
        micros += -clock if words[-1].startswith("-") else clock
    return micros


def canonical(rows, types):
    def value(text, type):
        if text is None:
            return "NULL"
        if type == "interval":
            return f"'{length(text)}"
        # Keys of groups and sets have one zero, where PostgreSQL keeps the sign of the first that came.
        return f"{float(text) + 0.0:.9g}" if type == "double" else "'" + text
    return sorted(tuple(value(text, type) for text, type in zip(row, types)) for row in rows)


def serve(binary, data, log, *options):
    """A server's process and the port where it is asked."""
    with open(log, "ab") as errors:
        process = subprocess.Popen(
            [binary, "serve", "--data-dir", data, "--no-kafka", "--no-http", "--postgres", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE, stderr=errors)
    for line in process.stdout:
        if line.startswith(b"postgres on "):
            return process, int(line.decode().split()[-1].rsplit(":", 1)[1])
    process.wait()
    raise SystemExit("the server did not start: see " + os.path.abspath(log))
