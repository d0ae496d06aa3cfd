"""Random queries against PostgreSQL: run.py MARTLET PGHOST SCRATCH [--queries N] [--seed N] [--views SHARE] [--seconds S].

Each round makes tables in both, and some of its queries materialized views in Martlet before there are any rows; then both get
the same statements (INSERT, UPDATE, DELETE), and after each of them every view must hold what PostgreSQL's query gives. At the
end every query is also asked as a SELECT. Results are compared as multisets, text for text; floating point numbers to 9 digits.

Views with EMIT ON WINDOW CLOSE read tables of their own, whose rows come era by era: when the first rows of an era have come, such a
view must hold what PostgreSQL's query gave of the eras before, and in the end, when a row from far ahead has come, of all.

What must make no difference differs from round to round: a server has one shard, two or three, and rows that PostgreSQL gets by
one INSERT come to Martlet in several, in any order. Some views, and some queries, are cut in three by a condition that is true,
false or unknown; the parts together must be the whole.

A difference is made smaller (the query's tree, then the statements) and printed as a script that can be pasted. What Martlet
refuses as not supported (0A000) is counted and listed by message; an error in one of the two that a row of the data decides (22…)
is too, as the order in which conditions are judged is nobody's promise. One JSON line sums up; the exit code is 1 if anything differs.
"""

import argparse
import collections
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from generator import APPEND_ONLY, CASTS, FINAL_TABLES, MARTLET, POSTGRES, TABLES, Generator, Values, smaller, table_definition
import sides
from sides import Side, canonical

VIEWS_A_ROUND = 8
FINALS_A_ROUND = 4
ERAS = 3
QUERIES_A_ROUND = 20
STEPS = 5
SHARDS = (1, 2, 3)
CUT = 0.25


class Insert(str):
    """An INSERT that knows its rows."""

    def __new__(cls, table, rows):
        made = super().__new__(cls, f"INSERT INTO {table} VALUES {', '.join(rows)}")
        made.table, made.rows = table, rows
        return made

    def arrivals(self, random):
        """The same rows in some statements, in some order."""
        rows = list(self.rows)
        random.shuffle(rows)
        cuts = sorted(random.sample(range(1, len(rows)), random.randrange(len(rows))))
        return [str(Insert(self.table, rows[a:b])) for a, b in zip([0, *cuts], [*cuts, len(rows)])]


class Opening(Insert):
    """The first rows of an era in a table: the watermark passes the era before."""


def cut(sql, predicate):
    """The parts of a query's rows for which a condition is true, false and unknown."""
    test = predicate.sql()
    return " UNION ALL ".join(f"SELECT * FROM ({sql}) q WHERE {part}" for part in (test, f"NOT {test}", f"{test} IS NULL"))


