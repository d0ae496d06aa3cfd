"""Random histories of a database against PostgreSQL: histories.py MARTLET PGHOST SCRATCH [--histories N] [--seed N] [--seconds S].

Where run.py makes its views before there are rows, a history goes on in any order: views are made over rows that are there, over other
views, dropped, made anew under the same name; statements of all sorts and transactions change rows, columns are added, dropped and get
other names; changes are followed and added up, and poured into tables and topics; now and then the server is killed, also in the midst
of a statement, and starts with another number of shards.

PostgreSQL is told the same, a view being a plain one there, so that it answers what a materialized one must hold. After each event, of
which the server must have carried out all or nothing, all tables and views must be the same on both sides, and what followers added up must be the view.

A difference is made smaller (events are left out, then parts of queries) and printed. What Martlet refuses as not supported is counted;
where only one of the two meets an error of a row (22…) the statement is taken back, and a view that PostgreSQL cannot compute is not compared.
"""

import argparse
import collections
import json
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace
from decimal import Decimal

import psycopg

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import Amid, Ask, Author, Beside, Block, Drop, Era, Follow, Keep, Kill, LookBack, LookUp, Make, OfEra, Pour, Rename, STRICT_DEFINITION, TARDY_DEFINITION, Statement
from generator import FINAL_TABLES, MARTLET, POSTGRES, TABLES, smaller, table_definition
from sides import Broken, Side, canonical, serve

EVENTS = 45
ROWS = 3000
ALL_TABLES = (*TABLES, *FINAL_TABLES, "t8", "t9")
TARDY = TARDY_DEFINITION.format(watermark=", WATERMARK FOR w AS w - INTERVAL '1 hour'") + " APPEND ONLY"
SECONDS_TO_SETTLE = 8.0
SECONDS_TO_SHRINK = 150


class Problem(Exception):
    def __init__(self, kind, text):
        super().__init__(text)
        self.kind, self.text = kind, text


class Ended(Exception):
    """The two went different ways without fault: only one of them met an error of a row."""


def sorted_rows(rows, types):
    """Which of equal numbers, 0 and 0.00, stands for both in a group is nobody's promise."""
    def plain(text):
        number = Decimal(text)
        return str(number) if not number.is_finite() else "0" if number == 0 else str(number.normalize())
    rows = [[plain(text) if type == "numeric" and text is not None else text for text, type in zip(row, types)] for row in rows]
    return canonical(rows, types)


def fault(error):
    """What both must find at fault: which of a row's faults is found first is nobody's promise, nor what of a text makes no sense."""
    return error and ("a row" if error[0][:2] in ("21", "22", "23") else error[0][:2] if error[0][:2] == "42" else error[0])


class Cursor:
    """Adds up what a subscription's cursor gives."""

    def __init__(self, follow, watcher):
        self.follow, self.watcher = follow, watcher
        self.sums, self.tick = collections.Counter(), None
        for sql in follow.texts():
            self.check(watcher.ask(sql)[1])

    def check(self, error):
        if error:
            raise Problem("follower", f"{self.follow.name} of {self.follow.view}: {error}")

    def again(self, watcher):
        """Behind a start of the server."""
        self.watcher = watcher
        declare = self.follow.texts()[-1]
        if self.follow.way == "kept" and self.tick is not None:
            declare = declare.replace(" FULL", f" SINCE TICK {self.tick}")
        else:
            self.sums.clear()
        self.check(watcher.ask(declare)[1])

    def pump(self):
        while True:
            rows, error = self.watcher.ask(f"FETCH 10000 FROM {self.follow.name}_c")
            self.check(error)
            for *row, op, tick in rows:
                self.tick = tick
                self.sums[tuple(row)] += -1 if op.endswith("Delete") else 1
            if not rows:
                return

    def close(self):
        self.watcher.ask(f"CLOSE {self.follow.name}_c")


