"""Reads of one row by its key, message by message: what is answered at once says the same as what is carried out with a portal."""

import socket
import struct

import psycopg

TABLES = """
    CREATE TABLE by_bigint (id BIGINT PRIMARY KEY, name TEXT, at TIMESTAMPTZ, amount NUMERIC(10,2), flag BOOLEAN);
    INSERT INTO by_bigint VALUES (1, 'one', '2026-01-02 03:04:05.5+00', 1.50, true), (-7, NULL, NULL, NULL, NULL), (9000000000000000000, 'far', 'epoch', 0, false);
    CREATE TABLE by_int (id INT PRIMARY KEY, words TEXT[]);
    INSERT INTO by_int VALUES (1, '{a,b}'), (2147483647, NULL);
    CREATE TABLE by_text (name TEXT, kind TEXT, n INT, PRIMARY KEY (name, kind));
    INSERT INTO by_text VALUES ('a', 'x', 1), ('', '', 2), ('a name of more than twelve bytes', 'x', 3), ('ä', 'x', 4);
    CREATE TABLE by_day (day DATE PRIMARY KEY, n INT);
    INSERT INTO by_day VALUES ('2026-01-02', 1);
    FLUSH
"""


class Wire:
    """A bare client: whole answers, as bytes."""

    def __init__(self, server):
        self.socket = socket.create_connection((server.host, int(server.port)), timeout=20)
        start = struct.pack("!i", 196608) + b"user\0ann\0database\0dev\0\0"
        self.socket.sendall(struct.pack("!i", 4 + len(start)) + start)
        self.bytes = b""
        self.answer()

    def say(self, *messages):
        self.socket.sendall(b"".join(messages))

    def answer(self, ends=1):
        """Everything up to so many ReadyForQuery."""
        told = []
        while ends > 0:
            while len(self.bytes) < 5 or len(self.bytes) < 1 + struct.unpack_from("!i", self.bytes, 1)[0]:
                came = self.socket.recv(1 << 16)
                if not came:
                    raise EOFError(told)
                self.bytes += came
            length = 1 + struct.unpack_from("!i", self.bytes, 1)[0]
            told.append(self.bytes[:length])
            self.bytes = self.bytes[length:]
            ends -= told[-1][:1] == b"Z"
        return told

    def ask(self, *messages):
        self.say(*messages)
        return self.answer()

    def close(self):
        self.socket.close()


def message(kind, body=b""):
    return kind + struct.pack("!i", 4 + len(body)) + body


SYNC = message(b"S")


def parse(name, text):
    return message(b"P", name + b"\0" + text.encode() + b"\0\0\0")