class Round:
    """`predicates`: by query, of those that are cut in three; `arrival`: seeds how rows come to Martlet; None: as to PostgreSQL.
    `finals`: by number, which of the queries are views that become final; `eras`: the statements for their tables."""

    def __init__(self, martlet, postgres, queries, views, steps, predicates=None, arrival=None, finals=(), eras=()):
        self.martlet, self.postgres = martlet, postgres
        self.queries, self.views, self.steps = queries, views, steps
        self.finals, self.eras = finals, eras
        self.predicates, self.arrival = predicates or {}, arrival
        self.problems, self.refused, self.judged = [], collections.Counter(), 0
        self.compared = 0

    def clear(self):
        for name in reversed(range(len(self.queries))):
            self.martlet.ask(f"DROP MATERIALIZED VIEW IF EXISTS q{name}")
        for name in (*TABLES, *FINAL_TABLES):
            self.martlet.ask(f"DROP TABLE IF EXISTS {name} CASCADE")
            self.postgres.ask(f"DROP TABLE IF EXISTS {name} CASCADE")

    def refusal(self, error):
        if error[0] == "0A000":
            self.refused[error[1]] += 1
            return True
        if error[0].startswith("22"):
            self.judged += 1
            return True
        return False

    def text(self, number):
        sql = self.queries[number].sql()
        if number in self.finals:
            return sql + " EMIT ON WINDOW CLOSE"
        return cut(sql, self.predicates[number]) if number in self.predicates else sql

    def arriving(self, step):
        if self.arrival is None or not isinstance(step, Insert):
            return [step]
        return step.arrivals(random.Random(f"{self.arrival}/{step}"))

    def run(self):
        self.clear()
        for name in (*TABLES, *FINAL_TABLES):
            self.martlet.do(table_definition(name, MARTLET))
            self.postgres.do(table_definition(name, POSTGRES))
        made = self.made(self.views, "view")
        self.run_eras(self.made(self.finals, "final view"))
        for at, step in enumerate(self.steps):
            self.postgres.do(step)
            for arrived in self.arriving(step):
                self.martlet.do(arrived)
            for number in made:
                if not any(problem[0] == number for problem in self.problems):
                    self.compare(number, f"SELECT * FROM q{number}", "view", at + 1)
        for number in range(len(self.queries)):
            if number not in self.finals:
                self.compare(number, self.text(number), "query", len(self.steps))

    def made(self, numbers, kind):
        """Those whose views could be made."""
        made = []
        for number in numbers:
            _, error = self.martlet.ask(f"CREATE MATERIALIZED VIEW q{number} AS {self.text(number)}")
            if not error:
                made.append(number)
            elif not self.refusal(error):
                self.problems.append((number, kind, 0, f"{error[0]} {error[1]}"))
        return made

    def run_eras(self, finals):
        if not self.eras:
            return
        at, eras = 0, [*self.eras, *closing()]
        while at < len(eras):
            # One in each table.
            opening = eras[at:at + len(FINAL_TABLES)] if isinstance(eras[at], Opening) else []
            wanted = {number: self.postgres.ask(self.queries[number].sql(POSTGRES)) for number in finals} if opening else {}
            for step in opening or eras[at:at + 1]:
                for arrived in self.arriving(step):
                    self.martlet.do(arrived)
                self.postgres.do(step)
            at += len(opening) or 1
            self.martlet.do("FLUSH")
            for number in wanted:
                if not any(problem[0] == number for problem in self.problems):
                    self.compare(number, f"SELECT * FROM q{number}", "final view", at, wanted[number])

    def compare(self, number, asked, kind, steps, known=None):
        """`known`: what PostgreSQL has said."""
        types = self.queries[number].kind[1]
        wanted, error = known or self.postgres.ask(self.queries[number].sql(POSTGRES))
        got, own = self.martlet.ask(asked)
        if error or own:
            if error and error[0].startswith("42") and not own:
                self.problems.append((number, kind, steps, f"PostgreSQL refuses it: {error}"))
            elif own and not (error and error[0] == own[0]) and not self.refusal(own):
                self.problems.append((number, kind, steps, f"{own[0]} {own[1]}" + (f" instead of {error}" if error else "")))
            else:
                self.judged += 1 if error else 0
            return
        self.compared += 1
        wanted, got = canonical(wanted, types), canonical(got, types)
        if wanted != got and number in self.predicates:
            # A row for which the condition is an error is a dead letter of the view.
            _, error = self.postgres.ask(cut(self.queries[number].sql(POSTGRES), self.predicates[number]))
            _, own = self.martlet.ask(self.text(number))
            if any(each and each[0].startswith("22") for each in (error, own)):
                self.judged += 1
                return
        if wanted != got:
            extra = list((collections.Counter(got) - collections.Counter(wanted)).elements())
            missing = list((collections.Counter(wanted) - collections.Counter(got)).elements())
            self.problems.append((number, kind, steps, f"not in PostgreSQL: {extra[:3]}; missing: {missing[:3]}"))


def statements(random):
    """INSERTs, then changes of all sorts; each is one statement for both."""
    values = Values(random)
    steps, ids = [], {name: 0 for name in TABLES}
    def insert(name, count):
        rows = [values.row(name, ids[name] + k) for k in range(count)]
        ids[name] += count
        return Insert(name, rows)
    for name in TABLES:
        steps.append(insert(name, 3 + random.randrange(5)))
    for _ in range(STEPS):
        name = random.choice(list(TABLES))
        column, type = random.choice(TABLES[name][1:])
        some = random.choice([f"id % {2 + random.randrange(3)} = 0", f"{column} IS NULL", f"i = {random.randrange(3)}", f"id > {random.randrange(6)}"])
        choice = random.randrange(4)
        if choice == 0:
            steps.append(insert(name, 1 + random.randrange(3)))
        elif choice == 1:
            steps.append(f"DELETE FROM {name} WHERE {some} AND id % 3 <> 1")
        else:
            steps.append(f"UPDATE {name} SET {column} = {values.literal(type)} WHERE {some}")
    return steps