class Stream:
    """Adds up what SUBSCRIBE gives, and looks at it whenever a tick is complete."""

    def __init__(self, follow, connect):
        self.follow, self.connect = follow, connect
        self.begin()

    def begin(self):
        self.side, self.sums = self.connect(), collections.Counter()
        result = self.side.connection.pgconn.exec_(self.follow.texts()[0].encode())
        if result.status != psycopg.pq.ExecStatus.COPY_OUT:
            raise Problem("follower", f"{self.follow.name} of {self.follow.view}: {result.error_message}")

    def again(self, watcher):
        self.begin()

    def pump(self):
        plain = self.side.connection.pgconn
        plain.consume_input()
        while True:
            count, data = plain.get_copy_data(1)
            if count == 0:
                return
            if count < 0:
                error = plain.get_result().error_message
                raise Problem("follower", f"{self.follow.name} of {self.follow.view} ended: {error}")
            tick, weight, *row = (self.value(each) for each in bytes(data).decode().rstrip("\n").split("\t"))
            if weight is not None:
                self.sums[tuple(row)] += int(weight)
            elif any(sum < 0 for sum in self.sums.values()):
                raise Problem("follower", f"{self.follow.name} of {self.follow.view}: less than none at tick {tick}: {-self.sums}")

    @staticmethod
    def value(text):
        if text == "\\N":
            return None
        return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}.get(found[1], found[1]), text)

    def close(self):
        self.side.connection.close()