def bind(name, values, portal=b"", formats=(), results=()):
    body = portal + b"\0" + name + b"\0" + struct.pack(f"!H{len(formats)}h", len(formats), *formats) + struct.pack("!H", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message(b"B", body + struct.pack(f"!H{len(results)}h", len(results), *results))


def describe(portal=b""):
    return message(b"D", b"P" + portal + b"\0")


def execute(portal=b"", rows=0):
    return message(b"E", portal + b"\0" + struct.pack("!i", rows))


QUESTIONS = [
    ("SELECT * FROM by_bigint WHERE id = $1", 5, [
        ([b"1"], ()), ([b"-7"], ()), ([b"9000000000000000000"], ()), ([b"2"], ()), ([b" 1 "], ()), ([b"x"], ()), ([b""], ()), ([None], ()),
        ([b"99999999999999999999"], ()), ([struct.pack("!q", 1)], (1,)), ([struct.pack("!q", -7)], (1,)), ([b"1234"], (1,)), ([b"1"], (2,)),
        ([b"1", b"1"], ()), ([], ()), ([b"1"], (0, 0))]),
    ("SELECT words, id FROM by_int WHERE id = $1", 2, [
        ([b"1"], ()), ([b"2147483647"], ()), ([b"2147483648"], ()), ([struct.pack("!i", 1)], (1,)), ([struct.pack("!q", 1)], (1,))]),
    ("SELECT n FROM by_text WHERE kind = $1 AND name = $2", 1, [
        ([b"x", b"a"], ()), ([b"", b""], ()), ([b"x", b"a name of more than twelve bytes"], ()), ([b"x", "ä".encode()], ()), ([b"x", b"b"], ()),
        ([b"x", b"\xff"], ()), ([b"x", b"a\0"], ()), ([b"x", b"a"], (1,)), ([b"x", b"a"], (0, 1)), ([b"x", None], ())]),
    ("SELECT n FROM by_day WHERE day = $1", 1, [([b"2026-01-02"], ()), ([b"never"], ()), ([struct.pack("!i", 9498)], (1,))]),
]


def same_bytes(server, problems):
    """every kind of key and value, in text and binary, there or not, sound or not"""
    with psycopg.connect(server.conninfo, autocommit=True) as session:
        session.execute(TABLES)
    wire = Wire(server)
    for number, (text, columns, questions) in enumerate(QUESTIONS):
        name = b"q%d" % number
        wire.ask(parse(name, text), SYNC)
        # From the second time on it is known what it is.
        wire.ask(bind(name, questions[0][0]), execute(), SYNC)
        for values, formats in questions:
            for results in [(), (0,), (1,), (1,) * columns, (0, 1) * columns, (3,)]:
                asked = [bind(name, values, formats=formats, results=results), describe(), execute(), SYNC]
                careful = [bind(name, values, b"p", formats, results), describe(b"p"), execute(b"p"), SYNC]
                said, expected = wire.ask(*asked), wire.ask(*careful)
                problems.check(said == expected, f"{text} {values} {formats} {results}: {said}, not {expected}")
                said, expected = wire.ask(asked[0], *asked[2:]), wire.ask(careful[0], *careful[2:])
                problems.check(said == expected, f"undescribed, {text} {values} {formats} {results}: {said}, not {expected}")
    wire.close()


def in_pipelines(server, problems):
    """many at once, an error among them, portals that somebody names once more, frames that come byte by byte"""
    wire = Wire(server)
    wire.ask(parse(b"q", "SELECT name FROM by_bigint WHERE id = $1"), SYNC)

    def read(value, *rest):
        return b"".join([bind(b"q", [value]), describe(), execute(), *rest])

    one = wire.ask(read(b"1"), SYNC)
    problems.check([told[:1] for told in one] == [b"2", b"T", b"D", b"C", b"Z"], f"{one}")
    wire.say(*[read(b"1") for _ in range(500)], SYNC)
    problems.check(wire.answer() == one[:-1] * 500 + one[-1:], "five hundred at once")
    wire.say(*[read(b"1", SYNC) for _ in range(300)])
    problems.check(wire.answer(300) == one * 300, "three hundred, each with its Sync")
    said = wire.ask(read(b"1"), read(b"x"), read(b"1"), SYNC)
    problems.check(said[:4] == one[:4] and [told[:1] for told in said[4:]] == [b"E", b"Z"], f"an error between: {said}")
    problems.check(wire.ask(read(b"1"), SYNC) == one, "after the error")
    said = wire.ask(bind(b"q", [b"1"]), execute(), describe(), SYNC)
    problems.check([told[:1] for told in said] == [b"2", b"D", b"C", b"T", b"Z"], f"described afterwards: {said}")
    said = wire.ask(bind(b"q", [b"1"]), execute(rows=1), execute(), SYNC)
    problems.check([told[:1] for told in said] == [b"2", b"D", b"s", b"C", b"Z"], f"one row at a time: {said}")
    said = wire.ask(bind(b"q", [b"1"]), execute(), execute(), SYNC)
    problems.check([told[:1] for told in said] == [b"2", b"D", b"C", b"E", b"Z"], f"executed twice: {said}")
    asked = read(b"1") + read(b"2") + SYNC
    for at in range(len(asked)):
        wire.say(asked[at:at + 1])
    problems.check([told[:1] for told in wire.answer()] == [b"2", b"T", b"D", b"C", b"2", b"T", b"C", b"Z"], "byte by byte")
    wire.say(read(b"1", SYNC), message(b"Q", b"SELECT 1\0"), read(b"1", SYNC))
    said = wire.answer(3)
    problems.check(said[:5] == one and said[-5:] == one and len(said) == 14, f"around a simple query: {said}")
    wire.close()


def what_changes(server, problems):
    """other settings, transactions, definitions and rows are seen by the next read"""
    wire = Wire(server)
    wire.ask(parse(b"q", "SELECT at FROM by_bigint WHERE id = $1"), SYNC)
    read = [bind(b"q", [b"1"]), execute(), SYNC]

    def found():
        said = [told[11:] for told in wire.ask(*read) if told[:1] == b"D"]
        return said[0] if said else None

    def query(text):
        wire.ask(message(b"Q", text.encode() + b"\0"))

    for _ in range(2):
        problems.check(found() == b"2026-01-02 03:04:05.5+00", f"{found()}")
    query("SET TimeZone = 'Asia/Tokyo'")
    for _ in range(2):
        problems.check(found() == b"2026-01-02 12:04:05.5+09", f"in Tokyo: {found()}")
    query("BEGIN; UPDATE by_bigint SET at = 'epoch' WHERE id = 1")
    problems.check(found() == b"1970-01-01 09:00:00+09", f"within a transaction: {found()}")
    query("ROLLBACK")
    problems.check(found() == b"2026-01-02 12:04:05.5+09", f"after it: {found()}")
    with psycopg.connect(server.conninfo, autocommit=True) as other:
        other.execute("UPDATE by_bigint SET at = 'epoch' WHERE id = 1")
        problems.check(found() == b"1970-01-01 09:00:00+09", f"another's update: {found()}")
        other.execute("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.by_bigint (id BIGINT PRIMARY KEY, at TIMESTAMPTZ)")
        for _ in range(2):
            problems.check(found() == b"1970-01-01 09:00:00+09", f"after a definition: {found()}")
        query("SET search_path = elsewhere, public")
        for _ in range(2):
            problems.check(found() is None, f"another table of the name: {found()}")
        other.execute("DROP SCHEMA elsewhere CASCADE")
        for _ in range(2):
            problems.check(found() == b"1970-01-01 09:00:00+09", f"without it: {found()}")
        other.execute("DELETE FROM by_bigint WHERE id = 1")
        problems.check(found() is None, f"deleted: {found()}")
    wire.close()


CASES = [same_bytes, in_pipelines, what_changes]
