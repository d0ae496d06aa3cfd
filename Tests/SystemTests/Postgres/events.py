"""HTTP's side: server-sent events of views and topics, records, requests that are carried out once, the description."""

import collections
import json
import resource
import selectors
import socket
import struct
import threading
import time
import urllib.error
import urllib.request

import psycopg


def ask(server, path, body=None, headers=()):
    """Status and body, decoded where it is JSON."""
    request = urllib.request.Request(f"http://{server.http}{path}", data=None if body is None else body.encode(), headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def sql(server, text):
    status, answer = ask(server, "/v1/sql", text)
    assert status == 200, answer
    return answer["results"]


class Events(threading.Thread):
    """What a browser's EventSource does (HTML, "Server-sent events"), without coming back by itself."""

    def __init__(self, server, path, last_id=None):
        super().__init__(daemon=True)
        self.events, self.last_id, self.error, self.is_over = [], last_id, None, False
        headers = {"Accept": "text/event-stream"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        self.answer = urllib.request.urlopen(urllib.request.Request(f"http://{server.http}{path}", headers=headers), timeout=60)
        assert self.answer.headers["Content-Type"] == "text/event-stream", self.answer.headers
        self.start()

    def run(self):
        name, data, last = "message", [], self.last_id
        try:
            for line in self.answer:
                line = line.decode().rstrip("\n")
                if line == "":
                    self.last_id = last
                    if data:
                        self.events.append((name, self.last_id, json.loads("\n".join(data))))
                    name, data = "message", []
                    continue
                field, _, value = line.partition(":")
                value = value[1:] if value.startswith(" ") else value
                if field == "event":
                    name = value
                elif field == "data":
                    data.append(value)
                elif field == "id":
                    last = value
        except (OSError, ValueError, AttributeError) as error:
            self.error = error
        self.is_over = True

    def rows(self):
        return [data for name, _, data in self.events if name == "message"]

    def wait(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition(self):
                return True
            time.sleep(0.01)
        return False

    def leave(self):
        # The socket itself: what is buffered must not keep the thread.
        self.answer.fp.raw._sock.shutdown(socket.SHUT_RDWR)
        self.join(5)


def held(rows):
    """What a view has, by what it told."""
    bag = collections.Counter()
    for change in rows:
        bag[json.dumps(change["row"], sort_keys=True)] += change["weight"]
    return {row: count for row, count in bag.items() if count}


def current(server, view):
    return dict(collections.Counter(json.dumps(row, sort_keys=True) for row in sql(server, f"SELECT * FROM {view}")[0]["rows"]))


def view_events(server, problems):
    """a view's changes come as events; whoever comes back with the last id misses nothing and gets nothing twice"""
    sql(server, "CREATE TABLE clicks (id INT PRIMARY KEY, page TEXT); "
        "CREATE MATERIALIZED VIEW pages AS SELECT page, count(*) AS n FROM clicks GROUP BY page; INSERT INTO clicks VALUES (0, 'a'); FLUSH")
    steady = Events(server, "/v1/views/pages/changes")
    problems.check(steady.wait(lambda it: any(name == "live" for name, _, _ in it.events)), f"never live: {steady.events}")
    problems.check([name for name, _, _ in steady.events] == ["snapshot", "message", "live"], f"the beginning: {steady.events}")

    stopping = threading.Event()

    def write():
        number = 1
        with psycopg.connect(server.conninfo, autocommit=True) as writer:
            while not stopping.is_set():
                values = ", ".join(f"({number + k}, 'p{(number + k) % 7}')" for k in range(5))
                writer.execute(f"INSERT INTO clicks VALUES {values}")
                number += 5
                time.sleep(0.005)
            writer.execute("FLUSH")

    writer = threading.Thread(target=write)
    writer.start()
    # One that is cut off again and again, after a number of events that is now within a tick and now at its end.
    told, last, cuts = list(steady.rows()[:1]), steady.last_id, 0
    for _ in range(12):
        part = Events(server, "/v1/views/pages/changes", last)
        part.wait(lambda it: len(it.events) >= 7, 10)
        part.leave()
        problems.check(all(name == "message" for name, _, _ in part.events), f"no plain changes: {part.events[:3]}")
        # As if the connection had broken behind the fifth.
        kept = part.events[:5]
        told += [data for _, _, data in kept]
        last = kept[-1][1] if kept else last
        cuts += 1
    stopping.set()
    writer.join()
    end = Events(server, "/v1/views/pages/changes?progress=true", last)
    tick = None
    end.wait(lambda it: any(name == "progress" for name, _, _ in it.events))
    want = current(server, "pages")
    problems.check(end.wait(lambda it: held(told + it.rows()) == want), f"after {cuts} cuts: {held(told + end.rows())} for {want}")
    problems.check(steady.wait(lambda it: held(it.rows()) == want), f"without a cut: {held(steady.rows())} for {want}")
    problems.check(told + end.rows() == steady.rows(), "a stream with cuts tells something else than one without")
    ids = [id for name, id, _ in steady.events if name == "message"]
    problems.check(len(set(ids[1:])) == len(ids) - 1, "an id came twice")
    sql(server, "ALTER TABLE clicks ADD COLUMN seconds INT")
    for other in (steady, end):
        other.leave()

    gone = ask(server, "/v1/views/pages/changes?since=1")
    problems.check(gone[0] == 410 and gone[1]["error"]["sqlstate"] == "53400", f"since long ago: {gone}")
    lost = Events(server, "/v1/views/pages/changes", "1")
    problems.check(lost.wait(lambda it: any(name == "live" for name, _, _ in it.events)), f"long ago: {lost.events}")
    problems.check([name for name, _, _ in lost.events][:2] == ["gap", "snapshot"], f"long ago: {lost.events[:2]}")
    problems.check(held(lost.rows()) == want, "the snapshot behind a gap")
    lost.leave()
    for path, status in [("/v1/views/nothing/changes", 404), ("/v1/views/pages/changes?since=x", 400), ("/v1/views/pages/changes?x=1", 400)]:
        problems.check(ask(server, path)[0] == status, f"{path}: {ask(server, path)}")


def topic_events(server, problems):
    """records of a topic come as events and as pages, by what is committed"""
    sql(server, "CREATE SOURCE visits (k TEXT, n INT) WITH (connector = 'kafka', topic = 'visits') FORMAT PLAIN ENCODE JSON; "
        "CREATE MATERIALIZED VIEW visited AS SELECT count(*) AS n FROM visits")
    live = Events(server, "/v1/topics/visits/changes")
    problems.check(live.wait(lambda it: it.last_id is not None), "no place at the beginning")
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = "".join(json.dumps({"k": f"k{n % 5}", "n": n}) + "\n" for n in range(100))
    status, answer = ask(server, "/v1/topics/visits?key=k", body, {"traceparent": trace, "tracestate": "a=1"})
    problems.check(status == 200 and answer["accepted"] == 100, f"{status} {str(answer)[:300]}")
    problems.check(live.wait(lambda it: len(it.events) == 100), f"{len(live.events)} of 100 events")
    values = sorted(data["value"]["n"] for _, _, data in live.events)
    problems.check(values == list(range(100)), f"values: {values}")
    headers = live.events[0][2]["headers"]
    problems.check(headers == [{"key": "traceparent", "value": trace}, {"key": "tracestate", "value": "a=1"}], f"{headers}")
    again = Events(server, "/v1/topics/visits/changes", live.events[39][1])
    problems.check(again.wait(lambda it: len(it.events) == 60), f"{len(again.events)} of 60 after the fortieth")
    seen = live.events[:40] + again.events
    problems.check(sorted(data["value"]["n"] for _, _, data in seen) == list(range(100)), "a resumed stream misses or repeats")
    for stream in (live, again):
        stream.leave()

    pages, path = [], "/v1/topics/visits/records?limit=33"
    while True:
        _, page = ask(server, path)
        if not page["records"]:
            break
        pages.append(page["records"])
        path = f"/v1/topics/visits/records?limit=33&next={page['next']}"
    problems.check([len(page) for page in pages] == [33, 33, 33, 1], f"pages: {[len(page) for page in pages]}")
    problems.check(sorted(r["value"]["n"] for page in pages for r in page) == list(range(100)), "pages miss or repeat")
    newest = ask(server, "/v1/topics/visits/records?partition=0&offset=-1")[1]["records"]
    problems.check(len(newest) == 1, f"the last one: {newest}")
    for path, status in [
        ("/v1/topics/none/records", 404), ("/v1/topics/visits/records?partition=99", 400),
        ("/v1/topics/visits/records?partition=0&offset=1000000", 400), ("/v1/topics/visits/changes?since=zero", 400),
    ]:
        problems.check(ask(server, path)[0] == status, f"{path}: {ask(server, path)}")
    later = ask(server, "/v1/topics/visits/records?from=2100-01-01T00:00:00Z")[1]["records"]
    problems.check(later == [], f"from a future time: {later[:1]}")


def once(server, problems):
    """a request with an Idempotency-Key is carried out once, also across a restart"""
    sql(server, "CREATE SOURCE payments (n INT) WITH (connector = 'kafka', topic = 'payments') FORMAT PLAIN ENCODE JSON; "
        "CREATE MATERIALIZED VIEW paid AS SELECT sum(n) AS n FROM payments")
    key = {"Idempotency-Key": "order 17"}
    body = '{"n": 1}\nnonsense\n{"n": 2}\n'
    first = ask(server, "/v1/topics/payments?key=n", body, key)
    problems.check(first[0] == 200 and first[1]["accepted"] == 2 and first[1]["refused"] == 1, f"{first}")
    problems.check(ask(server, "/v1/topics/payments?key=n", body, key) == first, "the second answer is another")
    problems.check(ask(server, "/v1/topics/payments?key=n", body + '{"n": 3}', key)[0] == 422, "another request with the same key")
    problems.check(ask(server, "/v1/topics/payments?key=n", body, {"Idempotency-Key": "x" * 300})[0] == 400, "a long key")
    server.stop()
    server.start()
    problems.check(ask(server, "/v1/topics/payments?key=n", body, key) == first, "after a restart the answer is another")
    records = ask(server, "/v1/topics/payments/records")[1]["records"]
    problems.check(sorted(r["value"]["n"] for r in records) == [1, 2], f"{records}")
    other = ask(server, "/v1/topics/payments?key=n", body, {"Idempotency-Key": "order 18"})
    problems.check(other[1]["accepted"] == 2 and other != first, f"another key: {other}")


def description(server, problems):
    """the description is valid OpenAPI 3.1, and its lines for curl work"""
    from openapi_spec_validator import validate

    sql(server, 'CREATE TABLE "odd ""name" (a INT PRIMARY KEY, "limit" NUMERIC, "key" TEXT, d JSONB, s TEXT[]); '
        'CREATE SCHEMA shop; CREATE TABLE shop.goods (id INT, part INT, price NUMERIC, PRIMARY KEY (id, part)); '
        "INSERT INTO shop.goods VALUES (1, 2, 9.50), (1, 3, 1); FLUSH")
    document = ask(server, "/v1/openapi.json")[1]
    validate(document)
    reads = [path for path in document["paths"] if path.startswith("/v1/views/") and not path.endswith("/changes")]
    problems.check("/v1/views/shop.goods" in reads and len(reads) >= 2, f"{reads}")
    for path in reads:
        line = document["paths"][path]["get"]["x-codeSamples"][0]["source"]
        problems.check(line.startswith(f"curl 'http://{server.http}{path}"), line)
        problems.check(ask(server, path)[0] == 200, f"{path}: {ask(server, path)}")
    found = ask(server, "/v1/views/shop.goods?key=1,2")
    problems.check(found[1].get("rows") == [{"id": 1, "part": 2, "price": 9.5}], f"by key: {found}")
    found = ask(server, "/v1/views/shop.goods?where=price%20%3C%205&limit=1")
    problems.check(found[1].get("rows") == [{"id": 1, "part": 3, "price": 1}], f"by condition: {found}")
    problems.check(ask(server, "/v1/views/shop.goods?key=1")[0] == 400, "half a key")
    problems.check(ask(server, "/v1/views/shop.goods?nothing=1")[0] == 400, "no such column")


def kept_changes(server, problems):
    """a subscription's changes outlive the server: whoever comes back after kill -9 misses nothing and gets nothing twice"""
    sql(server, "CREATE TABLE parcels (id INT PRIMARY KEY, place TEXT); "
        "CREATE MATERIALIZED VIEW places AS SELECT place, count(*) AS n FROM parcels GROUP BY place; "
        "CREATE SUBSCRIPTION moves FROM places WITH (retention = '1 hour')")
    number = 0

    def write(times):
        nonlocal number
        for _ in range(times):
            values = ", ".join(f"({number + k}, 'p{(number + k) % 5}')" for k in range(4))
            sql(server, f"INSERT INTO parcels VALUES {values}; FLUSH")
            number += 4

    write(3)
    part = Events(server, "/v1/views/places/changes")
    problems.check(part.wait(lambda it: any(name == "live" for name, _, _ in it.events)), f"never live: {part.events}")
    write(3)
    part.wait(lambda it: len(it.rows()) >= 12)
    # As if the connection had broken within the tick of the second write.
    kept = [event for event in part.events if event[0] in ("message", "live")]
    cut = [at for at, event in enumerate(kept) if event[1] and event[1].endswith(".3")][0]
    told, last = [data for name, _, data in kept[:cut + 1] if name == "message"], kept[cut][1]
    part.leave()
    for signal in ("kill", "terminate"):
        write(2)
        getattr(server.process, signal)()
        server.process.wait(30)
        server.start()
        write(2)
    part = Events(server, "/v1/views/places/changes", last)
    want = current(server, "places")
    problems.check(part.wait(lambda it: held(told + it.rows()) == want), f"after restarts: {held(told + part.rows())} for {want}")
    problems.check(all(name == "message" for name, _, _ in part.events), f"not all plain: {part.events[:3]}")
    before = {id for name, id, _ in kept[:cut + 1] if name == "message"}
    problems.check(not before & {id for _, id, _ in part.events}, "a change came twice")
    part.leave()

    with psycopg.connect(server.conninfo, autocommit=True) as session:
        tick = int(last.split(".")[0]) - 1
        session.execute(f"DECLARE behind SUBSCRIPTION CURSOR FOR moves SINCE TICK {tick}")
        rows = session.execute("FETCH 1000 FROM behind").fetchall()
        problems.check(rows and all(row[-1] > tick for row in rows), f"behind tick {tick}: {rows[:2]}")
        session.execute("DECLARE oldest SUBSCRIPTION CURSOR FOR moves SINCE begin()")
        every = session.execute("FETCH 1000 FROM oldest").fetchall()
        bag = collections.Counter()
        for place, n, operation, _ in every:
            bag[json.dumps({"n": n, "place": place}, sort_keys=True)] += 1 if operation == "Insert" else -1
        problems.check({row: count for row, count in bag.items() if count} == want, f"from the beginning: {bag} for {want}")
        problems.check(every[-len(rows):] == rows, "the two cursors disagree")

    # Other columns: whoever knew the old ones begins again.
    sql(server, "CREATE SUBSCRIPTION arrivals FROM parcels; INSERT INTO parcels VALUES (-1, 'x'); FLUSH")
    part = Events(server, "/v1/views/parcels/changes?snapshot=false")
    part.wait(lambda it: it.last_id is not None)
    sql(server, "INSERT INTO parcels VALUES (-2, 'x'); ALTER TABLE parcels ADD COLUMN weight INT; INSERT INTO parcels VALUES (-3, 'x', 7); FLUSH")
    problems.check(part.wait(lambda it: it.is_over), "a stream goes on over other columns")
    problems.check([data["row"]["id"] for data in part.rows()] == [-2], f"before the other columns: {part.rows()}")
    problems.check(part.events[-1][0] == "end" and part.events[-1][2]["error"]["sqlstate"] == "0A000", f"its end: {part.events[-1]}")
    for _ in range(2):
        again = Events(server, "/v1/views/parcels/changes", part.last_id)
        problems.check(again.wait(lambda it: any(name == "live" for name, _, _ in it.events)), f"never live: {again.events[:2]}")
        problems.check([name for name, _, _ in again.events][:2] == ["gap", "snapshot"], f"the beginning: {again.events[:2]}")
        problems.check({"id": -3, "place": "x", "weight": 7} in [data["row"] for data in again.rows()], "the new column")
        again.leave()
        server.stop()
        server.start()
    sql(server, "DROP SUBSCRIPTION arrivals; DROP SUBSCRIPTION moves; INSERT INTO parcels VALUES (-4, 'x'); FLUSH")


class Subscriber:
    """A bare client of PostgreSQL's protocol: SUBSCRIBE, and the rows that come."""

    def __init__(self, server, text):
        self.socket = socket.create_connection((server.host, int(server.port)))
        start = struct.pack("!ii", 0, 196608) + b"user\0ann\0database\0dev\0\0"
        query = b"Q" + struct.pack("!i", 4 + len(text) + 1) + text.encode() + b"\0"
        self.socket.sendall(struct.pack("!i", len(start)) + start[4:] + query)
        self.socket.setblocking(False)
        self.bytes, self.rows = bytearray(), []

    def take(self):
        self.bytes += self.socket.recv(1 << 16)
        at = 0
        while len(self.bytes) - at >= 5:
            length = struct.unpack_from("!i", self.bytes, at + 1)[0]
            if len(self.bytes) - at < length + 1:
                break
            if self.bytes[at:at + 1] == b"d":
                self.rows.append(bytes(self.bytes[at + 5:at + length + 1]))
            elif self.bytes[at:at + 1] == b"E":
                raise ValueError(bytes(self.bytes[at:at + length + 1]))
            at += length + 1
        del self.bytes[:at]


def nobody_left(server, seconds=10):
    """Whether the server soon has no connection of PostgreSQL's protocol any more."""
    end = time.monotonic() + seconds
    while "\nmartlet_postgres_connections 0\n" not in ask(server, "/metrics")[1]:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def thousand_subscribers(server, problems):
    """a thousand subscribers get every change, once and in order, while some leave in the middle of COPY"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    count, rows = 1000, 20
    sql(server, "CREATE TABLE beats (n INT PRIMARY KEY); INSERT INTO beats VALUES (0); FLUSH")
    chooser = selectors.DefaultSelector()
    subscribers = [Subscriber(server, "SUBSCRIBE TO beats") for _ in range(count)]
    for subscriber in subscribers:
        chooser.register(subscriber.socket, selectors.EVENT_READ, subscriber)

    def gather(isDone, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not isDone():
            for key, _ in chooser.select(0.05):
                key.data.take()
        return isDone()

    problems.check(gather(lambda: all(it.rows for it in subscribers)), "not everybody has begun")
    leaving = subscribers[::10]
    with psycopg.connect(server.conninfo, autocommit=True) as writer:
        for n in range(1, rows):
            writer.execute("INSERT INTO beats VALUES (%s)", [n])
            if n == rows // 2:
                for subscriber in leaving:
                    chooser.unregister(subscriber.socket)
                    subscriber.socket.close()
    staying = [it for it in subscribers if it not in leaving]
    numbers = lambda it: [int(row.split()[2]) for row in it.rows]
    problems.check(gather(lambda: all(len(numbers(it)) >= rows for it in staying)), "somebody lacks a change")
    wrong = [numbers(it) for it in staying if numbers(it) != list(range(rows))]
    problems.check(not wrong, f"{len(wrong)} of {len(staying)}: {wrong[:1]}")
    for subscriber in staying:
        subscriber.socket.close()
    problems.check(nobody_left(server), "connections are left over")


def half_copies(server, problems):
    """a client that goes away in the middle of COPY leaves nothing behind, in either direction"""
    sql(server, "CREATE TABLE loads (n INT, word TEXT); CREATE TABLE bulk (n INT, word TEXT); "
        "INSERT INTO bulk SELECT n, repeat('x', 200) FROM generate_series(1, 20000) AS n; FLUSH")

    def begin(text, answer):
        client = Subscriber(server, text)
        client.socket.setblocking(True)
        seen = b""
        while answer not in seen:
            seen += client.socket.recv(1 << 16)
        return client.socket

    row = b"1\tone\n"
    message = b"d" + struct.pack("!i", 4 + len(row)) + row
    for sent, isAbrupt in [(message * 3, False), (message * 1000 + message[:7], False), (message * 50 + b"d", True)]:
        client = begin("COPY loads FROM STDIN", b"G\0\0\0")
        client.sendall(sent)
        if isAbrupt:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    for _ in range(3):
        begin("COPY bulk TO STDOUT", b"H\0\0\0").close()
    problems.check(nobody_left(server), "connections are left over")
    found = sql(server, "SELECT count(*) AS n FROM loads")[0]["rows"]
    problems.check(found == [{"n": 0}], f"rows of halves: {found}")


CASES = [view_events, topic_events, once, description, kept_changes, thousand_subscribers, half_copies]