class Story:
    """Carries out a history; `counts` says what was done."""
    number = 0

    def __init__(self, binary, scratch, postgres, events, shards, options=()):
        Story.number += 1
        self.options = options
        self.binary, self.postgres, self.events, self.shards = binary, postgres, events, shards
        self.data = os.path.join(scratch, f"data-{Story.number}")
        self.log = os.path.join(scratch, "server.log")
        # By name what a view reads, and which are filled by a sink, which takes its time.
        self.reads, self.eventual, self.filling = {}, set(), set()
        self.followers = {}
        # What PostgreSQL cannot compute soon.
        self.slow = set()
        # By name what a relation held at times, from when its past is kept.
        self.past = {}
        # Names of prepared statements by their texts, and those that the connection of now has.
        self.prepared, self.known, self.chance = {}, set(), random.Random(len(events))
        self.era = -1
        self.process = None
        self.counts, self.refused = collections.Counter(), collections.Counter()

    def run(self):
        """The problem, if any, and after which event."""
        # `closed` has the rows of the eras that are over.
        self.postgres.do("SET search_path = public; DROP SCHEMA IF EXISTS public, closed CASCADE; CREATE SCHEMA public; CREATE SCHEMA closed")
        at = 0
        try:
            self.start(self.shards)
            for side in (self.martlet, self.postgres):
                side.do(STRICT_DEFINITION)
            self.martlet.do(TARDY)
            self.postgres.do(TARDY_DEFINITION.format(watermark=""))
            for name in (*TABLES, *FINAL_TABLES):
                self.martlet.do(table_definition(name, MARTLET))
                self.postgres.do(table_definition(name, POSTGRES))
            for name in FINAL_TABLES:
                self.postgres.do(f"CREATE TABLE closed.{name} (LIKE {name})")
            for at, event in enumerate(self.events):
                try:
                    self.tell(event)
                    self.counts[type(event).__name__] += 1
                    self.compare(at + 1 == len(self.events))
                    self.remember()
                except Broken as broken:
                    raise Problem("server", f"{broken}; exit code {self.process.poll()}") from broken
        except Ended:
            self.counts["ended early"] += 1
        except Problem as problem:
            return at, problem
        finally:
            self.postgres.ask("ROLLBACK")
            self.end()
        return None

    # The server

    def connect(self):
        side = Side(host="127.0.0.1", port=self.port, dbname="dev", user="histories")
        side.do("SET TimeZone = 'UTC'")
        return side

    def start(self, shards):
        try:
            self.process, self.port = serve(
                self.binary, self.data, self.log, "--shards", str(shards), "--checkpoint-seconds", "1", "--log-level", "error",
                "--set", "num.partitions=3", *self.options)
        except SystemExit as failure:
            raise Problem("start", str(failure)) from failure
        self.martlet, self.watcher = self.connect(), self.connect()
        self.known.clear()
        for follower in self.followers.values():
            follower.again(self.watcher)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self):
        for follower in self.followers.values():
            if isinstance(follower, Stream):
                follower.close()
        if self.process:
            self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    # Events

    def tell(self, event):
        if isinstance(event, OfEra) and event.era != self.era:
            return
        if isinstance(event, Statement):
            self.statement(event)
        elif isinstance(event, Era):
            self.turn(event)
        elif isinstance(event, Keep):
            self.keep(event)
        elif isinstance(event, LookBack):
            self.look_back(event)
        elif isinstance(event, Block):
            self.block(event)
        elif isinstance(event, Make):
            self.make(event)
        elif isinstance(event, Amid):
            self.amid(event)
        elif isinstance(event, Beside):
            self.beside(event)
        elif isinstance(event, Ask):
            self.ask(event.query)
        elif isinstance(event, Rename):
            self.rename(event)
        elif isinstance(event, LookUp):
            self.look_up(event)
        elif isinstance(event, Drop):
            self.drop(event)
        elif isinstance(event, Follow):
            self.follow(event)
        elif isinstance(event, Pour):
            self.pour(event)
        elif isinstance(event, Kill):
            self.killed(event)

    def both(self, sql, types=(), martlet=None, postgres=None):
        """Whether both did it; None where one of them could not for a reason that is no fault. PostgreSQL has it in a transaction."""
        martlet, postgres = martlet or self.martlet, postgres or self.postgres
        got, own = martlet.ask(sql)
        if own and own[0] == "0A000":
            self.refused[own[1]] += 1
            return None
        wanted, error = postgres.ask(sql)
        if own or error:
            if own and error and fault(own) == fault(error):
                return False
            # An UPDATE is judged by what it leaves; PostgreSQL goes row by row.
            if not own and (error[0][:2] == "22" or (error[0] == "23505" and sql.startswith("UPDATE"))):
                raise Ended
            if own and own[0][:2] == "22":
                return None
            raise Problem("statement", f"Martlet: {own}; PostgreSQL: {error}; at: {sql}")
        if types:
            self.same(f"rows of {sql}", got, wanted, postgres.types)
        return True

    def same(self, what, got, wanted, types):
        got, wanted = sorted_rows(got, types), sorted_rows(wanted, types)
        if got != wanted:
            extra = list((collections.Counter(got) - collections.Counter(wanted)).elements())
            missing = list((collections.Counter(wanted) - collections.Counter(got)).elements())
            raise Problem("rows", f"{what}: not in PostgreSQL: {extra[:3]}; missing: {missing[:3]}")

    def turn(self, event):
        for name in FINAL_TABLES:
            self.postgres.do(f"TRUNCATE closed.{name}; INSERT INTO closed.{name} SELECT * FROM {name}")
        self.era = event.number
        for opening in event.openings:
            self.statement(Statement(opening))
        self.martlet.do("FLUSH")

    def keep(self, event):
        if event.name in self.past or (event.kind != "TABLE" and event.name not in self.reads):
            return
        self.settled(event.name)
        kind = "TABLE" if event.name.startswith("p") else event.kind
        self.martlet.do(event.texts()[0].replace(event.kind, kind))
        self.past[event.name] = []

    def remember(self):
        """What the kept relations hold; after a comparison, so that nothing is under way."""
        for name, moments in self.past.items():
            if name in self.filling:
                continue
            rows = self.martlet.do(f"SELECT * FROM {name}")
            (now,), = self.martlet.do("SELECT now()")
            moments.append((now, rows, self.martlet.types and list(self.martlet.types)))

    def look_back(self, event):
        for name, moments in self.past.items():
            if not moments:
                continue
            time, wanted, _ = moments[int(event.share * len(moments))]
            got, error = self.martlet.ask(f"SELECT * FROM {name} FOR SYSTEM_TIME AS OF '{time}'")
            if error:
                raise Problem("past", f"{name} as of {time}: {error}")
            self.same(f"{name} as of {time}", got, wanted, self.martlet.types)
            self.counts["looked back"] += 1

    def altering(self, sql):
        altered = re.match(r"ALTER TABLE (\w+)", sql)
        if altered and altered[1] in self.past:
            # Other columns from here on, also in reads of the past.
            self.past[altered[1]] = []

    def statement(self, event):
        self.altering(event.sql)
        if event.asksPostgresFirst:
            if not self.postgres.ask(event.sql)[1]:
                _, own = self.martlet.ask(event.sql)
                if own:
                    raise Problem("statement", f"Martlet: {own}; PostgreSQL does it: {event.sql}")
            return
        self.postgres.do("BEGIN")
        self.postgres.do("COMMIT" if self.both(event.sql, event.types) else "ROLLBACK")

    def block(self, event):
        for side in (self.martlet, self.postgres):
            side.do("BEGIN")
        for statement in event.statements:
            done = self.both(statement.sql, statement.types)
            if not done:
                break
        else:
            for name in ALL_TABLES:
                self.table(name, isOpen=True)
        for side in (self.martlet, self.postgres):
            side.do(event.end if done else "ROLLBACK")

    def amid(self, event):
        """Whichever comes first, a row has the column's default."""
        answers, session = [], self.connect()
        def send():
            try:
                for each in event.rows:
                    answers.append(session.ask(each.sql)[1])
            except Broken as broken:
                answers.append(broken)
        sending = threading.Thread(target=send)
        sending.start()
        self.altering(event.alter.sql)
        _, altered = self.martlet.ask(event.alter.sql)
        sending.join()
        session.connection.close()
        if any(isinstance(answer, Broken) for answer in answers):
            raise answers[-1]
        errors = [self.postgres.ask(each.sql)[1] for each in event.rows]
        _, error = self.postgres.ask(event.alter.sql)
        if [fault(each) for each in (altered, *answers)] != [fault(each) for each in (error, *errors)]:
            raise Problem("statement", f"Martlet: {altered}, {answers}; PostgreSQL: {error}, {errors}; at: {event.texts()}")

    def beside(self, event):
        sessions = [self.martlet, self.connect()], [self.postgres, Side(**self.postgres.where)]
        failed = [False, False]
        for turn in event.texts():
            sql, number = turn.split(" -- of session ")
            number = int(number)
            if failed[number]:
                continue
            martlet, postgres = (side[number] for side in sessions)
            if sql in ("BEGIN", "COMMIT", "ROLLBACK"):
                for side in (martlet, postgres):
                    side.do(sql)
            elif not self.both(sql, (), martlet, postgres):
                failed[number] = True
                for side in (martlet, postgres):
                    side.do("ROLLBACK")
        for side in sessions:
            side[1].connection.close()

    def made(self, name, query, *parts, isFinal=False):
        """A relation that both have from now on; the parts are Martlet's."""
        own = None
        for at, sql in enumerate(parts):
            _, own = self.martlet.ask(sql)
            if own:
                break
        if own and (own[0] == "0A000" or own[0].startswith("22")):
            self.refused[own[1] if own[0] == "0A000" else "an error of constants"] += 1
            if at > 0:
                raise Ended
            return False
        # What a final view reads is bound to what is closed.
        self.postgres.do("SET search_path = " + ("closed, public" if isFinal else "public"))
        _, error = self.postgres.ask(f"CREATE VIEW public.{name} AS {query}")
        self.postgres.do("SET search_path = public")
        if own or error:
            if own and error and fault(own) == fault(error):
                return False
            raise Problem("statement", f"Martlet: {own}; PostgreSQL: {error}; at: {parts[at] if parts else name}")
        self.reads[name] = set(re.findall(r"\b[pq]\d+\b", query))
        return True

    def is_small(self, query):
        """Whether PostgreSQL finds the answer soon, and it is not long."""
        self.postgres.do("BEGIN; SET LOCAL statement_timeout = '300ms'")
        rows, error = self.postgres.ask(f"SELECT count(*) FROM ({query}) q")
        self.postgres.do("ROLLBACK")
        isLarge = int(rows[0][0]) > ROWS if rows else error[0][:2] == "57"
        self.counts["too large"] += isLarge
        return not isLarge

    def make(self, event):
        if not self.is_small(event.query.sql(POSTGRES)):
            return
        if event.inBackground:
            self.martlet.do("SET background_ddl = true")
        if self.made(event.name, event.query.sql(POSTGRES), event.texts()[1 if event.inBackground else 0], isFinal=event.isFinal) and event.inBackground:
            self.filling.add(event.name)
        if event.inBackground:
            self.martlet.do("SET background_ddl = false")

    def ask(self, query):
        # What is filled meanwhile is not looked at.
        if not self.is_small(query.sql(POSTGRES)) or self.filling or set(re.findall(r"\b[pq]\d+\b", query.sql())) & self.eventual:
            return
        got, own = self.martlet.ask(query.sql(MARTLET))
        wanted, error = self.postgres.ask(query.sql(POSTGRES))
        if own and own[0] == "0A000":
            self.refused[own[1]] += 1
        elif any(each and each[0][:2] in ("22", "57") for each in (own, error)):
            self.counts["not known"] += 1
        elif own or error:
            if fault(own) != fault(error):
                raise Problem("statement", f"Martlet: {own}; PostgreSQL: {error}; at: {query.sql(MARTLET)}")
        else:
            self.same(query.sql(MARTLET), got, wanted, self.postgres.types)

    def rename(self, event):
        if not all(name in self.reads for name in event.others) or (len(event.others) == 1 and any(new in self.reads for new in event.others.values())):
            return
        # Whoever follows one of them began by its name.
        for name in event.others:
            self.settled(name)
            self.forget(name)
        self.martlet.do(event.texts()[0])
        for old in event.others:
            self.postgres.do(f"ALTER VIEW {old} RENAME TO was_{old}")
        for old, new in event.others.items():
            self.postgres.do(f"ALTER VIEW was_{old} RENAME TO {new}")
        named = lambda name: event.others.get(name, name)
        self.reads = {named(name): {named(each) for each in read} for name, read in self.reads.items()}
        self.past = {named(name): moments for name, moments in self.past.items()}
        self.filling = {named(name) for name in self.filling}
        self.eventual = {named(name) for name in self.eventual}

    def keyed(self, name, wanted, types):
        """Rows that have a value, by a statement that is prepared once in the life of a connection."""
        known = [at for at, type in enumerate(types) if type == "other"]
        if not wanted or not known:
            return
        row = self.chance.choice(wanted)
        at = known[0] if row[known[0]] is not None else self.chance.choice(known)
        if row[at] is None:
            return
        names, oids = self.columns(name)
        sql = f"SELECT {', '.join(names)} FROM {name} WHERE {names[at]} = $1"
        # A relation of that name with other types is not what was prepared.
        prepared = self.prepared.setdefault((sql, *oids), f"k{len(self.prepared)}")
        plain = self.watcher.connection.pgconn
        if prepared not in self.known:
            plain.prepare(prepared.encode(), sql.encode())
            self.known.add(prepared)
        result = plain.exec_prepared(prepared.encode(), [row[at].encode()])
        if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise Problem("keyed", f"{sql} with {row[at]}: {result.error_message.decode()}")
        got = [tuple(None if (value := result.get_value(each, place)) is None else value.decode() for place in range(result.nfields)) for each in range(result.ntuples)]
        self.same(f"{sql} with {row[at]}", got, [each for each in wanted if each[at] == row[at]], types)
        self.counts["by key"] += 1

    def columns(self, name):
        result = self.postgres.connection.pgconn.exec_(f"SELECT * FROM {name} LIMIT 0".encode())
        return [result.fname(at).decode() for at in range(result.nfields)], [result.ftype(at) for at in range(result.nfields)]

    def look_up(self, event):
        _, error = self.martlet.ask(event.texts()[0])
        if error and (error[0] == "0A000" or error[0][:2] == "22" or error[0] == "42P07"):
            self.refused[error[1]] += 1
        elif error:
            raise Problem("statement", f"Martlet: {error}; at: {event.texts()[0]}")
        else:
            for sql in (f"DROP TABLE IF EXISTS seen_{event.name} CASCADE; DROP FUNCTION IF EXISTS look_{event.name} CASCADE", *event.postgres()):
                self.postgres.do(sql)
            self.postgres.do(f"CREATE VIEW {event.name} AS SELECT * FROM seen_{event.name}")
            self.reads[event.name] = set()

    def pour(self, event):
        if event.view in self.reads and self.made(event.name, event.query(), *event.texts(f"-{os.getpid()}-{Story.number}")):
            self.eventual.add(event.name)

    def follow(self, event):
        if event.view not in self.reads or event.name in self.followers:
            return
        self.settled(event.view)
        make = Stream(event, self.connect) if event.way == "stream" else Cursor(event, self.watcher)
        self.followers[event.name] = make

    def settled(self, name):
        """Waits until a view that is filled in the background can be read."""
        until = time.monotonic() + SECONDS_TO_SETTLE
        while self.martlet.ask(f"SELECT * FROM {name} LIMIT 0")[1] and time.monotonic() < until:
            time.sleep(0.01)

    def forget(self, name):
        for follower in [each for each in self.followers.values() if each.follow.view == name]:
            follower.close()
            if follower.follow.way == "kept":
                self.martlet.ask(f"DROP SUBSCRIPTION IF EXISTS {follower.follow.name}")
            del self.followers[follower.follow.name]

    def drop(self, event):
        if event.name not in self.reads:
            return
        isPoured = event.name.startswith("p")
        end = " CASCADE" if event.cascades else ""
        own = f"DROP {'TABLE' if isPoured else 'MATERIALIZED VIEW'} {event.name}{end}"
        _, error = self.postgres.ask(f"DROP VIEW {event.name}{end}")
        if error:
            _, refused = self.martlet.ask(own)
            if not refused or refused[0] != error[0]:
                raise Problem("statement", f"Martlet: {refused}; PostgreSQL: {error}; at: {own}")
            return
        there = {name for name, in self.postgres.do("SELECT viewname FROM pg_views WHERE schemaname = 'public'")}
        gone = [name for name in self.reads if name not in there]
        for name in gone:
            self.forget(name)
        if isPoured:
            self.martlet.do(f"DROP SINK {event.name}_s")
        self.martlet.do(own)
        for name in gone:
            if name.startswith("p") and name != event.name:
                # A sink goes with what it reads, its table stays.
                self.martlet.do(f"DROP TABLE {name} CASCADE")
            del self.reads[name]
            self.past.pop(name, None)
            self.eventual.discard(name)
            self.filling.discard(name)
        for name in gone:
            _, error = self.martlet.ask(f"SELECT * FROM {name}")
            if not error or error[0] != "42P01":
                raise Problem("statement", f"{name} is there after {own}: {error}")

    def killed(self, event):
        if not event.during:
            self.kill()
            self.start(event.shards)
            return
        answered = []
        def send():
            try:
                for sql in event.during.texts():
                    _, error = self.martlet.ask(sql)
                    answered.append(error)
            except Broken:
                pass
        sending = threading.Thread(target=send)
        sending.start()
        time.sleep(event.seconds)
        self.kill()
        sending.join()
        self.start(event.shards)
        if isinstance(event.during, Make):
            self.made_or_not(event.during)
            return
        for sql in event.during.texts():
            self.altering(sql)
        before = self.contents(self.postgres)
        got = self.contents(self.martlet)
        self.postgres.do("BEGIN")
        error = None
        for each in event.during.statements if isinstance(event.during, Block) else [event.during]:
            error = error or self.postgres.ask(each.sql)[1]
        after = before if error or getattr(event.during, "end", "") == "ROLLBACK" else self.contents(self.postgres)
        if got == after:
            self.postgres.do("ROLLBACK" if after is before else "COMMIT")
            self.counts["was done" if after is not before else "changed nothing"] += 1
            return
        self.postgres.do("ROLLBACK")
        isAnswered = len(answered) == len(event.during.texts()) and not any(answered)
        if got == before and not isAnswered:
            self.counts["was not done"] += 1
            self.tell(event.during)
        elif error and error[0].startswith("22") or any(each and each[0][:2] in ("22", "0A") for each in answered):
            raise Ended
        else:
            raise Problem("kill", f"after a kill neither what was nor what came (answered: {answered}): {event.during.texts()}")

    def made_or_not(self, event):
        """A view that was being made is there, be it filled or not, or it is not."""
        _, error = self.martlet.ask(f"SELECT * FROM {event.name} LIMIT 0")
        if error and error[0] == "42P01" or event.name in self.reads:
            self.counts["was not made"] += 1
            self.make(event)
            return
        if error and error[0] != "55000":
            raise Problem("kill", f"after a kill {event.name}: {error}")
        self.counts["was made"] += 1
        self.made(event.name, event.query.sql(POSTGRES), isFinal=event.isFinal)
        self.filling.add(event.name)

    # Comparisons

    def contents(self, side):
        found = {}
        for name in ALL_TABLES:
            rows = side.do(f"SELECT * FROM {name}")
            found[name] = (side.names, sorted_rows(rows, side.types))
        return found

    def table(self, name, isOpen=False):
        wanted, error = self.postgres.ask(f"SELECT * FROM {name}")
        got, own = self.martlet.ask(f"SELECT * FROM {name}")
        if error and own:
            return
        if error or own:
            raise Problem("rows", f"table {name}: Martlet: {own}; PostgreSQL: {error}")
        types = self.postgres.types
        self.same(f"table {name}", got, wanted, types)
        if not isOpen and self.chance.random() < 0.3:
            self.keyed(name, wanted, types)

    def compare(self, isLast):
        for name in ALL_TABLES:
            self.table(name)
        unknown, late = set(), set()
        # What reads comes behind what is read.
        for name in list(self.reads):
            if self.reads[name] & unknown or name in self.slow:
                unknown.add(name)
                continue
            if name in self.eventual or self.reads[name] & late:
                late.add(name)
            wanted, error = self.postgres.ask(f"SELECT * FROM {name}")
            if error:
                if error[0][:2] == "57":
                    self.slow.add(name)
                elif error[0][:2] != "22":
                    raise Problem("rows", f"view {name}: PostgreSQL: {error}")
                unknown.add(name)
                self.counts["not known"] += 1
                continue
            types = self.postgres.types
            self.view(name, wanted, types, name in late, isLast)
            if name not in self.filling and self.chance.random() < 0.3:
                self.keyed(name, wanted, types)
            for follower in self.followers.values():
                if follower.follow.view == name:
                    self.follower(follower, wanted, types)

    def view(self, name, wanted, types, isLate, isLast):
        until = time.monotonic() + SECONDS_TO_SETTLE
        while True:
            got, error = self.martlet.ask(f"SELECT * FROM {name}")
            if error and error[0] == "55000":
                if not isLast and name in self.filling:
                    return
                if time.monotonic() < until:
                    time.sleep(0.01)
                    continue
            if error:
                raise Problem("rows", f"view {name}: Martlet: {error}")
            try:
                self.same(f"view {name}", got, wanted, types)
                self.counts["compared"] += 1
                self.filling.discard(name)
                return
            except Problem:
                if not isLate or time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def follower(self, follower, wanted, types):
        until = time.monotonic() + SECONDS_TO_SETTLE
        while True:
            follower.pump()
            if time.monotonic() > until or not any(sum < 0 for sum in follower.sums.values()):
                try:
                    self.same(f"added up by {follower.follow.name} ({follower.follow.way}) of {follower.follow.view}", list(follower.sums.elements()), wanted, types)
                    self.counts["added up"] += 1
                    return
                except Problem:
                    if time.monotonic() > until:
                        raise
            time.sleep(0.005)


