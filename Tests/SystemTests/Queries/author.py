"""Writes random histories of a database: lists of events, each of which both sides are told (see histories.py).

An event stands by itself: whatever others are left out, it can be told, and where it then makes no sense both sides refuse it. So a
history becomes shorter by leaving out events.
"""

import random
import re
from dataclasses import dataclass

from generator import APPEND_ONLY, CASTS, FINAL_TABLES, MARTLET, SQL_TYPES, TABLES, Generator, Node, Values

# Where no column goes or gets another name: what has event time is read by name.
KEPT = ("t4", "t8")
# A table with conditions, which statements break now and then.
STRICT = {"t8": [("id", "int"), ("i", "int"), ("s", "text"), ("n", "bigint"), ("x", "numeric"), ("g", "int")]}
STRICT_DEFINITION = ("CREATE TABLE t8 (id INT PRIMARY KEY, i INT CHECK (i > -2), s TEXT NOT NULL DEFAULT 'a', n BIGINT UNIQUE, x NUMERIC(8,2), "
                     "g INT GENERATED ALWAYS AS (i * 2 + 1) STORED, CONSTRAINT apart UNIQUE (i, x), CHECK (x IS NULL OR n IS NULL OR x < n + 9))")
# A table of rows that stay, some of which come late.
TARDY = [("id", "int"), ("w", "ts"), ("i", "int"), ("s", "text"), ("n", "bigint")]
TARDY_DEFINITION = "CREATE TABLE t9 (id INT, w TIMESTAMP, i INT, s TEXT, n BIGINT{watermark})"
# What has one text on both sides, whichever of equal values stands for a group.
PLAIN = ("int", "bigint", "text", "bool", "date", "ts", "smallint", "tstz", "time", "bytea")


@dataclass
class Statement:
    """A change of rows or of a table. `types`: of the rows that it answers. `asksPostgresFirst`: whether it is possible, PostgreSQL says."""
    sql: str
    types: tuple = ()
    asksPostgresFirst: bool = False

    def texts(self):
        return [self.sql]


@dataclass
class OfEra(Statement):
    """Of rows whose event time is in an era, which nobody must carry out before that has begun or when it is over."""
    era: int = 0


@dataclass
class Era:
    """The first rows of an era, one of each table: by them all windows of the era before are closed."""
    number: int
    openings: list

    def texts(self):
        return [*self.openings, "FLUSH"]


@dataclass
class Beside:
    """Two transactions side by side, over different tables; `turns` says whose statement is next."""
    first: list
    second: list
    turns: list
    ends: list

    def texts(self):
        lists, turns, done = [["BEGIN", *(each.sql for each in mine), end] for mine, end in zip((self.first, self.second), self.ends)], [], [0, 0]
        for turn in [*self.turns, *([0, 1] * 9)]:
            if done[turn] < len(lists[turn]):
                turns.append(f"{lists[turn][done[turn]]} -- of session {turn}")
                done[turn] += 1
        return turns


@dataclass
class Amid:
    """A table gets a column while another session puts rows into it."""
    alter: Statement
    rows: list

    def texts(self):
        return [f"{self.alter.sql} -- amid the next ones", *(each.sql for each in self.rows)]


@dataclass
class Block:
    """A transaction."""
    statements: list
    end: str

    def texts(self):
        return ["BEGIN", *(each.sql for each in self.statements), self.end]


@dataclass
class Make:
    """A view, which is materialized in Martlet; `inBackground`: the next events do not wait until it is filled; `isFinal`: it holds
    what the eras that are over have come to."""
    name: str
    query: Node
    inBackground: bool = False
    isFinal: bool = False

    def texts(self):
        made = f"CREATE MATERIALIZED VIEW {self.name} AS {self.query.sql(MARTLET)}" + (" EMIT ON WINDOW CLOSE" if self.isFinal else "")
        return ["SET background_ddl = true", made, "SET background_ddl = false"] if self.inBackground else [made]