def eras(random):
    """Rows of some hours, then changes of them, then rows three days later, and so on: nothing is late."""
    values = Values(random)
    steps, ids = [], {name: 0 for name in FINAL_TABLES}
    for era in range(ERAS):
        first = dict(ids)
        def insert(made, name, count):
            # The first has a time, so that event time goes on.
            rows = [values.final_row(name, ids[name] + k, era, 0 if k == 0 else 0.1) for k in range(count)]
            ids[name] += count
            steps.append(made(name, rows))
        for name in FINAL_TABLES:
            insert(Opening, name, 2 + random.randrange(5))
        for _ in range(random.randrange(4)):
            name = random.choice(list(FINAL_TABLES))
            if name in APPEND_ONLY or random.random() < 0.4:
                insert(Insert, name, 1 + random.randrange(3))
                continue
            column, type = random.choice(FINAL_TABLES[name][1:])
            some = f"id >= {first[name]} AND {random.choice([f'id % {2 + random.randrange(2)} = 0', f'{column} IS NULL', 'i = 1'])}"
            value = values.moment(era) if column == "w" else values.literal(type)
            steps.append(random.choice([f"DELETE FROM {name} WHERE {some} AND id % 3 <> 1", f"UPDATE {name} SET {column} = {value} WHERE {some}"]))
    return steps


def closing():
    """Rows from far ahead, by which all windows close but their own."""
    values = Values(random.Random(1))
    return [Opening(name, [values.final_row(name, 1_000_000, ERAS + 2, 0)]) for name in FINAL_TABLES]


def reads_eras(query):
    return any(name in query.sql() for name in FINAL_TABLES)


def shrink(martlet, postgres, query, kind, steps, predicate, arrival, deadline, eras):
    """`eras`: what comes before the steps, for a query that reads it. The smallest query and the fewest statements found with which the same kind of problem shows."""
    def fails(query, steps):
        if time.monotonic() > deadline:
            return None
        if kind == "final view":
            trial = Round(martlet, postgres, [query], [], [], None, arrival, [0], steps)
        else:
            trial = Round(martlet, postgres, [query], [0] if kind == "view" else [], steps, {0: predicate} if predicate else {}, arrival,
                          eras=eras if reads_eras(query) else ())
        try:
            trial.run()
        except RuntimeError:
            return None
        found = [problem for problem in trial.problems if problem[1] == kind]
        if found and any(problem[3].startswith("42") or "PostgreSQL refuses" in problem[3] for problem in found):
            # What does not even bind is another problem, unless that is the problem.
            return found[0][3] if refuses else None
        return found[0][3] if found else None
    refuses = False
    found = fails(query, steps)
    if not found:
        refuses = True
        found = fails(query, steps)
    if not found:
        return query, steps, "(not seen again)"
    went_on = True
    while went_on:
        went_on = False
        for candidate in smaller(query):
            problem = fails(candidate, steps)
            if problem:
                query, found, went_on = candidate, problem, True
                break
    for at in reversed(range(len(steps))):
        # Without the first rows of an era its end would not come.
        if isinstance(steps[at], Opening):
            continue
        problem = fails(query, steps[:at] + steps[at + 1:])
        if problem:
            steps, found = steps[:at] + steps[at + 1:], problem
    return query, steps, found


