"""Kills a server with SIGKILL while clients move money by transactions, and checks what it kept: kill.py BINARY FOLDER SECONDS SEED.

Each transfer is two updates and one line in a ledger, committed together. In every read of a view over the accounts their sum
is what it was in the beginning; after each start every acknowledged transfer is there, with its ledger line, once, and at
most one for each client that nobody was told of. Prints one line of JSON.
"""

import json
import random
import signal
import subprocess
import sys
import threading
import time

import psycopg

ACCOUNTS, BALANCE, CLIENTS = 50, 100, 3


class Server:
    def __init__(self, binary, folder):
        self.words = [binary, "serve", "--data-dir", f"{folder}/data", "--no-kafka", "--no-http", "--checkpoint-seconds", "1"]
        self.log, self.port = f"{folder}/serve.log", 0

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.words + ["--postgres", f"127.0.0.1:{self.port}"], stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("postgres on "):
            with open(self.log, errors="replace") as log:
                raise SystemExit("the server did not start:\n" + "".join(log.readlines()[-20:]))
        self.port = int(line.rsplit(":", 1)[1])

    def stop(self, how):
        self.process.send_signal(how)
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

    def connect(self):
        return psycopg.connect(host="127.0.0.1", port=self.port, user="kill", dbname="dev", autocommit=True)


def transfer(server, number, acknowledged, attempted, stopping, seed):
    chance = random.Random(seed)
    try:
        with server.connect() as connection:
            while not stopping.is_set():
                source, target = chance.sample(range(ACCOUNTS), 2)
                number += 1
                attempted.add(number)
                try:
                    with connection.transaction():
                        connection.execute("UPDATE account SET balance = balance - 1 WHERE id = %s", (source,))
                        connection.execute("UPDATE account SET balance = balance + 1 WHERE id = %s", (target,))
                        connection.execute("INSERT INTO ledger VALUES (%s, %s, %s)", (number, source, target))
                    acknowledged.add(number)
                except psycopg.errors.SerializationFailure:
                    attempted.discard(number)
    except psycopg.OperationalError:
        pass


def check(server, acknowledged, attempted, problems):
    with server.connect() as connection:
        ledger = [row[0] for row in connection.execute("SELECT n FROM ledger").fetchall()]
        there = set(ledger)
        if len(there) != len(ledger):
            problems.append(f"{len(ledger) - len(there)} transfers are there twice")
        if acknowledged - there:
            problems.append(f"{len(acknowledged - there)} acknowledged transfers are gone")
        if there - attempted:
            problems.append(f"{len(there - attempted)} transfers are there that were refused")
        total, count = connection.execute("SELECT total, n FROM wealth").fetchone()
        if (total, count) != (ACCOUNTS * BALANCE, ACCOUNTS):
            problems.append(f"the view says {total} in {count} accounts")
        if connection.execute("SELECT sum(balance) FROM account").fetchone()[0] != ACCOUNTS * BALANCE:
            problems.append("the table says another sum")
        if connection.execute("SELECT n FROM transfers").fetchone()[0] != len(ledger):
            problems.append("the view over the ledger counts otherwise than the ledger")
    return len(ledger)


def main(binary, folder, seconds, seed):
    server, chance, problems = Server(binary, folder), random.Random(seed), []
    server.start()
    with server.connect() as connection:
        connection.execute("CREATE TABLE account (id INT PRIMARY KEY, balance INT NOT NULL)")
        connection.execute("CREATE TABLE ledger (n INT PRIMARY KEY, source INT, target INT)")
        connection.execute("CREATE MATERIALIZED VIEW wealth AS SELECT sum(balance) AS total, count(*) AS n FROM account")
        connection.execute("CREATE MATERIALIZED VIEW transfers AS SELECT count(*) AS n FROM ledger")
        connection.execute(f"INSERT INTO account SELECT g, {BALANCE} FROM generate_series(0, {ACCOUNTS - 1}) AS s(g)")
    acknowledged, attempted, cycles, reads, kept = set(), set(), 0, 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stopping = threading.Event()
        clients = [
            threading.Thread(
                target=transfer,
                args=(server, (cycles * CLIENTS + at) * 100_000, acknowledged, attempted, stopping, chance.random()))
            for at in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        until = time.monotonic() + chance.uniform(0.3, 1.5)
        with server.connect() as connection:
            while time.monotonic() < until:
                reads += 1
                total, count = connection.execute("SELECT total, n FROM wealth").fetchone()
                if (total, count) != (ACCOUNTS * BALANCE, ACCOUNTS):
                    problems.append(f"while transfers went on the view said {total} in {count} accounts")
        server.stop(signal.SIGKILL)
        stopping.set()
        for client in clients:
            client.join()
        server.start()
        kept = check(server, acknowledged, attempted, problems)
        cycles += 1
    code = server.stop(signal.SIGTERM)
    if code != 0:
        problems.append(f"a clean stop gave {code}")
    server.start()
    check(server, acknowledged, attempted, problems)
    server.stop(signal.SIGTERM)
    print(json.dumps({
        "cycles": cycles, "acknowledged": len(acknowledged), "kept": kept, "reads": reads, "problems": problems[:10],
    }))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
