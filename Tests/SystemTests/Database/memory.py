"""State larger than memory: memory.py BINARY FOLDER EVENTS LIMIT_MB.

The same views are filled by a server without a limit to its memory and by one with, which is killed on the way. What they show
must be the same, and the second must keep to its limit. Prints one line of JSON.
"""

import json
import signal
import subprocess
import sys
import time
import zlib
from urllib.request import urlopen

import psycopg

VIEWS = """
CREATE SOURCE bids (auction BIGINT, bidder BIGINT, price BIGINT, url TEXT, date_time TIMESTAMP,
  WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds')
WITH (connector = 'generator', kind = 'nexmark', stream = 'bid', events = '{events}', seed = '7') FORMAT PLAIN ENCODE JSON;
CREATE SOURCE auctions (id BIGINT, category BIGINT, item_name TEXT, date_time TIMESTAMP,
  WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds')
WITH (connector = 'generator', kind = 'nexmark', stream = 'auction', events = '{events}', seed = '7') FORMAT PLAIN ENCODE JSON;
CREATE MATERIALIZED VIEW by_key AS SELECT url || '/' || price AS key, auction, count(*) AS n, sum(price) AS total, max(url) AS last
FROM bids GROUP BY url || '/' || price, auction;
CREATE MATERIALIZED VIEW joined AS SELECT a.category, count(*) AS n, sum(b.price) AS total, max(b.url || a.item_name) AS last
FROM bids b JOIN auctions a ON b.auction = a.id GROUP BY a.category;
CREATE MATERIALIZED VIEW windowed AS SELECT window_start, auction, bidder, count(*) AS n, sum(price) AS total
FROM TUMBLE(bids, date_time, INTERVAL '1 hour') GROUP BY window_start, auction, bidder;
"""

QUESTIONS = ["SELECT * FROM by_key", "SELECT * FROM joined", "SELECT * FROM windowed"]


class Server:
    running = None

    def __init__(self, binary, folder, name, limit):
        self.words = [binary, "serve", "--data-dir", f"{folder}/{name}", "--no-kafka", "--http", "127.0.0.1:0", "--postgres", "127.0.0.1:0"]
        self.words += ["--checkpoint-seconds", "1", f"{folder}/views.sql"] + (["--set", f"memory_limit={limit}MB"] if limit else [])
        self.log, self.last = f"{folder}/{name}.log", 0

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, stderr=log, text=True)
        Server.running = self.process
        self.ports = {}
        for _ in range(2):
            line = self.process.stdout.readline()
            if " on " not in line:
                with open(self.log, errors="replace") as log:
                    raise SystemExit("the server did not start:\n" + "".join(log.readlines()[-20:]))
            self.ports[line.split(" ")[0]] = int(line.rsplit(":", 1)[1])

    def connect(self):
        return psycopg.connect(host="127.0.0.1", port=self.ports["postgres"], user="memory", dbname="dev", autocommit=True)

    def stop(self, how):
        self.process.send_signal(how)
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

    def peak(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

    def figure(self, name):
        with urlopen(f"http://127.0.0.1:{self.ports['http']}/metrics") as page:
            lines = page.read().decode().splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + " ")), 0)

    def fill(self, share=1.0, events=1):
        """Waits until that share of the bids has been taken in."""
        with self.connect() as connection:
            while True:
                # The generator makes 46 bids of 50 events.
                taken = connection.execute("SELECT coalesce(sum(n), 0)::bigint FROM windowed").fetchone()[0]
                joined = connection.execute("SELECT coalesce(sum(n), 0)::bigint FROM joined").fetchone()[0]
                # The join's last pairs may come a little later.
                if taken >= events * 46 // 50 * share and (share < 1 or joined == self.last > 0):
                    return
                self.last = joined
                time.sleep(0.25)

    def answers(self):
        """Of each view how many rows it shows, and the sum of their checksums, whatever their order."""
        found = []
        with self.connect() as connection:
            for question in QUESTIONS:
                count = total = 0
                with connection.cursor().copy(f"COPY ({question}) TO STDOUT") as copy:
                    rest = b""
                    for part in copy:
                        *lines, rest = (rest + part).split(b"\n")
                        count += len(lines)
                        total += sum(map(zlib.crc32, lines))
                found.append((count, total))
        return found


def main(binary, folder, events, limit):
    with open(f"{folder}/views.sql", "w") as file:
        file.write(VIEWS.format(events=events))
    facts = {}
    free = Server(binary, folder, "free", 0)
    started = time.monotonic()
    free.start()
    free.fill(events=events)
    facts["free_seconds"] = round(time.monotonic() - started, 1)
    wanted = free.answers()
    facts["free_peak_mb"] = free.peak() // 1024
    free.stop(signal.SIGTERM)

    bound = Server(binary, folder, "bound", limit)
    started = time.monotonic()
    bound.start()
    bound.fill(0.6, events)
    peaks = [bound.peak()]
    facts["page_outs_before_kill"] = bound.figure("martlet_state_page_outs_total")
    bound.stop(signal.SIGKILL)
    bound.start()
    bound.fill(events=events)
    facts["bound_seconds"] = round(time.monotonic() - started, 1)
    facts["same"] = bound.answers() == wanted
    peaks.append(bound.peak())
    facts["bound_peak_mb"] = max(peaks) // 1024
    for name in ("page_outs_total", "page_ins_total", "paged_out_bytes", "resident_bytes"):
        facts[name] = bound.figure("martlet_state_" + name)
    # Everything is restored from a checkpoint, and read again.
    bound.stop(signal.SIGTERM)
    bound.start()
    facts["same_after_restart"] = bound.answers() == wanted
    facts["restart_peak_mb"] = bound.peak() // 1024
    facts["code"] = bound.stop(signal.SIGTERM)
    print(json.dumps(facts))


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    finally:
        Server.running.kill()