def shrink(tried, events):
    """The fewest events and smallest queries found with which a problem of the same kind shows. `tried`: a problem, or None."""
    def without(events, tried):
        size = max(1, len(events) // 2)
        while True:
            at = len(events)
            while at > 0:
                fewer = events[:max(0, at - size)] + events[at:]
                if tried(fewer):
                    events = fewer
                at -= size
            if size == 1:
                return events
            size //= 2
    events = without(events, tried)
    for at, event in enumerate(events):
        went_on = isinstance(event, Make)
        while went_on:
            went_on = False
            for query in smaller(events[at].query):
                fewer = [*events[:at], replace(event, query=query), *events[at + 1:]]
                if tried(fewer):
                    events, went_on = fewer, True
                    break
        if isinstance(event, Block):
            for part in reversed(range(len(event.statements))):
                kept = events[at].statements
                fewer = [*events[:at], Block(kept[:part] + kept[part + 1:], event.end), *events[at + 1:]]
                if len(kept) > 1 and tried(fewer):
                    events = fewer
    return without(events, tried)


def script(events):
    tables = [table_definition(name) + ";" for name in (*TABLES, *FINAL_TABLES)] + [f"{STRICT_DEFINITION};", f"{TARDY};"]
    return "\n".join(tables + [text if text.startswith("--") else text + ";" for event in events for text in event.texts()])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("martlet")
    arguments.add_argument("pghost")
    arguments.add_argument("scratch")
    arguments.add_argument("--histories", type=int, default=1_000)
    arguments.add_argument("--events", type=int, default=EVENTS, help="of each history")
    arguments.add_argument("--seed", type=int, default=None)
    arguments.add_argument("--seconds", type=float, default=1e9)
    arguments.add_argument("--problems", type=int, default=3, help="differences after which it ends")
    arguments.add_argument("--database", default="postgres", help="of PostgreSQL; runs side by side need one each")
    given = arguments.parse_args()
    os.makedirs(given.scratch, exist_ok=True)
    first = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 31)
    postgres = Side(host=given.pghost, dbname=given.database, user="postgres")
    for setting in ("client_min_messages = warning", "TimeZone = 'UTC'", "statement_timeout = '1s'"):
        postgres.do(f"SET {setting}")
    began, told, counts, refused, found = time.monotonic(), 0, collections.Counter(), collections.Counter(), []
    try:
        for seed in range(first, first + given.histories):
            if time.monotonic() - began > given.seconds or len(found) >= given.problems:
                break
            events, shards = Author(seed).history(given.events), 1 + seed % 3
            # Less than the program itself takes: what can leave memory leaves it.
            options = ("--memory-limit", "64MB") if seed % 4 == 0 else ()
            story = Story(given.martlet, given.scratch, postgres, events, shards, options)
            outcome = story.run()
            told += 1
            counts += story.counts
            refused += story.refused
            if outcome:
                at, problem = outcome
                until, last = time.monotonic() + SECONDS_TO_SHRINK, [problem]
                def tried(fewer):
                    if time.monotonic() > until:
                        return False
                    outcome = Story(given.martlet, given.scratch, postgres, fewer, shards, options).run()
                    if outcome and outcome[1].kind == problem.kind:
                        last.append(outcome[1])
                        return True
                    return False
                few = shrink(tried, events[:at + 1])
                found.append(f"{problem.text} (seed {seed})")
                print(f"-- seed {seed}, {shards} shards: {problem.text}\n-- made smaller: {last[-1].text if len(last) > 1 else '(not seen again)'}\n{script(few)}\n",
                      file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        # What was done up to here counts.
        pass
    print(json.dumps({
        "name": "random histories", "seed": first, "histories": told, **counts, "refused": dict(refused.most_common()), "problems": found,
        "seconds": round(time.monotonic() - began, 1)}))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