def script(query, kind, steps, predicate, arrival, eras):
    isFinal = kind == "final view"
    told = Round(None, None, [query], [], steps, {0: predicate} if predicate else {}, arrival, [0] if isFinal else [])
    if isFinal:
        steps = [*steps, *closing()]
    elif reads_eras(query):
        steps = [*eras, *closing(), *steps]
    used = [name for name in (*TABLES, *FINAL_TABLES) if name in query.sql() or any(name in step for step in steps)]
    lines = [table_definition(name) + ";" for name in used]
    if kind != "query":
        lines.append(f"CREATE MATERIALIZED VIEW q AS {told.text(0)};")
    lines += [arrived + ";" for step in steps for arrived in told.arriving(step)]
    return "\n".join(lines + [told.text(0) + ";" if kind == "query" else "SELECT * FROM q;"])


def serve(binary, scratch, shards):
    return sides.serve(binary, os.path.join(scratch, f"data-{shards}"), os.path.join(scratch, f"server-{shards}.log"), "--shards", str(shards))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("martlet")
    arguments.add_argument("pghost")
    arguments.add_argument("scratch")
    arguments.add_argument("--queries", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=None)
    arguments.add_argument("--views", type=float, default=VIEWS_A_ROUND / QUERIES_A_ROUND)
    arguments.add_argument("--seconds", type=float, default=1e9)
    arguments.add_argument("--problems", type=int, default=5, help="differences after which it ends")
    arguments.add_argument("--database", default="postgres", help="of PostgreSQL; runs side by side need one each")
    given = arguments.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 31)
    servers = [serve(given.martlet, given.scratch, shards) for shards in SHARDS]
    began = time.monotonic()
    total, compared, views, closed, parted, refused, judged, found = 0, 0, 0, 0, 0, collections.Counter(), 0, []
    try:
        martlets = [Side(host="127.0.0.1", port=port, dbname="dev", user="queries") for _, port in servers]
        postgres = Side(host=given.pghost, dbname=given.database, user="postgres")
        postgres.do("SET client_min_messages = warning")
        for side in (*martlets, postgres):
            side.do("SET TimeZone = 'UTC'")
        first = seed
        while total < given.queries and len(found) < given.problems and time.monotonic() - began < given.seconds:
            chooser = random.Random(seed)
            count = min(QUERIES_A_ROUND, given.queries - total)
            martlet, shards = martlets[seed % len(SHARDS)], SHARDS[seed % len(SHARDS)]
            generators = [Generator(seed * 1000 + number) for number in range(count)]
            queries = [generator.query(1 + number % 4) for number, generator in enumerate(generators)]
            predicates = {number: generator.predicate(queries[number]) for number, generator in enumerate(generators) if generator.chance(CUT)}
            chosen = sorted(chooser.sample(range(count), round(count * given.views)))
            steps = statements(chooser)
            finals = range(count, count + FINALS_A_ROUND)
            queries += [Generator(seed * 1000 + number).final() for number in finals]
            turning = eras(chooser)
            turn = Round(martlet, postgres, queries, chosen, steps, predicates, seed, finals, turning)
            turn.run()
            for number, kind, done, problem in turn.problems:
                deadline = time.monotonic() + 120
                predicate = predicates.get(number)
                own = turning if kind == "final view" else steps
                query, few, last = shrink(martlet, postgres, queries[number], kind, own, predicate, seed, deadline, turning)
                found.append({"seed": seed, "query": number, "kind": kind, "problem": last if "again" not in last else problem})
                print(f"-- seed {seed}, query {number}, as a {kind}, {shards} shards: {problem}\n-- made smaller: {last}\n"
                      f"{script(query, kind, few, predicate, seed, turning)}\n",
                      file=sys.stderr, flush=True)
                if len(found) >= given.problems:
                    break
            turn.clear()
            total += count
            views += len(chosen)
            closed += len(finals)
            parted += len(predicates)
            compared += turn.compared
            refused += turn.refused
            judged += turn.judged
            seed += 1
    except KeyboardInterrupt:
        # What was done up to here counts.
        pass
    finally:
        for process, _ in servers:
            process.terminate()
            process.wait()
    print(json.dumps({
        "name": "random queries", "seed": first, "queries": total, "views": views, "final views": closed, "cut in three": parted, "compared": compared, "errors of rows": judged,
        "refused": dict(refused.most_common()), "problems": [f"{one['problem']} (seed {one['seed']}, query {one['query']})" for one in found],
        "seconds": round(time.monotonic() - began, 1)}))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
