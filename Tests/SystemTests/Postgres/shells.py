"""psql, `martlet sql` and HTTP."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import termios
import time
import urllib.error
import urllib.parse
import urllib.request


def psql_session(server, problems):
    """psql shows rows, errors with a caret, and its own listings"""
    said = server.psql("CREATE TABLE pairs (k INT PRIMARY KEY, v TEXT)", "INSERT INTO pairs VALUES (1, 'one'), (2, NULL)", "TABLE pairs")
    problems.equal(said, "CREATE TABLE\nINSERT 0 2\n k |  v  \n---+-----\n 1 | one\n 2 | \n(2 rows)\n\n", "rows")
    said = server.psql("SELECT nope FROM pairs")
    problems.equal(said, 'ERROR:  column "nope" does not exist\nLINE 1: SELECT nope FROM pairs\n               ^\n', "error")
    for command, expected in [(r"\dt", "pairs"), (r"\d", "pairs"), (r"\l", "dev"), (r"\dn", "public")]:
        said = server.psql(command)
        problems.check(expected in said and "ERROR" not in said, f"{command}: {said}")
    said = server.psql(text="\\copy pairs from stdin csv\n3,three\n4,\n\\.\nBEGIN;\nDELETE FROM pairs;\nROLLBACK;\nSELECT count(*) FROM pairs;\n")
    problems.check(said.startswith("COPY 2\nBEGIN\nDELETE 4\nROLLBACK\n count \n-------\n     4\n"), said)
    said = server.psql(r"\copy (SELECT * FROM pairs ORDER BY k) TO STDOUT CSV HEADER")
    problems.equal(said, "k,v\n1,one\n2,\n3,three\n4,\n", "copy out")


def own_shell(server, problems):
    """martlet sql runs pipes, files and -c, in every output format, and ends at the first error"""
    done = server.shell(text="CREATE TABLE shelled (k INT PRIMARY KEY, v TEXT);\nCOPY shelled FROM STDIN;\n1\tone\n2\t\\N\n\\.\nTABLE\nshelled;\n")
    problems.equal((done.returncode, done.stderr), (0, ""), "exit code")
    problems.equal(done.stdout, "CREATE TABLE\nCOPY 2\n k |  v\n---+-----\n 1 | one\n 2 |\n(2 rows)\n\n", "a pipe")
    question = "SELECT k, v, k = 1 AS first, 1.50 AS n FROM shelled ORDER BY k"
    for words, expected in [
        (["-o", "csv"], "k,v,first,n\n1,one,t,1.50\n2,,f,1.50\n"),
        (["-o", "json"], '{"k": 1, "v": "one", "first": true, "n": 1.50}\n{"k": 2, "v": null, "first": false, "n": 1.50}\n'),
        (["-x"], "-[ RECORD 1 ]-\nk     | 1\nv     | one\nfirst | t\nn     | 1.50\n-[ RECORD 2 ]-\nk     | 2\nv     |\nfirst | f\nn     | 1.50\n\n"),
    ]:
        problems.equal(server.shell(*words, "-c", question).stdout, expected, " ".join(words))
    done = server.shell(text="SELECT 1;\nSELECT\n  nope;\nSELECT 2;\n")
    problems.equal(done.returncode, 1, "exit code after an error")
    problems.equal(done.stderr, 'ERROR:  column "nope" does not exist\nLINE 2:   nope;\n          ^\n', "an error")
    problems.check("2" not in done.stdout, "it went on after the error")
    done = server.shell(text="\\d shelled\n\\dt\n\\nothing\n")
    problems.check("v" in done.stdout and "shelled" in done.stdout and done.returncode == 1, done.stdout + done.stderr)


class Terminal:
    """`martlet sql` on a terminal of its own."""

    def __init__(self, server):
        self.process, self.descriptor = pty.fork()
        if self.process == 0:
            os.environ.update(TERM="xterm", HOME=os.path.dirname(server.data))
            os.execv(server.binary, [server.binary, "sql", "--server", server.address])
        # Wide enough that no line is folded.
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.said = ""

    def wait(self, text, seconds=20):
        """Whether it says so; what it said up to there is gone then."""
        end = time.monotonic() + seconds
        while text not in self.said:
            ready, _, _ = select.select([self.descriptor], [], [], max(end - time.monotonic(), 0))
            if not ready:
                return False
            try:
                self.said += os.read(self.descriptor, 65536).decode(errors="replace")
            except OSError:
                return False
        self.said = self.said[self.said.index(text) + len(text):]
        return True

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def quit(self, seconds=10):
        """Whether it ended when asked to; it has ended in any case."""
        self.type("\\q\r")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if os.waitpid(self.process, os.WNOHANG)[0]:
                return True
            time.sleep(0.05)
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        return False


def terminal(server, problems):
    """on a terminal Tab completes names and words, Ctrl-C cancels a statement and gives up a line, and lines are remembered"""
    server.shell("-c", "CREATE TABLE customers (id BIGINT PRIMARY KEY, nickname TEXT); INSERT INTO customers VALUES (1, 'ann')")
    shell = Terminal(server)
    problems.check(shell.wait("martlet=> "), f"no prompt: {shell.said}")
    # What Tab adds appears behind what was typed.
    for typed, adds in [
        ("SELECT nick\t", "name "), (" FROM cust\t", "omers "), (";\r", "ann"), ("sel\t", "ect "), ("\x03", "martlet=> "),
        ("SELECT 1 FROM customers c WHERE c.nick\t", "name "), ("\x03", "martlet=> "), ("\\tim\t", "ing "), ("\r", "Timing is on."),
        ("\\d cust\t", "omers "), ("\r", "nickname"), ("SELECT pg_sleep(60);\r", "pg_sleep(60);"),
    ]:
        shell.type(typed)
        problems.check(shell.wait(adds, 5), f"{typed!r}: {shell.said!r}")
    began = time.monotonic()
    time.sleep(0.5)
    shell.type("\x03")
    problems.check(shell.wait("canceling statement due to user request") and time.monotonic() - began < 30, f"not cancelled: {shell.said!r}")
    shell.type("SELECT 'half\r")
    problems.check(shell.wait("martlet'> "), f"{shell.said!r}")
    shell.type("\x03")
    problems.check(shell.wait("martlet=> "), f"a line that was given up: {shell.said!r}")
    shell.type("SELECT 41 + 1 AS answer;\r")
    problems.check(shell.wait("42"), f"{shell.said!r}")
    shell.type("\x1b[A\r")
    problems.check(shell.wait("42"), f"the line before: {shell.said!r}")
    problems.check(shell.quit(), f"it does not end: {shell.said!r}")
    again = Terminal(server)
    problems.check(again.wait("martlet=> "), f"{again.said!r}")
    again.type("\x1b[A\x1b[A\r")
    problems.check(again.wait("42"), f"what was remembered: {again.said!r}")
    problems.check(again.quit(), f"it does not end: {again.said!r}")


def ask(server, path, body=None, kind="text/plain"):
    request = urllib.request.Request(f"http://{server.http}{path}", data=body and body.encode(), headers={"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def http_questions(server, problems):
    """HTTP carries out statements, gives a view's rows, and says what it understands"""
    status, _ = ask(server, "/v1/sql", "CREATE TABLE places (id INT PRIMARY KEY, \"My Name\" TEXT); INSERT INTO places VALUES (1, 'a'), (2, 'b\"')")
    problems.equal(status, 200, "DDL and DML")
    status, body = ask(server, "/v1/views/places?My+Name=b%22")
    problems.equal(status == 200 and json.loads(body)["rows"], [{"id": 2, "My Name": 'b"'}], "a view's rows")
    status, body = ask(server, "/v1/views/nowhere")
    problems.equal((status, json.loads(body)["error"]["sqlstate"]), (404, "42P01"), "an unknown view")
    status, body = ask(server, "/v1/sql", '{"sql": "SELECT $1::INT + 1 AS next", "parameters": [1]}', "application/json")
    problems.equal(json.loads(body)["results"][0]["rows"], [{"next": 2}], "parameters")
    status, body = ask(server, "/v1/sql", "INSERT INTO places VALUES (3, 'c'); SELECT 1 / 0")
    problems.equal((status, json.loads(body)["error"]["sqlstate"]), (400, "22012"), "an error")
    problems.equal(json.loads(ask(server, "/v1/views/places")[1])["tag"], "SELECT 2", "what failed is rolled back")
    problems.equal(ask(server, "/v1/topics/nowhere", "{}")[0], 404, "an unknown topic")
    problems.equal(json.loads(ask(server, "/v1/openapi.json")[1])["openapi"], "3.1.0", "OpenAPI")
    problems.check("martlet_postgres_connections" in ask(server, "/metrics")[1], "no metrics")