@dataclass
class LookUp:
    """A view of rows that stay, each beside the row of `t4` at the moment it came. PostgreSQL looks whenever one comes."""
    name: str
    source: str
    items: str
    condition: str
    isOuter: bool

    def query(self, version, left):
        """`left`: the rows that come."""
        return f"SELECT {self.items} FROM {left} l {'LEFT ' if self.isOuter else ''}JOIN t4{version} a ON {self.condition}"

    def texts(self):
        return [f"CREATE MATERIALIZED VIEW {self.name} AS {self.query(' FOR SYSTEM_TIME AS OF PROCTIME()', self.source)}"]

    def postgres(self):
        seen, come = f"seen_{self.name}", self.query("", "(SELECT new.*)")
        return [f"CREATE TABLE {seen} AS {self.query('', self.source)}",
                f"CREATE FUNCTION look_{self.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO {seen} {come}; RETURN new; END $$",
                f"CREATE TRIGGER look_{self.name} AFTER INSERT ON {self.source} FOR EACH ROW EXECUTE FUNCTION look_{self.name}()"]


@dataclass
class Drop:
    name: str
    cascades: bool

    def texts(self):
        return [f"DROP MATERIALIZED VIEW {self.name}" + (" CASCADE" if self.cascades else "")]


@dataclass
class Follow:
    """Somebody who adds up a view's changes: a subscription kept in the log, one in memory, or a stream (COPY)."""
    name: str
    view: str
    way: str

    def texts(self):
        return {
            "kept": [f"CREATE SUBSCRIPTION {self.name} FROM {self.view} WITH (retention = '1 day')",
                     f"DECLARE {self.name}_c SUBSCRIPTION CURSOR FOR {self.name} FULL"],
            "memory": [f"DECLARE {self.name}_c SUBSCRIPTION CURSOR FROM {self.view} FULL"],
            "stream": [f"SUBSCRIBE TO {self.view} WITH (progress)"],
        }[self.way]


@dataclass
class Pour:
    """A sink of what a view comes to by key, into a table, or by a topic. `nonce` keeps topics of one run apart."""
    name: str
    view: str
    key: str
    value: str
    way: str

    def query(self):
        return f"SELECT coalesce({self.key}::text, '-') AS c0, count(*) AS c1, max({self.value}::text) AS c2 FROM {self.view} GROUP BY 1"

    def texts(self, nonce=""):
        columns = "(c0 TEXT PRIMARY KEY, c1 BIGINT, c2 TEXT)"
        if self.way == "table":
            return [f"CREATE TABLE {self.name} {columns}", f"CREATE SINK {self.name}_s INTO {self.name} AS {self.query()}"]
        topic = f"connector = 'kafka', topic = '{self.name}{nonce}'"
        return [f"CREATE SINK {self.name}_s AS {self.query()} WITH ({topic}, primary_key = 'c0') FORMAT {self.way} ENCODE JSON",
                f"CREATE TABLE {self.name} {columns} WITH ({topic}) FORMAT {self.way} ENCODE JSON"]


@dataclass
class Keep:
    """From now on the past of a relation can be read."""
    name: str
    kind: str

    def texts(self):
        return [f"ALTER {self.kind} {self.name} SET (retention_seconds = 86400)"]


@dataclass
class LookBack:
    """What was kept must be there as it was: `share` of the way back to the first moment."""
    share: float

    def texts(self):
        return ["-- SELECT * FROM … FOR SYSTEM_TIME AS OF an earlier time"]


@dataclass
class Ask:
    """A query that is carried out once."""
    query: Node

    def texts(self):
        return [self.query.sql(MARTLET)]


@dataclass
class Rename:
    """Other names for views; `others`: by name the new one."""
    others: dict

    def texts(self):
        names = list(self.others)
        if len(names) == 2:
            return [f"ALTER MATERIALIZED VIEW {names[0]} SWAP WITH {names[1]}"]
        return [f"ALTER MATERIALIZED VIEW {old} RENAME TO {new}" for old, new in self.others.items()]