def http_keys(server, problems):
    """a row asked by its key is the one that any statement finds, at once after every change"""
    def change(text):
        status, body = ask(server, "/v1/sql", text)
        problems.equal(status, 200, f"{text}: {body}")

    def same(view, question, condition):
        """What is understood the first time, what is known from then on, and what a statement finds."""
        asked = [ask(server, f"/v1/views/{view}?{question}") for _ in range(3)]
        found = ask(server, f"/v1/views/{view}?{urllib.parse.urlencode({'where': condition})}")
        problems.check(all(answer == found for answer in asked), f"{view}?{question}: {asked}, by a condition {found}")
        return json.loads(found[1])["rows"]

    change("CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT, d JSONB, at TIMESTAMPTZ, n NUMERIC); "
           """INSERT INTO users VALUES (1, 'a"b
c', '{"k": [1]}', '2026-01-02 03:04:05Z', 1.50), (2, NULL, NULL, NULL, NULL)""")
    problems.equal([row["name"] for row in same("users", "key=1", "id = 1")], ['a"b\nc'], "a row")
    same("users", "key=2", "id = 2")
    same("users", "id=2&limit=1", "id = 2")
    problems.equal(same("users", "key=3", "id = 3"), [], "no row")
    change("UPDATE users SET name = 'new' WHERE id = 1; DELETE FROM users WHERE id = 2; INSERT INTO users VALUES (3, 'three')")
    for key, names in [(1, ["new"]), (2, []), (3, ["three"])]:
        problems.equal([row["name"] for row in same("users", f"key={key}", f"id = {key}")], names, f"{key} after a change")
    for question in ("key=x", "key=99999999999999999999", "key=%00", "key=1&nothing=1", "key=1&limit=x", "key=%zz"):
        problems.equal(ask(server, f"/v1/views/users?{question}")[0], 400, question)
    for question, names in [("key=1&limit=0", []), ("key=1&id=3", []), ("key=1&name=new", ["new"]), ("key=1&where=n%20IS%20NULL", [])]:
        rows = json.loads(ask(server, f"/v1/views/users?{question}")[1])["rows"]
        problems.equal([row["name"] for row in rows], names, question)
    change("CREATE TABLE visits (card TEXT, at TIMESTAMPTZ); INSERT INTO visits VALUES ('4,7', '2026-01-01T00:00:10Z'), ('5', '2026-01-01T00:01:10Z')")
    change("CREATE MATERIALIZED VIEW minutes AS SELECT card, window_start, count(*) AS n FROM TUMBLE(visits, at, INTERVAL '1 minute') "
           "GROUP BY card, window_start; FLUSH")
    minute = {"window_start": "2026-01-01T01:01:00+01"}
    problems.equal(same("minutes", urllib.parse.urlencode({"card": "5"} | minute), "card = '5'"),
                   [{"card": "5", "window_start": "2026-01-01T00:01:00.000Z", "n": 1}], "a window's row")
    problems.equal(same("minutes", urllib.parse.urlencode({"key": "5,2026-01-01T00:01:00Z"}), "card = '5'")[0]["n"], 1, "by the whole key")
    change("DROP TABLE users; CREATE TABLE users (name TEXT PRIMARY KEY, key INT); INSERT INTO users VALUES ('1', 5)")
    problems.equal(same("users", "name=1", "name = '1'"), [{"name": "1", "key": 5}], "another table of that name")
    problems.equal(same("users", "key=5", "key = 5"), [{"name": "1", "key": 5}], "a column that is named key")
    change("DROP TABLE users")
    problems.equal(ask(server, "/v1/views/users?name=1")[0], 404, "a table that is gone")


CASES = [psql_session, own_shell, terminal, http_questions, http_keys]