@dataclass
class Kill:
    """SIGKILL, between events or so many seconds after one was sent, and a start with so many shards."""
    shards: int
    during: object = None
    seconds: float = 0.0

    def texts(self):
        return [*(self.during.texts() if self.during else []), f"-- SIGKILL; then a start with --shards {self.shards}"]


class Author:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.seed = seed
        self.values = Values(self.random)
        self.tables = {name: list(columns) for name, columns in (TABLES | STRICT).items()}
        self.ids = {name: 0 for name in self.tables}
        # What is read as a whole, by name its columns.
        self.views = {}
        self.made, self.fresh = 0, 0
        self.tardies, self.minutes = 0, 0
        # How many views a view stands on.
        self.levels = {}
        self.era, self.firsts, self.finals = -1, {}, {name: 0 for name in FINAL_TABLES}

    def pick(self, *items):
        return self.random.choice(items)

    def chance(self, share):
        return self.random.random() < share

    def history(self, length):
        """Some begin with more rows than others."""
        events = [self.many(name) for name in TABLES] if self.chance(0.3) else []
        events += [self.insert(name, 3 + self.random.randrange(5)) for name in TABLES]
        events += [self.insert("t8", 1) for _ in range(4)]
        if self.chance(0.5):
            events += [self.tardy_view() for _ in range(2)]
        events += [self.turn(), self.make(), self.make(), self.make_final()]
        events += [self.event() for _ in range(length)]
        return events

    def event(self):
        way = self.random.random()
        if way < 0.36:
            return self.statement()
        if way < 0.43:
            return self.of_era()
        if way < 0.46:
            return self.tardy_rows()
        if way < 0.49:
            return self.turn()
        if way < 0.51:
            return self.make_final()
        if way < 0.52:
            return self.look_up()
        if way < 0.53 and self.views:
            return self.changes()
        if way < 0.58:
            return Block([self.statement(mayReadViews=False) for _ in range(1 + self.random.randrange(4))], self.pick("COMMIT", "COMMIT", "ROLLBACK"))
        if way < 0.66:
            return self.alter()
        if way < 0.78:
            return self.make()
        if way < 0.83 and self.views:
            return self.drop()
        if way < 0.92 and self.views:
            return self.follow()
        if way < 0.94:
            return Keep(self.pick(*self.views), "MATERIALIZED VIEW") if self.views and self.chance(0.7) else Keep(self.pick(*TABLES, *FINAL_TABLES), "TABLE")
        if way < 0.96:
            return LookBack(self.random.random())
        if way < 0.98:
            during = self.pick(self.statement, self.statement, lambda: Block([self.statement(mayReadViews=False) for _ in range(3)], "COMMIT"), self.make,
                               self.make_final, self.alter, lambda: None)()
            if getattr(during, "asksPostgresFirst", False):
                during = None
            return Kill(self.pick(1, 2, 3), during, self.random.random() * 0.006)
        return self.pick(self.beside, self.amid, self.amid, self.ask, self.ask, self.rename)()

    def beside(self):
        names = self.random.sample(list(self.tables), 2)
        first, second = ([self.statement(False, [name]) for _ in range(1 + self.random.randrange(3))] for name in names)
        return Beside(first, second, [self.random.randrange(2) for _ in range(8)], [self.pick("COMMIT", "COMMIT", "ROLLBACK") for _ in range(2)])

    def amid(self):
        name = self.pick(*self.tables)
        rows = [self.insert(name, 1 + self.random.randrange(3)) for _ in range(6)]
        return Amid(self.added(name), rows)

    def ask(self):
        return Ask(self.generator().query(1 + self.random.randrange(3)))

    def rename(self):
        """What reads a view goes on reading it, by whatever name."""
        names = [name for name in self.views if name.startswith("q")]
        if len(names) < 2:
            return self.ask()
        a, b = self.random.sample(names, 2)
        if self.chance(0.5):
            self.views[a], self.views[b], self.levels[a], self.levels[b] = self.views[b], self.views[a], self.levels[b], self.levels[a]
            return Rename({a: b, b: a})
        new = self.name(self.views[a], self.levels[a])
        del self.views[a]
        return Rename({a: new})

    # Views

    def generator(self):
        self.fresh += 1
        return Generator(self.seed * 1000 + self.fresh, self.tables, {name: columns for name, columns in self.views.items() if self.levels[name] < 3})

    def make(self):
        query = self.generator().query(1 + self.random.randrange(3))
        return self.named(query, self.chance(0.3), False)

    def make_final(self):
        return self.named(self.generator().final(), self.chance(0.3), True)

    def changes(self):
        """What the changes of a view, as rows, add up to."""
        view = self.pick(*self.views)
        if self.levels[view] > 2:
            return self.make()
        columns = ", ".join(column for column, _ in self.views[view])
        items = columns if self.chance(0.5) else ", ".join(column for column, _ in self.views[view][:1])
        net = "sum(CASE WHEN changelog_op IN (1, 3) THEN 1 ELSE -1 END)"
        query = Node(("relation", tuple(type for _, type in self.views[view][:items.count(",") + 1]) + ("bigint",)), [
            ("WITH c AS CHANGELOG FROM " + view, ""), f" SELECT {items}, ", (net, "count(*)"), f"::bigint AS c{items.count(',') + 1} FROM ", ("c", view),
            f" GROUP BY {items}", (f" HAVING {net} <> 0", "")])
        return self.named(query, self.chance(0.3), False)

    def look_up(self):
        source = self.pick(*APPEND_ONLY)
        left, right = [(f"l.{column}", type) for column, type in FINAL_TABLES[source]], [(f"a.{column}", type) for column, type in TABLES["t4"]]
        shown = [left[0], *self.random.sample(left[1:], 1), *self.random.sample(right, 2)]
        items = ", ".join(f"{column} AS c{place}" for place, (column, _) in enumerate(shown))
        more = f" AND {self.expression('bool', left + right)}" if self.chance(0.5) else ""
        name = self.name([(f"c{place}", type) for place, (_, type) in enumerate(shown)], 1)
        return LookUp(name, source, items, self.pick("l.i = a.id", "l.id = a.id", "l.i = a.i AND l.s = a.s") + more, self.chance(0.5))

    def named(self, query, inBackground, isFinal):
        level = 1 + max((self.levels.get(read, 0) for read in re.findall(r"\b[pq]\d+\b", query.sql())), default=0)
        name = self.name([(f"c{place}", type) for place, type in enumerate(query.kind[1])], level)
        return Make(name, query, inBackground, isFinal)

    def name(self, columns, level):
        """Of a new view; some names come again."""
        gone = [f"q{number}" for number in range(self.made) if f"q{number}" not in self.views]
        if gone and self.chance(0.5):
            name = self.pick(*gone)
        else:
            name, self.made = f"q{self.made}", self.made + 1
        self.views[name], self.levels[name] = columns, level
        return name

    def drop(self):
        name = self.pick(*self.views)
        # What else goes with it is not known here: what reads it is refused by both from then on.
        if name.startswith("q"):
            del self.views[name]
        return Drop(name, self.chance(0.5))

    def follow(self):
        self.fresh += 1
        view = self.pick(*self.views)
        plain = [name for name, type in self.views[view] if type in PLAIN]
        if not plain or self.chance(0.5):
            return Follow(f"f{self.fresh}", view, self.pick("kept", "memory", "stream"))
        name = f"p{self.fresh}"
        self.views[name] = [("c0", "text"), ("c1", "bigint"), ("c2", "text")]
        self.levels[name] = self.levels[view] + 1
        return Pour(name, view, self.pick(*plain), self.pick(*plain), self.pick("table", "table", "UPSERT", "DEBEZIUM"))

    # Eras

    def turn(self):
        self.era += 1
        self.firsts = dict(self.finals)
        return Era(self.era, [self.final_insert(name, 2 + self.random.randrange(5), 0) for name in FINAL_TABLES])

    def final_insert(self, name, count, null=0.1):
        first = self.finals[name]
        self.finals[name] += count
        # The first of an era has a time, so that event time goes on.
        rows = [self.values.final_row(name, first + k, self.era, null if k == 0 else 0.1) for k in range(count)]
        return f"INSERT INTO {name} VALUES {', '.join(rows)}"

    def of_era(self):
        name = self.pick(*FINAL_TABLES)
        if name in APPEND_ONLY or self.chance(0.4):
            return OfEra(self.final_insert(name, 1 + self.random.randrange(3)), era=self.era)
        column, type = self.pick(*FINAL_TABLES[name][1:])
        some = f"id >= {self.firsts[name]} AND {self.pick('id % 2 = 0', 'id % 3 = 1', f'{column} IS NULL', 'i = 1')}"
        value = self.values.moment(self.era) if column == "w" else self.values.literal(type)
        return OfEra(self.pick(f"DELETE FROM {name} WHERE {some}", f"UPDATE {name} SET {column} = {value} WHERE {some}"), era=self.era)

    # Rows that come late

    def tardy_view(self):
        """Made before there are rows. A row counts in those of its windows that were open by what came before its statement."""
        generator = self.generator()
        rows = Node(("relation", tuple(type for _, type in TARDY)), [(
            "SELECT id AS c0, w AS c1, i AS c2, s AS c3, n AS c4 FROM t9",
            "SELECT id AS c0, w AS c1, i AS c2, s AS c3, n AS c4, max(w) OVER (ORDER BY id / 100 GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) - INTERVAL '1 hour' AS before, "
            "(SELECT max(w) FROM t9) - INTERVAL '1 hour' AS mark FROM t9")])
        spread = generator.windows(rows, 1)
        call, type = generator.aggregate(generator.scope(("r", rows)))
        by = self.pick("window_start, window_end", "window_end, r.c2", "window_end")
        query = Node(("relation", ("ts", type)), [f"SELECT {by.split(',')[0]} AS c0, ", *generator.cast_call(call, type), " AS c1 FROM ", *spread, (
            "", " WHERE (before IS NULL OR window_end > before) AND window_end <= mark"), f" GROUP BY {by}"])
        return self.named(query, False, True)

    def tardy_rows(self):
        """Most of them come with the time that goes on, some are behind it by hours."""
        self.tardies, rows = self.tardies + 1, []
        for place in range(1 + self.random.randrange(5)):
            self.minutes += self.pick(0, 5, 20, 45, 90)
            behind = self.pick(0, 0, 0, 10, 40, 60, 100, 200, 400)
            time = "NULL" if self.chance(0.05) else f"TIMESTAMP '2024-05-01' + INTERVAL '{self.minutes - behind} minutes'"
            rows.append(f"({100 * self.tardies + place}, {time}, {self.values.literal('int')}, {self.values.literal('text')}, {self.values.literal('bigint')})")
        return Statement(f"INSERT INTO t9 VALUES {', '.join(rows)}")

    # Changes of tables

    def alter(self):
        name = self.pick(*self.tables)
        columns = self.tables[name]
        way = self.pick("add", "add", "drop", "rename")
        if name in KEPT or len(columns) < 5:
            way = "add"
        if way == "add":
            return self.added(name)
        at = 1 + self.random.randrange(len(columns) - 1)
        if way == "drop":
            # PostgreSQL may refuse, as something reads it; then statements go on with it or without.
            column = columns.pop(at)[0]
            return Statement(f"ALTER TABLE {name} DROP COLUMN {column}", asksPostgresFirst=True)
        self.fresh += 1
        old, type = columns[at]
        columns[at] = (f"r{self.fresh}", type)
        return Statement(f"ALTER TABLE {name} RENAME COLUMN {old} TO r{self.fresh}")

    def added(self, name):
        self.fresh += 1
        column, type = f"a{self.fresh}", self.pick(*SQL_TYPES)
        self.tables[name].append((column, type))
        default = f" DEFAULT {self.values.literal(type, 0)}" if self.chance(0.5) else ""
        return Statement(f"ALTER TABLE {name} ADD COLUMN {column} {SQL_TYPES[type]}{default}")

    # Statements

    def expression(self, type, scope, depth=1):
        self.fresh += 1
        return Generator(self.seed * 1000 + self.fresh).expression(type, scope, depth).sql()

    def scope(self, name, alias=None):
        return [(f"{alias or name}.{column}", type) for column, type in self.tables[name]]

    def own(self, name):
        """The columns that statements give values to, but for the key."""
        return [(column, type) for column, type in self.tables[name][1:] if (name, column) != ("t8", "g")]

    def rows(self, name, ids):
        return [f"({', '.join([str(id), *(self.values.literal(type) for _, type in self.own(name))])})" for id in ids]

    def listed(self, name):
        return f"{name} (id, {', '.join(column for column, _ in self.own(name))})"

    def insert(self, name, count):
        first = self.ids[name]
        self.ids[name] += count
        return Statement(f"INSERT INTO {self.listed(name)} VALUES {', '.join(self.rows(name, range(first, first + count)))}")

    def many(self, name):
        """Rows with ids far from the others'."""
        def of(type):
            values = " ".join(f"WHEN {place} THEN {self.values.literal(type)}" for place in range(5))
            return f"CASE (g * {self.pick(1, 3, 7)} / {self.pick(1, 2, 5)}) % {self.pick(5, 6)} {values} END::{CASTS[type]}"
        items = ", ".join(of(type) for _, type in self.own(name))
        return Statement(f"INSERT INTO {self.listed(name)} SELECT g, {items} FROM generate_series(101, {100 + self.pick(30, 100, 300)}) g")

    def answered(self, name, sql):
        """Some statements answer the rows they changed."""
        if self.chance(0.7):
            return Statement(sql)
        some = self.random.sample(self.scope(name), min(3, len(self.tables[name])))
        return Statement(f"{sql} RETURNING {', '.join(column for column, _ in some)}", tuple(type for _, type in some))

    def some(self, name, names=None):
        """Which rows."""
        other = self.pick(*(names or self.tables))
        inner = self.scope(other, "o")
        return self.pick(
            lambda: self.expression("bool", self.scope(name), 2), lambda: f"{name}.id % {self.pick(2, 3)} = {self.pick(0, 1)}", lambda: f"{name}.id > {self.random.randrange(6)}",
            lambda: f"{name}.id {self.pick('', 'NOT ')}IN (SELECT o.id FROM {other} o WHERE {self.expression('bool', inner)})",
            lambda: f"EXISTS (SELECT 1 FROM {other} o WHERE o.id = {name}.id AND {self.expression('bool', inner + self.scope(name))})",
            lambda: f"{name}.id = (SELECT {self.pick('max', 'min')}(o.id) FROM {other} o)")()

    def from_view(self, view):
        """A change that reads a view."""
        name = self.pick(*self.tables)
        scope = [(f"v.{column}", type) for column, type in self.views[view]]
        column, type = self.pick(*self.own(name))
        test = f"EXISTS (SELECT 1 FROM {view} v WHERE {self.expression('bool', scope + self.scope(name))})"
        found = f"(SELECT {self.pick('max', 'min', 'count')}(v.c0::text) FROM {view} v)"
        return self.pick(
            Statement(f"DELETE FROM {name} WHERE {name}.id % 2 = 0 AND {test}"),
            Statement(f"UPDATE {name} SET {column} = {self.values.literal(type)} WHERE {test}"),
            Statement(f"UPDATE t1 SET i = length({found}::text) WHERE t1.id % 2 = 0 RETURNING id, i", ("int", "int")))

    def statement(self, mayReadViews=True, names=None):
        """A transaction sees in views what was there before it, PostgreSQL what it has done."""
        # What is filled by way of a topic may be behind.
        views = [view for view in self.views if self.levels[view] == 1 and view.startswith("q")]
        if mayReadViews and views and self.chance(0.1):
            return self.from_view(self.pick(*views))
        name = self.pick(*(names or self.tables))
        other = self.pick(*(names or self.tables))
        columns = self.own(name)
        column, type = self.pick(*columns)
        way = self.random.random()
        if way < 0.2:
            return self.insert(name, 1 + self.random.randrange(4))
        if way < 0.35:
            ids = self.random.sample(range(self.ids[name] + 3), min(3, self.ids[name] + 3))
            self.ids[name] = max(self.ids[name], max(ids) + 1)
            by = self.pick("(id)", "(id)", "(n)", "(i, x)", "ON CONSTRAINT apart") if name == "t8" else "(id)"
            taken = f"INSERT INTO {self.listed(name)} VALUES {', '.join(self.rows(name, ids))} ON CONFLICT {by} DO "
            if self.chance(0.3):
                return self.answered(name, taken + "NOTHING")
            if name == "t8" and self.chance(0.3):
                return self.answered(name, taken.replace(f" {by}", "") + "NOTHING")
            some = self.random.sample(columns, 1 + self.random.randrange(2))
            scope = self.scope(name) + self.scope(name, "excluded")
            set = ", ".join(f"{c} = {self.expression(t, scope) if self.chance(0.4) else 'excluded.' + c}" for c, t in some)
            where = f" WHERE {self.expression('bool', scope)}" if self.chance(0.3) else ""
            return self.answered(name, f"{taken}UPDATE SET {set}{where}")
        if way < 0.6:
            some = self.random.sample(columns, 1 + self.random.randrange(2))
            def value(type):
                return self.expression(type, self.scope(name), 2) if self.chance(0.6) else self.values.literal(type)
            return self.answered(name, f"UPDATE {name} SET {', '.join(f'{c} = {value(t)}' for c, t in some)} WHERE {self.some(name, names)}")
        if way < 0.68:
            inner = self.expression(type, self.scope(other, "o"))
            found = self.pick(f"(SELECT {inner} FROM {other} o WHERE o.id = {name}.id)", f"(SELECT {inner} FROM {other} o ORDER BY o.id LIMIT 1)")
            return self.answered(name, f"UPDATE {name} SET {column} = {found} WHERE {self.some(name, names)}")
        if way < 0.74:
            source = self.scope(other, "o") + self.scope(name)
            return self.answered(name, f"UPDATE {name} SET {column} = {self.expression(type, source)} FROM {other} o WHERE o.id = {name}.id")
        if way < 0.86:
            return self.answered(name, f"DELETE FROM {name} WHERE {self.some(name, names)}")
        if way < 0.9:
            return self.answered(name, f"DELETE FROM {name} USING {other} o WHERE o.id = {name}.id AND {self.expression('bool', self.scope(other, 'o') + self.scope(name))}")
        if way < 0.94:
            offset = 1000 * (self.fresh + 1)
            self.fresh += 1
            items = ", ".join(self.expression(t, self.scope(other, "o")) for _, t in columns)
            return self.answered(name, f"INSERT INTO {self.listed(name)} SELECT o.id + {offset}, {items} FROM {other} o WHERE o.id < 4")
        if way < 0.97:
            self.fresh += 1
            return self.answered(name, f"UPDATE {name} SET id = {name}.id + {1_000_000 * (self.fresh + 1)} WHERE {self.some(name, names)} AND id < 1000")
        return Statement(f"TRUNCATE {name}")
