"""Random typed queries over three tables, as trees that can be made smaller.

A node is a list of parts, texts and nodes; its `kind` says what may stand in its place: an expression of a type, a relation
with columns of some types, or something that may be left out ("option"). Relations give columns c0, c1, …; an expression reads
the columns of the relations in whose scope it stands, so a smaller expression of the same type and scope is valid in its place.
"""

import random

TABLES = {
    "t0": [("id", "int"), ("i", "int"), ("n", "bigint"), ("x", "numeric"), ("s", "text"), ("b", "bool")],
    "t1": [("id", "int"), ("i", "int"), ("y", "double"), ("s", "text"), ("d", "date"), ("w", "ts")],
    "t2": [("id", "int"), ("i", "int"), ("n", "bigint"), ("x", "numeric"), ("d", "date"), ("b", "bool")],
    "t3": [("id", "int"), ("i", "int"), ("k", "smallint"), ("z", "tstz"), ("v", "interval"), ("h", "time"), ("j", "jsonb"), ("a", "ints"), ("u", "bytea")],
    "t4": [("id", "int"), ("i", "int"), ("w", "ts"), ("s", "text"), ("n", "bigint"), ("k", "smallint")],
}
# Whose rows become final, era by era: what a view with EMIT ON WINDOW CLOSE reads.
FINAL_TABLES = {
    "t5": [("id", "int"), ("w", "ts"), ("i", "int"), ("s", "text"), ("n", "bigint"), ("x", "numeric"), ("b", "bool")],
    "t6": [("id", "int"), ("w", "ts"), ("i", "int"), ("s", "text"), ("y", "double"), ("k", "smallint")],
    "t7": [("id", "int"), ("w", "ts"), ("i", "int"), ("s", "text"), ("d", "date"), ("x", "numeric")],
}
APPEND_ONLY = ("t6", "t7")
# Tables with event time; nothing is ever late.
WATERMARKS = {"t4": ("w", "36500 days"), "t5": ("w", "1 day"), "t6": ("w", "1 day"), "t7": ("w", "1 day")}
SQL_TYPES = {
    "int": "INT", "bigint": "BIGINT", "numeric": "NUMERIC(8,2)", "double": "DOUBLE PRECISION", "text": "TEXT", "bool": "BOOLEAN",
    "date": "DATE", "ts": "TIMESTAMP", "smallint": "SMALLINT", "tstz": "TIMESTAMPTZ", "interval": "INTERVAL", "time": "TIME", "jsonb": "JSONB",
    "ints": "INT[]", "bytea": "BYTEA",
}
CASTS = dict(SQL_TYPES, numeric="NUMERIC")
TYPES = list(SQL_TYPES)
WORDS = ["", "a", "ab", "B", "c%", "d_e", "été", "x y", "zz"]


# The two that are asked; what only one of them can say has a text for each.
MARTLET, POSTGRES = 0, 1


def table_definition(name, dialect=MARTLET):
    columns = ", ".join(f"{column} {SQL_TYPES[type]}" for column, type in (TABLES.get(name) or FINAL_TABLES[name]))
    key = "" if name in APPEND_ONLY else ", PRIMARY KEY (id)"
    if dialect == POSTGRES:
        return f"CREATE TABLE {name} ({columns}{key})"
    time, delay = WATERMARKS.get(name, (None, None))
    watermark = f", WATERMARK FOR {time} AS {time} - INTERVAL '{delay}'" if time else ""
    return f"CREATE TABLE {name} ({columns}{key}{watermark})" + (" APPEND ONLY" if name in APPEND_ONLY else "")


class Values:
    """Values of few kinds, some of them frequent, and NULLs."""

    def __init__(self, random):
        self.random = random

    def literal(self, type, null=0.2):
        r = self.random
        if r.random() < null:
            return "NULL"
        small = 1 if r.random() < 0.4 else r.randrange(-3, 8)
        if type == "text":
            return "'" + r.choice(WORDS) + "'"
        if type == "bool":
            return r.choice(["true", "false"])
        if type == "numeric":
            return f"{small}.{r.choice(['00', '50', '25', '07'])}" if small >= 0 else f"({small}.5)"
        if type == "double":
            return f"({small * 0.25})::float8"
        if type == "date":
            return f"DATE '2024-02-{26 + abs(small) % 4}'"
        if type == "smallint":
            return f"({small})::smallint"
        if type == "tstz":
            return f"TIMESTAMPTZ '2024-02-29 {abs(small):02}:15:00+0{r.randrange(3)}'"
        if type == "interval":
            return r.choice([f"INTERVAL '{small} hours'", f"INTERVAL '{small} days {abs(small)} minutes'", "INTERVAL '1 month'"])
        if type == "time":
            return f"TIME '{abs(small):02}:{r.choice(['00', '30'])}:00.5'"
        if type == "jsonb":
            return r.choice([f"'{small}'", "'null'", f"'{{\"a\": {small}, \"b\": [1, true, null]}}'", f"'[{small}, \"x\"]'", "'\"a\"'", "'{}'"]) + "::jsonb"
        if type == "ints":
            return r.choice([f"ARRAY[{small}, 2]", f"ARRAY[{small}, NULL, 1]", "'{}'", "ARRAY[1]"]) + "::int[]"
        if type == "bytea":
            return r.choice(["'\\x'", f"'\\x0{abs(small)}ff'", "'\\x61'"]) + "::bytea"
        if type == "ts":
            return f"TIMESTAMP '2024-02-29 {abs(small):02}:{r.choice(['00', '30'])}:00'"
        return f"({small})" if small < 0 else str(small)

    def row(self, table, id):
        return "(" + ", ".join(str(id) if name == "id" else self.literal(type) for name, type in TABLES[table]) + ")"

    def moment(self, era, null=0.1):
        """In the era's few hours; eras are three days apart."""
        if self.random.random() < null:
            return "NULL"
        return f"TIMESTAMP '2024-03-{1 + 3 * era:02} {self.random.randrange(8):02}:{self.random.choice(['00', '10', '30'])}:00'"

    def final_row(self, table, id, era, null=0.1):
        own = {"id": lambda: str(id), "w": lambda: self.moment(era, null)}
        return "(" + ", ".join(own.get(name, lambda: self.literal(type))() for name, type in FINAL_TABLES[table]) + ")"


class Node:
    __slots__ = ("kind", "scope", "parts")

    def __init__(self, kind, parts, scope=None):
        self.kind, self.parts, self.scope = kind, parts, scope

    def sql(self, dialect=MARTLET):
        """A part that is a pair is said in two ways."""
        return "".join(
            part.sql(dialect) if isinstance(part, Node) else part[dialect] if isinstance(part, tuple) else part for part in self.parts)

    def size(self):
        return 1 + sum(part.size() for part in self.parts if isinstance(part, Node))

    def nodes(self):
        yield self
        for part in self.parts:
            if isinstance(part, Node):
                yield from part.nodes()

    def replacing(self, old, new):
        if self is old:
            return new
        parts = [part.replacing(old, new) if isinstance(part, Node) else part for part in self.parts]
        return Node(self.kind, parts, self.scope)


def leaf(types):
    """The smallest relation with columns of these types."""
    parts = []
    for place, type in enumerate(types):
        source = next((name for name, own in TABLES["t0"] if own == type), None)
        parts.append(f"{source or 'NULL::' + CASTS[type]} AS c{place}")
    return Node(("relation", tuple(types)), [f"SELECT {', '.join(parts)} FROM t0"])


def smaller(tree):
    """Trees like this one with less in them, the greatest steps first."""
    for node in tree.nodes():
        options = []
        if node.kind == "option":
            options.append(Node("option", [""]))
        elif node.kind[0] == "relation":
            inner = [other for other in node.nodes() if other is not node and other.kind == node.kind]
            options += inner[:4] + [leaf(node.kind[1])]
        elif node.kind[0] == "expression":
            inner = [other for other in node.nodes() if other is not node and other.kind == node.kind and other.scope is node.scope]
            type = node.kind[1]
            options += inner[:6] + [Node(node.kind, [f"NULL::{CASTS[type]}"], node.scope)]
            options.append(Node(node.kind, [Values(random.Random(1)).literal(type, 0)], node.scope))
        for option in options:
            if option.size() < node.size() or (option.size() == node.size() and len(option.sql()) < len(node.sql())):
                yield tree.replacing(node, option)


class Generator:
    """`tables`: what there is to read, by name its columns and their types; `views`: relations that are read as a whole."""

    def __init__(self, seed, tables=TABLES, views=None):
        self.random = random.Random(seed)
        self.values = Values(self.random)
        self.tables, self.views = tables, views or {}

    def query(self, depth):
        return self.relation(depth)

    def pick(self, *items):
        return self.random.choice(items)

    def chance(self, share):
        return self.random.random() < share

    # Relations

    def make(self, types, *parts):
        return Node(("relation", tuple(types)), list(parts))

    def types(self, relation):
        return relation.kind[1]

    def scope(self, *relations):
        """Columns by type: what expressions over aliased relations may name."""
        scope = []
        for alias, relation in relations:
            for place, type in enumerate(self.types(relation)):
                scope.append((f"{alias}.c{place}", type))
        return scope

    def relation(self, depth):
        if depth <= 0:
            return self.scan()
        steps = [self.filtered, self.projected, self.joined, self.joined, self.aggregated, self.aggregated, self.combined, self.tested,
                 self.ranked, self.measured, self.limited, self.spread, self.grouped_by_sets, self.named, self.firsts, self.placed,
                 self.beside, self.windowed, self.recent, self.nearest, self.in_sessions, self.of_then, self.filled]
        return self.pick(*steps)(depth)

    def scan(self):
        if self.chance(0.1):
            types = [self.pick(*TYPES) for _ in range(2)]
            rows = ", ".join("(" + ", ".join(f"{self.values.literal(type)}::{CASTS[type]}" for type in types) + ")" for _ in range(3))
            return self.make(types, f"SELECT v.c0, v.c1 FROM (VALUES {rows}) v(c0, c1)")
        if self.views and self.chance(0.5):
            view = self.pick(*self.views)
            return self.make([type for _, type in self.views[view]],
                             "SELECT " + ", ".join(f"{name} AS c{place}" for place, (name, _) in enumerate(self.views[view])) + f" FROM {view}")
        table = self.pick(*self.tables)
        chosen = [self.tables[table][0]] if self.chance(0.7) else []
        chosen += self.random.sample(self.tables[table][1:], 2 + self.random.randrange(2))
        return self.make([type for _, type in chosen],
                         "SELECT " + ", ".join(f"{name} AS c{place}" for place, (name, _) in enumerate(chosen)) + f" FROM {table}")

    def columns(self, alias, relation):
        return ", ".join(f"{alias}.c{place}" for place in range(len(self.types(relation))))

    def where(self, scope, share=1.0, word="WHERE"):
        if not self.chance(share):
            return Node("option", [""])
        return Node("option", [f" {word} ", self.expression("bool", scope, 2)])

    def filtered(self, depth):
        inner = self.relation(depth - 1)
        return self.make(self.types(inner), "SELECT * FROM (", inner, ") r", self.where(self.scope(("r", inner))))

    def projected(self, depth):
        inner = self.relation(depth - 1)
        scope = self.scope(("r", inner))
        types = [self.pick(*TYPES) for _ in range(1 + self.random.randrange(3))]
        parts = ["SELECT ", Node("option", [self.pick("", "DISTINCT ")])]
        for place, type in enumerate(types):
            parts += [", " if place else "", self.expression(type, scope, 3), f" AS c{place}"]
        return self.make(types, *parts, " FROM (", inner, ") r", self.where(scope, 0.3))

    def joined(self, depth):
        left, right = self.relation(depth - 1 - self.random.randrange(2)), self.relation(depth - 2)
        scope = self.scope(("l", left), ("r", right))
        pairs = [(f"l.c{a}", f"r.c{b}") for a, x in enumerate(self.types(left)) for b, y in enumerate(self.types(right)) if x == y]
        kind = self.pick("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN")
        if not pairs and kind == "FULL JOIN":
            kind = "LEFT JOIN"
        shown = self.random.sample(scope, min(len(scope), 2 + self.random.randrange(2)))
        items = ", ".join(f"{name} AS c{place}" for place, (name, _) in enumerate(shown))
        condition = [""]
        if kind != "CROSS JOIN":
            equal = " = ".join(self.pick(*pairs)) if pairs else "true"
            more = Node("option", [""])
            if kind != "FULL JOIN" and self.chance(0.4):
                more = Node("option", [" AND ", self.expression("bool", scope, 1)])
            condition = [f" ON {equal}", more]
        return self.make([type for _, type in shown], f"SELECT {items} FROM (", left, f") l {kind} (", right, ") r", *condition)

    def aggregate(self, scope):
        """A call and its type; the order of rows does not show."""
        name = self.pick("count", "sum", "min", "max", "avg", "bool_and", "bool_or", "string_agg", "array_length", "count distinct", "every",
                         "sum distinct", "bit_or", "var_pop", "regr_count", "mode", "percentile_disc", "array_agg", "jsonb_agg", "percentile_cont", "stddev", "corr",
                         "sum interval", "avg interval", "bit_and small", "percentile_cont interval")
        filter = self.where(scope, 0.2, "FILTER (WHERE")
        if filter.parts[0]:
            filter = Node("option", filter.parts + [")"])
        def call(type, result, before, after=")"):
            return [before, self.expression(type, scope, 1), after, filter], result
        if name == "count":
            return ([["count(*)", filter], "bigint"] if self.chance(0.4) else call(self.pick(*TYPES), "bigint", "count("))
        if name == "count distinct":
            return call(self.pick(*TYPES), "bigint", "count(DISTINCT ")
        if name in ("sum", "sum distinct"):
            type, result = self.pick(("int", "bigint"), ("bigint", "numeric"), ("numeric", "numeric"), ("double", "double"))
            return call(type, result, "sum(" + ("DISTINCT " if name != "sum" else ""))
        if name in ("sum interval", "avg interval"):
            return call("interval", "interval", name.split()[0] + "(")
        if name == "bit_and small":
            return call("smallint", "smallint", "bit_and(")
        if name == "percentile_cont interval":
            return call("interval", "interval", "percentile_cont(0.5) WITHIN GROUP (ORDER BY ")
        if name == "avg":
            type, result = self.pick(("int", "numeric"), ("bigint", "numeric"), ("numeric", "numeric"), ("double", "double"))
            return call(type, result, "avg(")
        if name == "var_pop":
            return call("double", "double", "var_pop(")
        if name in ("min", "max"):
            type = self.pick("int", "bigint", "numeric", "double", "text", "date", "ts", "smallint", "tstz", "interval", "time", "ints")
            return call(type, type, name + "(")
        if name == "mode":
            return call("int", "bigint", "max(", ")")
        if name == "percentile_disc":
            return call("int", "int", "percentile_disc(0.5) WITHIN GROUP (ORDER BY ")
        if name in ("array_agg", "jsonb_agg"):
            type = self.pick("int", "numeric", "text", "date", "bool", "time", "interval", "tstz")
            value = self.expression(type, scope, 1)
            return [[f"{name}(", value, " ORDER BY ", value, self.pick("", " DESC"), ")", filter], "text"]
        if name == "percentile_cont":
            return call("double", "double", "percentile_cont(0.25) WITHIN GROUP (ORDER BY ")
        if name == "stddev":
            return call("double", "double", "stddev_samp(")
        if name == "corr":
            return [["corr(", self.expression("double", scope, 1), ", ", self.expression("double", scope, 1), ")", filter], "double"]
        if name in ("bool_and", "bool_or", "every"):
            return call("bool", "bool", name + "(")
        if name == "bit_or":
            return call("int", "int", "bit_or(")
        if name == "regr_count":
            return [["regr_count(", self.expression("double", scope, 1), ", ", self.expression("double", scope, 1), ")", filter], "bigint"]
        if name == "array_length":
            return call("int", "int", "array_length(array_agg(", "), 1)") if not filter.parts[0] else call("int", "bigint", "count(")
        value = self.expression("text", scope, 1)
        return [["string_agg(", value, ", '|' ORDER BY ", value, ")", filter], "text"]

    def cast_call(self, parts, type):
        # sum(int) over an int is bigint and so on, the same in both; results keep a type that later expressions know.
        return ["CAST(", *parts, f" AS {CASTS[type]})"]

    def aggregated(self, depth):
        inner = self.relation(depth - 1)
        scope = self.scope(("r", inner))
        types, parts, keys = [], ["SELECT "], []
        for place in range(self.random.randrange(3)):
            type = self.pick(*[type for _, type in scope])
            key = self.expression(type, scope, 1) if self.chance(0.3) else Node(("expression", type), [self.pick(*[n for n, t in scope if t == type])], scope)
            keys.append(len(types) + 1)
            parts += [key, f" AS c{len(types)}, "]
            types.append(type)
        for _ in range(1 + self.random.randrange(2)):
            call, type = self.aggregate(scope)
            parts += [*self.cast_call(call, type), f" AS c{len(types)}, "]
            types.append(type)
        parts[-1] = parts[-1][:-2]
        group = f" GROUP BY {', '.join(map(str, keys))}" if keys else ""
        having = Node("option", [f" HAVING count(*) > {self.random.randrange(3)}"]) if keys and self.chance(0.3) else Node("option", [""])
        return self.make(types, *parts, " FROM (", inner, ") r", self.where(scope, 0.3), group, having)

    def grouped_by_sets(self, depth):
        inner = self.relation(depth - 1)
        scope = self.scope(("r", inner))
        if len(scope) < 2:
            return self.aggregated(depth)
        (a, a_type), (b, b_type) = self.random.sample(scope, 2)
        call, type = self.aggregate(scope)
        sets = self.pick(f"ROLLUP ({a}, {b})", f"CUBE ({a}, {b})", f"GROUPING SETS (({a}), ({b}), ())", f"GROUPING SETS (({a}, {b}), ({b}))")
        return self.make([a_type, b_type, type, "int"], f"SELECT {a} AS c0, {b} AS c1, ", *self.cast_call(call, type),
                         f" AS c2, GROUPING({a}, {b}) AS c3 FROM (", inner, f") r GROUP BY {sets}")

    def combined(self, depth):
        left = self.relation(depth - 1)
        types = [self.pick(*self.types(left)) for _ in range(1 + self.random.randrange(2))]
        right = self.relation(depth - 2)
        def arm(relation, alias):
            scope = self.scope((alias, relation))
            parts = ["SELECT "]
            for place, type in enumerate(types):
                # Of equal numbers, 0 and 0.00, either may stand for both.
                same = "::NUMERIC(30,6)::NUMERIC" if type == "numeric" else ""
                parts += [", " if place else "", "(" if same else "", self.expression(type, scope, 1), (")" + same) if same else "", f" AS c{place}"]
            return [*parts, " FROM (", relation, f") {alias}"]
        kind = self.pick("UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL")
        return self.make(types, *arm(left, "l"), f" {kind} ", *arm(right, "r"))

    def tested(self, depth):
        left, right = self.relation(depth - 1), self.relation(depth - 2)
        scope, both = self.scope(("l", left)), self.scope(("l", left), ("r", right))
        pairs = [(f"l.c{a}", f"r.c{b}") for a, x in enumerate(self.types(left)) for b, y in enumerate(self.types(right)) if x == y]
        negated = self.pick("", "NOT ")
        if pairs and self.chance(0.5):
            a, b = self.pick(*pairs)
            if len(pairs) > 1 and self.chance(0.3):
                (c, d), (e, f) = self.random.sample(pairs, 2)
                test = [f"({c}, {e}) {negated}IN (SELECT {d}, {f} FROM (", right, ") r", self.where(self.scope(("r", right)), 0.4), ")"]
            else:
                test = [f"{a} {negated}IN (SELECT {b} FROM (", right, ") r", self.where(self.scope(("r", right)), 0.4), ")"]
        else:
            equal = f"{' = '.join(self.pick(*pairs))}" if pairs else "true"
            more = Node("option", [" AND ", self.expression("bool", both, 1)]) if self.chance(0.5) else Node("option", [""])
            test = [f"{negated}EXISTS (SELECT 1 FROM (", right, f") r WHERE {equal}", more, ")"]
        other = Node("option", [self.pick(" AND ", " OR "), self.expression("bool", scope, 1)]) if self.chance(0.3) else Node("option", [""])
        return self.make(self.types(left), "SELECT * FROM (", left, ") l WHERE ", *test, other)

    def ranked(self, depth):
        inner = self.relation(depth - 1)
        scope = self.scope(("r", inner))
        by, order = self.pick(*scope)[0], self.pick(*scope)[0]
        way = self.pick("", " DESC", " DESC NULLS LAST", " NULLS FIRST")
        window = f"OVER (PARTITION BY {by} ORDER BY {order}{way})"
        choice = self.random.randrange(4)
        if choice == 0:
            rank = self.pick("rank", "dense_rank")
            limit = self.pick("<= 2", "= 1", "< 4")
            return self.make(self.types(inner), f"SELECT {self.columns('q', inner)} FROM (SELECT r.*, {rank}() {window} AS place FROM (", inner,
                             f") r) q WHERE q.place {limit}")
        if choice == 1:
            call = [self.pick("rank", "dense_rank"), f"() {window}"]
            type = "bigint"
        elif choice == 2:
            type, result = self.pick(("int", "bigint"), ("numeric", "numeric"))
            # Peers share a RANGE frame, so that their order does not show.
            call = [self.pick("sum", "min", "max") + "(", self.expression(type, scope, 1), f") {window}"]
            type = "numeric"
        else:
            call = ["count(*) " + self.pick(window, f"OVER (PARTITION BY {by})", "OVER ()")]
            type = "bigint"
        return self.make(self.types(inner) + (type,), f"SELECT {self.columns('r', inner)}, CAST(", *call,
                         f" AS {CASTS[type]}) AS c{len(self.types(inner))} FROM (", inner, ") r")

    def measured(self, depth):
        left, right = self.relation(depth - 1), self.relation(depth - 2)
        pairs = [(f"l.c{a}", f"r.c{b}") for a, x in enumerate(self.types(left)) for b, y in enumerate(self.types(right)) if x == y]
        condition = Node("option", [f" WHERE {' = '.join(self.pick(*pairs))}"]) if pairs and self.chance(0.7) else Node("option", [""])
        call, type = self.aggregate(self.scope(("r", right)))
        keep = self.random.randrange(len(self.types(left)))
        end = Node("option", [self.pick("", "", f" HAVING count(*) > {self.random.randrange(2)}", " LIMIT 1")])
        return self.make([self.types(left)[keep], type], f"SELECT l.c{keep} AS c0, (SELECT ", *self.cast_call(call, type), " FROM (", right, ") r",
                         condition, end, ") AS c1 FROM (", left, ") l")

    def limited(self, depth):
        inner = self.relation(depth - 1)
        order = ", ".join(f"r.c{place}{self.pick('', ' DESC')}" for place in range(len(self.types(inner))))
        if self.chance(0.3):
            by = f"r.c{self.random.randrange(len(self.types(inner)))}"
            return self.make(self.types(inner), "SELECT * FROM (", inner, f") r ORDER BY {by} FETCH FIRST {1 + self.random.randrange(3)} ROWS WITH TIES")
        offset = self.pick("", "", " OFFSET 1")
        return self.make(self.types(inner), "SELECT * FROM (", inner, f") r ORDER BY {order} LIMIT {1 + self.random.randrange(5)}{offset}")

    def firsts(self, depth):
        inner = self.relation(depth - 1)
        key = self.random.randrange(len(self.types(inner)))
        rest = ", ".join(f"r.c{place}{self.pick('', ' DESC')}" for place in range(len(self.types(inner))))
        return self.make(self.types(inner), f"SELECT DISTINCT ON (r.c{key}) * FROM (", inner, f") r ORDER BY r.c{key}, {rest}")

    def placed(self, depth):
        """Functions of a row's place: in an order by all columns only equal rows could change places."""
        inner = self.relation(depth - 1)
        scope = self.scope(("r", inner))
        by = self.pick(*scope)[0]
        order = ", ".join(f"r.c{place}{self.pick('', ' DESC', ' NULLS FIRST')}" for place in range(len(self.types(inner))))
        name, type = self.pick(*scope)
        frame = self.pick("ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", "ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING", "ROWS UNBOUNDED PRECEDING",
                          "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", "GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING")
        whole = self.pick(f"PARTITION BY {by} ORDER BY {order}", f"ORDER BY {order}")
        call, result = self.pick(
            ("row_number()", "bigint"), ("ntile(2)", "int"), (f"lag({name})", type), (f"lead({name}, 2)", type), (f"first_value({name})", type),
            (f"last_value({name})", type), (f"nth_value({name}, 2)", type), (f"count({name})", "bigint"), (f"min({name})" if type not in ("bool", "jsonb", "bytea") else f"count({name})", type if type not in ("bool", "jsonb", "bytea") else "bigint"),
            ("percent_rank()", "double"), ("cume_dist()", "double"))
        framed = call.split("(")[0] in ("first_value", "last_value", "nth_value", "count", "min")
        return self.make(self.types(inner) + (result,), f"SELECT {self.columns('r', inner)}, {call} OVER ({whole}{' ' + frame if framed else ''}) "
                         f"AS c{len(self.types(inner))} FROM (", inner, ") r")

    def beside(self, depth):
        left, right = self.relation(depth - 1), self.relation(depth - 2)
        pairs = [(f"l.c{a}", f"r.c{b}") for a, x in enumerate(self.types(left)) for b, y in enumerate(self.types(right)) if x == y]
        if not pairs:
            return self.filtered(depth)
        call, type = self.aggregate(self.scope(("r", right)))
        kind = self.pick("CROSS JOIN LATERAL", "LEFT JOIN LATERAL")
        a, b = self.pick(*pairs)
        return self.make(self.types(left) + (type,), f"SELECT {self.columns('l', left)}, x.v AS c{len(self.types(left))} FROM (", left, f") l {kind} (SELECT ",
                         *self.cast_call(call, type), " AS v FROM (", right, f") r WHERE {a} {self.pick('=', '=', '<')} {b}", self.where(self.scope(("r", right)), 0.3, "AND"),
                         ") x" + (" ON true" if kind.startswith("LEFT") else ""))

    def windows(self, inner, place, alias="r"):
        """FROM a window function of the column at a place; PostgreSQL is told which windows a row is in."""
        time, first = f"a.c{place}", "TIMESTAMP '1970-01-01'"
        kind = self.random.randrange(3)
        if kind == 0:
            size = self.pick("1 hour", "3 hours", "1 day")
            call = f"TUMBLE({{}}, c{place}, INTERVAL '{size}')"
            own = f"(SELECT s AS window_start, s + INTERVAL '{size}' AS window_end FROM date_bin(INTERVAL '{size}', {time}, {first}) s)"
        elif kind == 1:
            hop, count, size = self.pick(("1 hour", 2, "2 hours"), ("30 minutes", 3, "90 minutes"), ("2 hours", 6, "12 hours"))
            call = f"HOP({{}}, c{place}, INTERVAL '{hop}', INTERVAL '{size}')"
            own = (f"(SELECT s AS window_start, s + INTERVAL '{size}' AS window_end FROM (SELECT date_bin(INTERVAL '{hop}', {time}, {first}) "
                   f"- n * INTERVAL '{hop}' AS s FROM generate_series(0, {count - 1}) n) g)")
        else:
            step, count, size = self.pick(("1 hour", 4, "4 hours"), ("30 minutes", 2, "1 hour"))
            call = f"CUMULATE({{}}, c{place}, INTERVAL '{step}', INTERVAL '{size}')"
            own = (f"(SELECT s AS window_start, s + n * INTERVAL '{step}' AS window_end FROM date_bin(INTERVAL '{size}', {time}, {first}) s, "
                   f"generate_series(1, {count}) n WHERE {time} < s + n * INTERVAL '{step}')")
        before, after = call.split("{}")
        return [(f"{before}(", "(SELECT a.*, x.window_start, x.window_end FROM ("), inner,
                (f"){after} {alias}", f") a CROSS JOIN LATERAL {own} x WHERE {time} IS NOT NULL) {alias}")]

    def sessions(self, inner, place):
        """FROM SESSION, in both spellings; PostgreSQL numbers the runs of rows between which no gap is longer."""
        time = f"c{place}"
        keys = [f"c{other}" for other in range(len(self.types(inner))) if other != place]
        keys = self.random.sample(keys, min(len(keys), self.random.randrange(3)))
        minutes = self.pick(30, 60, 90)
        gap, listed = f"INTERVAL '{minutes} minutes'", ", ".join(keys)
        by = f"PARTITION BY {listed}" if keys else ""
        several = f" PARTITION BY {self.pick(listed, '(' + listed + ')')}" if keys else ""
        if self.chance(0.5):
            before, after = "SESSION((", f"){several}, {time}, {gap}) r"
        else:
            before = "(WITH s AS ("
            after = f") SELECT * FROM TABLE(SESSION(TABLE s{several}, DESCRIPTOR({time}), INTERVAL '{minutes}' MINUTE))) r"
        run = f"PARTITION BY {', '.join(keys + ['run'])}"
        own = (f"(SELECT y.*, min({time}) OVER ({run}) AS window_start, max({time}) OVER ({run}) + {gap} AS window_end FROM ("
               f"SELECT z.*, sum(fresh) OVER ({by} ORDER BY {time}) AS run FROM (SELECT x.*, CASE WHEN {time} - lag({time}) OVER ({by} ORDER BY {time}) "
               f"<= {gap} THEN 0 ELSE 1 END AS fresh FROM (")
        return keys, [(before, own), inner, (after, f") x WHERE {time} IS NOT NULL) z) y) r")]

    def windowed(self, depth):
        """A window function of event time."""
        inner = self.timed(depth - 1)
        return self.of_windows(inner, self.windows(inner, self.types(inner).index("ts")))

    def of_windows(self, inner, spread, mayBeRows=True):
        types = self.types(inner)
        scope = self.scope(("r", inner)) + [("window_start", "ts"), ("window_end", "ts")]
        if mayBeRows and self.chance(0.4):
            return self.make(types + ("ts", "ts"), f"SELECT {self.columns('r', inner)}, window_start AS c{len(types)}, window_end AS c{len(types) + 1} FROM ", *spread)
        call, type = self.aggregate(scope)
        keys = "window_start" if self.chance(0.5) else f"window_start, {self.pick(*scope[:len(types)])[0]}"
        return self.make(("ts", type), "SELECT window_start AS c0, ", *self.cast_call(call, type), " AS c1 FROM ", *spread, f" GROUP BY {keys}")

    def in_sessions(self, depth):
        inner = self.timed(depth - 1) if self.chance(0.3) else self.clocked()
        return self.of_sessions(inner, *self.sessions(inner, self.types(inner).index("ts")))

    def of_sessions(self, inner, keys, spread, mayBeRows=True, hasEnd=False):
        types = self.types(inner)
        if mayBeRows and self.chance(0.4):
            return self.make(types + ("ts", "ts"), f"SELECT {self.columns('r', inner)}, window_start AS c{len(types)}, window_end AS c{len(types) + 1} FROM ", *spread)
        call, type = self.aggregate(self.scope(("r", inner)) + [("window_start", "ts"), ("window_end", "ts")])
        grouped = self.pick("window_end" if hasEnd else "window_start", "window_start, window_end", ", ".join(["window_end", *(f"r.{key}" for key in keys)]))
        return self.make(("ts", type), f"SELECT {grouped.split(',')[0]} AS c0, ", *self.cast_call(call, type), " AS c1 FROM ", *spread, f" GROUP BY {grouped}")

    # Queries of views with EMIT ON WINDOW CLOSE

    def final(self):
        """Rows that are final once the watermark is past them; what PostgreSQL finds in what had come by then."""
        return self.pick(self.final_windows, self.final_windows, self.final_sessions, self.final_rows, self.final_cuts, self.final_over,
                         self.final_places, self.final_windowed_join, self.final_interval_join, self.final_sums, self.final_union,
                         self.final_first, self.final_again)()

    def becoming_final(self, table=None, hasTime=True):
        """A number in c0, event time in c1, two more columns; of rows that stay, unless the table is named."""
        table = table or self.pick(*APPEND_ONLY)
        chosen = FINAL_TABLES[table][:2] + self.random.sample(FINAL_TABLES[table][2:], 2)
        items = ", ".join(f"{name} AS c{place}" for place, (name, _) in enumerate(chosen))
        timed = " WHERE w IS NOT NULL" if hasTime else ""
        return self.make([type for _, type in chosen], f"SELECT {items} FROM {table}{timed}", self.where(chosen, 0.4, "AND" if hasTime else "WHERE"))

    def final_windows(self):
        """Rows of a table that changes are final as part of their window only."""
        table = self.pick(*FINAL_TABLES)
        inner = self.becoming_final(table, hasTime=False)
        return self.of_windows(inner, self.windows(inner, 1), mayBeRows=table in APPEND_ONLY)

    def final_sessions(self):
        table = self.pick(*FINAL_TABLES)
        inner = self.becoming_final(table, hasTime=False)
        return self.of_sessions(inner, *self.sessions(inner, 1), mayBeRows=table in APPEND_ONLY, hasEnd=True)

    def final_rows(self):
        inner = self.becoming_final()
        scope, type = self.scope(("r", inner)), self.pick(*TYPES)
        return self.make(("int", "ts", type), "SELECT r.c0, r.c1, ", self.expression(type, scope, 3), " AS c2 FROM (", inner, ") r", self.where(scope, 0.3))

    def final_cuts(self):
        """Groups by what follows the watermark's column."""
        inner = self.becoming_final(self.pick(*FINAL_TABLES))
        scope = self.scope(("r", inner))
        call, type = self.aggregate(scope)
        cut = self.pick("date_trunc('hour', r.c1)", "date_trunc('day', r.c1)", "date_bin(INTERVAL '90 minutes', r.c1, TIMESTAMP '2024-01-01')",
                        "r.c1 + INTERVAL '1 hour'", "r.c1", "date_trunc('hour', r.c1 - INTERVAL '30 minutes')")
        key = self.pick("", ", r.c2", ", r.c3")
        return self.make(("ts", type), f"SELECT {cut} AS c0, ", *self.cast_call(call, type), " AS c1 FROM (", inner, f") r GROUP BY {cut}{key}",
                         Node("option", [self.pick("", " HAVING count(*) > 1")]))

    def final_over(self):
        """Functions of the rows up to one's own."""
        inner = self.becoming_final()
        name, type = self.pick(*self.scope(("r", inner)))
        by = self.pick("", "PARTITION BY r.c2 ", "PARTITION BY r.c2, r.c3 ")
        call, result, frame = self.pick(
            ("row_number()", "bigint", ""), ("dense_rank()", "bigint", ""), (f"lag({name})", type, ""), (f"first_value({name})", type, ""),
            (f"count({name})", "bigint", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW"), (f"last_value({name})", type, " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW"),
            (f"count({name})", "bigint", " ROWS UNBOUNDED PRECEDING"))
        order = "r.c1, r.c0"
        if self.chance(0.3):
            call, result, order = f"count({name})", "bigint", "r.c1"
            frame = self.pick(" RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW", "", " RANGE BETWEEN INTERVAL '2 hours' PRECEDING AND INTERVAL '1 hour' PRECEDING")
        return self.make(self.types(inner) + (result,), f"SELECT {self.columns('r', inner)}, {call} OVER ({by}ORDER BY {order}{frame}) AS c4 FROM (", inner, ") r")

    def final_places(self):
        """Places within a window, and the first ones."""
        inner = self.becoming_final(hasTime=False)
        spread, way = self.windows(inner, 1), self.pick("", " DESC", " NULLS FIRST")
        whole = f"PARTITION BY window_start, window_end{self.pick('', ', r.c2')} ORDER BY r.c3{way}, r.c0"
        if self.chance(0.5):
            return self.make(("int", "ts"), "SELECT q.c0, q.window_end AS c1 FROM (SELECT r.*, row_number() OVER (" + whole + ") AS place FROM ", *spread,
                             f") q WHERE q.place <= {self.random.randrange(1, 4)}")
        name, type = self.pick(*self.scope(("r", inner)))
        call, result = self.pick((f"lead({name})", type), (f"last_value({name})", type), ("percent_rank()", "double"), ("ntile(2)", "int"), ("rank()", "bigint"))
        return self.make(("int", "ts", result), f"SELECT r.c0, window_start AS c1, {call} OVER ({whole}) AS c2 FROM ", *spread)

    def final_windowed_join(self):
        left, right = (self.becoming_final(table, hasTime=False) for table in self.random.sample(APPEND_ONLY, 2))
        state = self.random.getstate()
        first = self.windows(left, 1, "l")
        self.random.setstate(state)
        second = self.windows(right, 1, "r")
        pairs = [(a, b) for a, x in enumerate(self.types(left)) for b, y in enumerate(self.types(right)) if x == y and a != 1]
        a, b = self.pick(*pairs)
        more = Node("option", [f" AND l.c{a} = r.c{b}"])
        kind = self.pick("JOIN", "JOIN", "LEFT JOIN", "FULL JOIN")
        return self.make(("int", "int", "ts", "ts"), "SELECT l.c0, r.c0 AS c1, l.window_start AS c2, r.window_end AS c3 FROM ", *first, f" {kind} ", *second,
                         " ON l.window_start = r.window_start AND l.window_end = r.window_end", more)

    def final_interval_join(self):
        # A row without a time, which matches nothing, would leave at once.
        first, second = self.random.sample(APPEND_ONLY, 2)
        left, right = self.becoming_final(first), self.becoming_final(second, self.chance(0.5))
        kind = self.pick("JOIN", "JOIN", "LEFT JOIN")
        span = self.pick("r.c1 BETWEEN l.c1 - INTERVAL '1 hour' AND l.c1 + INTERVAL '30 minutes'", "r.c1 >= l.c1 AND r.c1 < l.c1 + INTERVAL '2 hours'",
                         "l.c1 BETWEEN r.c1 AND r.c1 + INTERVAL '90 minutes'")
        pairs = [(a, b) for a, x in enumerate(self.types(left)) for b, y in enumerate(self.types(right)) if x == y and a != 1 and b != 1]
        a, b = self.pick(*pairs)
        more = Node("option", [" AND ", self.expression("bool", self.scope(("l", left), ("r", right)), 1)]) if self.chance(0.3) else Node("option", [""])
        return self.make(("int", "ts", "int", "ts"), "SELECT l.c0, l.c1, r.c0 AS c2, r.c1 AS c3 FROM (", left, f") l {kind} (", right, f") r ON l.c{a} = r.c{b} AND {span}", more)

    def final_union(self):
        """Rows of two tables, or what windows of two came to."""
        tables = self.random.sample(APPEND_ONLY, 2)
        if self.chance(0.5):
            arms = [["SELECT r.c0, r.c1 FROM (", self.becoming_final(table), ") r"] for table in tables]
            return self.make(("int", "ts"), *arms[0], " UNION ALL ", *arms[1])
        arms = []
        for table in tables:
            inner = self.becoming_final(table, hasTime=False)
            arms.append(["SELECT window_start AS c0, count(*) AS c1 FROM ", *self.windows(inner, 1), " GROUP BY window_start"])
        return self.make(("ts", "bigint"), *arms[0], " UNION ALL ", *arms[1])

    def final_first(self):
        """One row a key and window, by DISTINCT ON's or DISTINCT's way."""
        inner = self.becoming_final(hasTime=False)
        spread = self.windows(inner, 1)
        if self.chance(0.5):
            return self.make(("ts", self.types(inner)[2]), "SELECT DISTINCT window_start AS c0, r.c2 AS c1 FROM ", *spread)
        call, type = self.aggregate(self.scope(("r", inner)))
        return self.make(("ts", "bigint", type), "SELECT window_end AS c0, GROUPING(r.c2)::bigint AS c1, ", *self.cast_call(call, type), " AS c2 FROM ", *spread,
                         " GROUP BY GROUPING SETS ((window_end, r.c2), (window_end))")

    def final_again(self):
        """Windows of what windows came to, or rows beside what their window came to."""
        inner = self.becoming_final(self.pick(*FINAL_TABLES), hasTime=False)
        call, type = self.aggregate(self.scope(("r", inner)))
        if self.chance(0.5):
            return self.make(("ts", "bigint"), "SELECT date_trunc('day', f.window_start) AS c0, sum(f.n)::bigint AS c1 FROM (SELECT window_start, count(*) AS n FROM ",
                             *self.windows(inner, 1), " GROUP BY window_start, window_end) f GROUP BY date_trunc('day', f.window_start)")
        other = self.becoming_final(hasTime=False)
        kind = self.pick("JOIN", "LEFT JOIN")
        state = self.random.getstate()
        first = self.windows(inner, 1)
        self.random.setstate(state)
        return self.make(("int", "ts", type), "SELECT l.c0, l.window_end AS c1, f.v AS c2 FROM ", *self.windows(other, 1, "l"), f" {kind} (SELECT window_start, window_end, ",
                         *self.cast_call(call, type), " AS v FROM ", *first, " GROUP BY window_start, window_end) f ON l.window_start = f.window_start AND l.window_end = f.window_end")

    def final_sums(self):
        """What windows came to, beside each other or again."""
        inner = self.becoming_final(self.pick(*FINAL_TABLES), hasTime=False)
        call, type = self.aggregate(self.scope(("r", inner)))
        first = ["(SELECT window_start, window_end, count(*) AS n, ", *self.cast_call(call, type), " AS v FROM ", *self.windows(inner, 1), " GROUP BY window_start, window_end) f"]
        if self.chance(0.4):
            return self.make(("ts", "bigint", type), "SELECT f.window_start AS c0, f.n AS c1, f.v AS c2 FROM ", *first, f" WHERE f.n > {self.random.randrange(3)}")
        other = self.becoming_final(self.pick(*FINAL_TABLES), hasTime=False)
        second = ["(SELECT window_start, count(*) AS n FROM ", *self.windows(other, 1), " GROUP BY window_start, window_end) g"]
        return self.make(("ts", "bigint", "bigint", type), "SELECT f.window_start AS c0, f.n AS c1, g.n AS c2, f.v AS c3 FROM ", *first, " JOIN ", *second,
                         " ON f.window_start = g.window_start")

    def clocked(self):
        """Rows with event time."""
        rest = self.random.sample([("i", "int"), ("s", "text"), ("n", "bigint"), ("k", "smallint")], 2)
        names = ["id", "w"] + [name for name, _ in rest]
        types = ["int", "ts"] + [type for _, type in rest]
        items = ", ".join(f"{name} AS c{place}" for place, name in enumerate(names))
        scope = list(zip(names, types))
        return self.make(types, f"SELECT {items} FROM t4", self.where(scope, 0.3))

    def predicate(self, relation):
        """Something that is true, false or unknown for each row of a relation called q."""
        return self.expression("bool", self.scope(("q", relation)), 2)

    def timed(self, depth):
        """A relation with a timestamp among its columns."""
        for _ in range(3):
            inner = self.relation(depth)
            if "ts" in self.types(inner):
                return inner
        return self.make(("ts", "text", "int"), "SELECT w AS c0, s AS c1, i AS c2 FROM t4")

    def recent(self, depth):
        """Filters by the clock that stay the same while it runs a little."""
        inner = self.timed(depth - 1)
        time = f"r.c{self.types(inner).index('ts')}"
        days = self.pick(1, 300, 20000, 40000)
        test = self.pick(f"{time} > now()::timestamp - INTERVAL '{days} days'", f"{time} + INTERVAL '{days} days' > now()::timestamp",
                         f"now()::timestamp - INTERVAL '{days} days' <= {time} AND {time} < now()::timestamp", f"{time} < now()::timestamp - INTERVAL '{days} days'")
        return self.make(self.types(inner), "SELECT * FROM (", inner, f") r WHERE {test}", self.where(self.scope(("r", inner)), 0.3, "AND"))

    def nearest(self, depth):
        """ASOF joins; the right side has one row a key and place, so that the nearest is one."""
        left, right = self.relation(depth - 1), self.relation(depth - 2)
        pairs = [(a, b) for a, x in enumerate(self.types(left)) for b, y in enumerate(self.types(right)) if x == y and x not in ("jsonb", "ints")]
        if len(pairs) < 2:
            return self.filtered(depth)
        (a, b), (c, d) = self.random.sample(pairs, 2)
        if b == d:
            return self.joined(depth)
        kind, sign = self.pick("", " LEFT"), self.pick(">=", ">", "<=", "<")
        call, type = self.aggregate(self.scope(("x", right)))
        once = ["SELECT ", f"x.c{b} AS k, x.c{d} AS p, ", *self.cast_call(call, type), " AS v FROM (", right, f") x GROUP BY x.c{b}, x.c{d}"]
        item = f"SELECT {self.columns('l', left)}, r.v AS c{len(self.types(left))} FROM ("
        own = f" ON l.c{a} = r.k AND l.c{c} {sign} r.p"
        direction = " DESC" if sign[0] == ">" else ""
        return self.make(self.types(left) + (type,), item, left, (f") l ASOF{kind} JOIN (", f") l{kind or ' CROSS'} JOIN LATERAL (SELECT * FROM ("), *once,
                         (f") r{own}", f") r WHERE l.c{a} = r.k AND l.c{c} {sign} r.p ORDER BY r.p{direction} LIMIT 1) r" + (" ON true" if kind else "")))

    def of_then(self, depth):
        """Joins with the version of a row's time. Of versions of one time either may be taken, so that their time is all that shows."""
        left, table = self.becoming_final(self.pick(*FINAL_TABLES), hasTime=False), self.pick(*APPEND_ONLY)
        pairs = [(f"l.c{place}", name) for place, type in enumerate(self.types(left)) for name, own in FINAL_TABLES[table] if own == type and type != "ts"]
        (a, b), kind = self.pick(*pairs), self.pick("", "LEFT ")
        columns = f"SELECT {self.columns('l', left)}, v.w AS c{len(self.types(left))} FROM ("
        return self.make(self.types(left) + ("ts",), columns, left, (
            f") l {kind}JOIN {table} FOR SYSTEM_TIME AS OF l.c1 AS v ON {a} = v.{b}",
            f") l {kind or 'CROSS '}JOIN LATERAL (SELECT x.w FROM {table} x WHERE {a} = x.{b} AND x.w <= l.c1 ORDER BY x.w DESC LIMIT 1) v"
            + (" ON true" if kind else "")))

    def filled(self, depth):
        """GAP_FILL of rows that differ in time within their partition; times far away would make too many."""
        minutes = self.pick(20, 30, 45, 60)
        step = f"INTERVAL '{minutes} minutes'"
        key, type = self.pick(("i", "int"), ("s", "text"))
        call, value = self.pick(("sum(n)::bigint", "bigint"), ("min(k)", "smallint"), ("max(s)", "text"), ("count(*)", "bigint"))
        way = self.pick("", "LOCF", "INTERPOLATE") if value != "text" else self.pick("", "LOCF")
        rows = (f"SELECT w AS c0, {key} AS c1, {call} AS c2 FROM t4 WHERE w IS NULL OR w BETWEEN TIMESTAMP '2024-02-28' AND TIMESTAMP '2024-03-02' "
                f"GROUP BY w, {key}")
        by = self.pick(" PARTITION BY c1", "") if key == "i" else " PARTITION BY c1"
        if not by:
            rows = rows.replace(f"w AS c0, {key} AS c1", f"w AS c0, min({key}) AS c1").replace(f" BY w, {key}", " BY w")
        share = "(g.n - 1)::float8 / count(*) OVER (PARTITION BY x.c0, x.c1)"
        later = {"": f"NULL::{CASTS[value]}", "LOCF": "x.c2", "INTERPOLATE": f"(x.c2::float8 + (x.v::float8 - x.c2::float8) * {share})::{CASTS[value]}"}[way]
        over = f"OVER ({'PARTITION BY c1 ' if by else ''}ORDER BY c0)"
        own = (f"SELECT coalesce(g.at, x.c0) AS c0, {'x.c1' if by else 'CASE WHEN coalesce(g.n, 1) = 1 THEN x.c1 END'} AS c1, "
               f"CASE WHEN coalesce(g.n, 1) = 1 THEN x.c2 ELSE {later} END AS c2 FROM (SELECT s.*, lead(c0) {over} AS t, lead(c2) {over} AS v FROM ({rows}) s) x "
               f"LEFT JOIN LATERAL generate_series(x.c0, coalesce(x.t - INTERVAL '1 microsecond', x.c0), {step}) WITH ORDINALITY g(at, n) ON true")
        filling = f", {way}(c2)" if way else ""
        return self.make(("ts", type, value), (f"SELECT * FROM GAP_FILL(({rows}){by}, c0, {step}{filling}) f", own))

    def spread(self, depth):
        inner = self.relation(depth - 1)
        scope = self.scope(("r", inner))
        number = self.expression("int", scope, 1)
        if self.chance(0.5):
            rows = ["generate_series(1, coalesce(abs(", number, ") % 3, 0)) g(v)"]
        else:
            rows = ["unnest(ARRAY[", number, ", 2, NULL]) g(v)"]
        keep = self.random.randrange(len(self.types(inner)))
        return self.make([self.types(inner)[keep], "int"], f"SELECT r.c{keep} AS c0, g.v AS c1 FROM (", inner, ") r, ", *rows)

    def named(self, depth):
        left, right = self.relation(depth - 1), None
        types = self.types(left)
        scope = self.scope(("a", left), ("b", left))
        return self.make((types[0], types[-1]), "WITH w AS (", left, f") SELECT a.c0 AS c0, b.c{len(types) - 1} AS c1 FROM w a JOIN w b ON a.c0 = b.c0",
                         Node("option", [" AND ", self.expression("bool", scope, 1)]))

    # Expressions

    def expression(self, type, scope, depth):
        names = [name for name, own in scope if own == type]
        if depth <= 0 or self.chance(0.25):
            if names and self.chance(0.85):
                return Node(("expression", type), [self.pick(*names)], scope)
            return Node(("expression", type), [f"{self.values.literal(type)}::{CASTS[type]}"], scope)
        e = lambda other: self.expression(other, scope, depth - 1)
        common = [
            ["coalesce(", e(type), ", ", e(type), ")"], ["CASE WHEN ", e("bool"), " THEN ", e(type), " ELSE ", e(type), " END"],
            ["nullif(", e(type), ", ", e(type), ")"],
        ]
        if type != "bool":
            common.append([self.pick("greatest", "least"), "(", e(type), ", ", e(type), ")"])
        own = getattr(self, "of_" + type)(e)
        parts = self.pick(*(common + own * 2))
        return Node(("expression", type), ["(", *parts, ")"], scope)

    def of_int(self, e):
        return [
            [e("int"), " + ", e("int")], [e("int"), " - ", e("int")], [e("int"), " % nullif(", e("int"), ", 0)"], ["abs(", e("int"), ")"],
            [e("int"), " / nullif(", e("int"), ", 0)"], ["length(", e("text"), ")"], ["extract(day from ", e("date"), ")::int"], [e("bool"), "::int"],
            [e("date"), " - ", e("date")], ["CAST(", e("numeric"), " AS INT)"], ["- ", e("int")], ["position('a' in ", e("text"), ")"],
            ["extract(dow from ", e("date"), ")::int"], ["strpos(", e("text"), ", ", e("text"), ")"], ["ascii(", e("text"), ")"], ["mod(", e("int"), ", 3)"],
            ["(jsonb_build_object('k', ", e("int"), ") ->> 'k')::int"], ["(ARRAY[", e("int"), ", ", e("int"), "])[1 + abs(", e("int"), ") % 2]"],
            ["array_length(string_to_array(", e("text"), ", 'b'), 1)"], ["num_nulls(", e("int"), ", ", e("text"), ")"], [e("int"), " << 1"],
            [e("smallint"), "::int"], ["cardinality(", e("ints"), ")"], ["(", e("ints"), ")[", e("int"), "]"],
            ["extract(hour from ", e("tstz"), ")::int"], ["extract(day from ", e("interval"), ")::int"], ["array_position(", e("ints"), ", ", e("int"), ")"],
            ["length(", e("bytea"), ")"], ["extract(minute from ", e("time"), ")::int"], ["jsonb_array_length(jsonb_path_query_array(", e("jsonb"), ", '$.*'))"],
            [e("int"), self.pick(" & ", " | ", " # "), e("int")], ["cardinality(ARRAY[", e("int"), ", ", e("int"), "])"],
        ]

    def of_bigint(self, e):
        return [
            [e("bigint"), " + ", e("int")], [e("bigint"), " - ", e("bigint")], [e("int"), "::bigint"], ["abs(", e("bigint"), ")"],
            [e("bigint"), " % nullif(", e("bigint"), ", 0)"], ["CAST(", e("double"), " AS BIGINT)"],
        ]

    def of_numeric(self, e):
        return [
            [e("numeric"), " + ", e("numeric")], [e("numeric"), " - ", e("numeric")], ["round(", e("numeric"), ", 1)"], [e("int"), "::numeric"],
            ["trunc(", e("numeric"), ")"], ["floor(", e("numeric"), ")"], [e("numeric"), " * ", e("int")], ["abs(", e("numeric"), ")"],
            ["round(", e("numeric"), " / nullif(", e("numeric"), ", 0), 4)"], ["sign(", e("numeric"), ")"], [e("numeric"), "::numeric(12,1)"],
            ["extract(epoch from ", e("ts"), ")"], ["mod(", e("numeric"), ", 2.5)"], ["to_jsonb(", e("numeric"), ")::numeric"], ["ceil(", e("numeric"), ")"],
            [e("numeric"), " / 4"], ["div(", e("numeric"), ", 2)"], ["round(", e("numeric"), ")"],
        ]

    def of_double(self, e):
        return [
            [e("double"), " + ", e("double")], [e("double"), " * 0.5::float8"], [e("int"), "::float8"], ["floor(", e("double"), ")"],
            ["abs(", e("double"), ")"], ["round(", e("double"), ")"], ["sqrt(abs(", e("double"), "))"], ["power(", e("double"), ", 2)"], [e("numeric"), "::float8"],
            ["extract(epoch from ", e("date"), ")::float8"], ["greatest(", e("double"), ", 0.5)"], ["trunc(", e("double"), ")"],
        ]

    def of_text(self, e):
        return [
            [e("text"), " || ", e("text")], ["upper(", e("text"), ")"], ["left(", e("text"), ", ", e("int"), ")"], ["substr(", e("text"), ", 1, 2)"],
            [e("int"), "::text"], ["replace(", e("text"), ", 'a', 'bb')"], ["concat(", e("text"), ", ", e("int"), ")"], ["reverse(", e("text"), ")"],
            ["to_char(", e("date"), ", 'YYYY-MM-DD')"], [e("numeric"), "::text"], ["trim(", e("text"), ")"], ["split_part(", e("text"), ", 'b', 1)"],
            ["lpad(", e("text"), ", 3, '*')"], [e("bool"), "::text"], ["md5(", e("text"), ")"], ["initcap(", e("text"), ")"], ["rpad(", e("text"), ", 2)"],
            ["translate(", e("text"), ", 'ab', 'x')"], ["regexp_replace(", e("text"), ", '[a-c]', '<\\\\&>', 'g')"], ["format('%s-%I-%L', ", e("int"), ", ", e("text"), ", ", e("text"), ")"],
            ["array_to_string(ARRAY[", e("text"), ", ", e("text"), "], '+', 'null')"], ["to_char(", e("ts"), ", 'HH12:MI AM, Dy DD Mon')"], ["to_char(", e("numeric"), ", 'FM990.00')"],
            ["(", e("ts"), " - ", e("ts"), ")::text"], ["jsonb_build_array(", e("int"), ", ", e("text"), ", ", e("bool"), ")::text"], ["to_jsonb(", e("text"), ") #>> '{}'"],
            ["age(", e("ts"), ", TIMESTAMP '2023-11-30')::text"], ["ROW(", e("int"), ", ", e("text"), ")::text"], ["ARRAY[", e("numeric"), ", ", e("numeric"), "]::text"],
            ["overlay(", e("text"), " placing 'Q' from 1)"], ["substring(", e("text"), " from '[a-z]+')"], ["quote_nullable(", e("text"), ")"], [e("double"), "::text"],
            [e(self.pick("interval", "time", "jsonb", "ints", "bytea", "tstz", "smallint")), "::text"], [e("jsonb"), " ->> 'a'"], ["jsonb_typeof(", e("jsonb"), ")"],
            ["encode(", e("bytea"), ", 'hex')"], ["to_char(", e("interval"), ", 'DD HH24:MI')"], ["array_to_string(", e("ints"), ", '-')"],
            ["to_char(", e("tstz"), ", 'YYYY-MM-DD HH24:MI:SS')"], ["concat_ws('/', ", e("int"), ", ", e("interval"), ", ", e("ints"), ")"],
        ]

    def of_bool(self, e):
        type = self.pick(*TYPES)
        sign = self.pick("=", "<>", "<", "<=", ">", ">=")
        return [
            [e(type), f" {sign} ", e(type)], [e(type), f" {sign} ", e(type)], [e(type), " IS NULL"], [e(type), " IS NOT NULL"],
            [e("bool"), " AND ", e("bool")], [e("bool"), " OR ", e("bool")], ["NOT ", e("bool")], [e(type), " IS DISTINCT FROM ", e(type)],
            [e("int"), " BETWEEN ", e("int"), " AND ", e("int")], [e("int"), " IN (1, ", e("int"), ", 3)"], [e("text"), " LIKE '%a%'"],
            [e("text"), " NOT IN ('a', ", e("text"), ")"], [e("bool"), " IS TRUE"], [e("bool"), " IS NOT FALSE"],
            [e("text"), " ~ '^[ab]'"], [e("text"), " ILIKE 'B%'"], [e("text"), " SIMILAR TO '(a|b)%'"], [e("int"), " <> ALL (ARRAY[1, ", e("int"), "])"],
            ["(", e("int"), ", ", e("int"), ") IN ((1, 2), (", e("int"), ", 1))"], [e("int"), " NOT BETWEEN SYMMETRIC ", e("int"), " AND 2"], ["starts_with(", e("text"), ", 'a')"],
            ["ARRAY[", e("int"), ", 2] && ARRAY[1, ", e("int"), "]"], ["ROW(", e("int"), ", ", e("text"), ") IS NOT DISTINCT FROM ROW(", e("int"), ", ", e("text"), ")"],
            ["(", e("ts"), ", ", e("ts"), ") OVERLAPS (", e("ts"), ", ", e("ts"), ")"],
            [e("int"), " = ANY (ARRAY[1, ", e("int"), "])"], [e("int"), " = ANY (", e("ints"), ")"],
            [e("jsonb"), " @> ", e("jsonb")], [e("jsonb"), " ? 'a'"], [e("ints"), " @> ", e("ints")], [e("ints"), " && ", e("ints")], ["isfinite(", e("interval"), ")"], ["(", e("int"), ", ", e("text"), f") {self.pick('=', '<>', '<')} (", e("int"), ", ", e("text"), ")"],
        ]

    def of_date(self, e):
        return [[e("date"), " + ", e("int")], [e("ts"), "::date"], [e("date"), " - 1"], ["to_date(", e("date"), "::text, 'YYYY-MM-DD')"],
                ["make_date(2024, 1 + abs(", e("int"), ") % 12, 1)"], ["(", e("date"), " + INTERVAL '1 month')::date"], ["date_trunc('month', ", e("date"), ")::date"]]

    def of_ts(self, e):
        return [
            ["date_trunc('day', ", e("ts"), ")"], [e("date"), "::timestamp"], [e("tstz"), " AT TIME ZONE 'Europe/Berlin'"], [e("date"), " + ", e("time")],
            [e("ts"), " + ", e("interval")], [e("ts"), " + INTERVAL '90 minutes'"],
            [e("ts"), " - ", e("int"), " * INTERVAL '1 hour'"], ["date_trunc('hour', ", e("ts"), ")"], [e("ts"), " + (", e("ts"), " - ", e("ts"), ")"],
            ["date_bin(INTERVAL '2 hours', ", e("ts"), ", TIMESTAMP '2024-01-01')"],
        ]

    def of_smallint(self, e):
        return [[e("smallint"), " % 3::smallint"], ["abs(", e("smallint"), ")"], ["(", e("int"), " % 100)::smallint"], ["- ", e("smallint")], [e("smallint"), " & 6::smallint"]]

    def of_tstz(self, e):
        return [
            [e("tstz"), " + INTERVAL '1 day'"], ["date_trunc('day', ", e("tstz"), ")"], [e("ts"), " AT TIME ZONE 'America/New_York'"],
            [e("tstz"), " - ", e("interval")], ["date_bin(INTERVAL '2 hours', ", e("tstz"), ", TIMESTAMPTZ '2024-01-01 00:00:00+00')"],
            ["to_timestamp(", e("int"), ")"], ["date_trunc('day', ", e("tstz"), ", 'Asia/Tokyo')"],
        ]

    def of_interval(self, e):
        return [
            [e("interval"), " + ", e("interval")], [e("interval"), " * ", e("int")], [e("ts"), " - ", e("ts")], [e("tstz"), " - ", e("tstz")],
            ["justify_hours(", e("interval"), ")"], ["- ", e("interval")], ["age(", e("ts"), ", ", e("ts"), ")"], [e("time"), " - ", e("time")],
            ["make_interval(hours => ", e("int"), ")"], ["date_trunc('hour', ", e("interval"), ")"], ["justify_interval(", e("interval"), ")"],
        ]

    def of_time(self, e):
        return [[e("ts"), "::time"], [e("time"), " + ", e("interval")], [e("time"), " - INTERVAL '90 minutes'"], ["make_time(abs(", e("int"), ") % 24, 5, 6.5)"]]

    def of_jsonb(self, e):
        return [
            [e("jsonb"), " -> 'b'"], [e("jsonb"), " -> 0"], ["to_jsonb(", e(self.pick("int", "text", "numeric", "bool", "date", "ints")), ")"],
            ["jsonb_build_object('a', ", e("int"), ", 'c', ", e("text"), ")"], [e("jsonb"), " #> '{b,0}'"], ["jsonb_build_array(", e("jsonb"), ", ", e("text"), ")"],
            ["jsonb_strip_nulls(", e("jsonb"), ")"], ["jsonb_path_query_first(", e("jsonb"), ", '$.b[*]')"], ["jsonb_set(", e("jsonb"), ", '{a}', '9')"],
        ]

    def of_ints(self, e):
        return [
            [e("ints"), " || ", e("int")], ["array_remove(", e("ints"), ", ", e("int"), ")"], ["ARRAY[", e("int"), ", ", e("int"), "]"], [e("ints"), " || ", e("ints")],
            ["array_replace(", e("ints"), ", 1, ", e("int"), ")"], ["(", e("ints"), ")[1:2]"], ["array_positions(", e("ints"), ", 1)"],
            ["array_append(", e("ints"), ", ", e("int"), ")"], ["trim_array(ARRAY[", e("int"), ", 2, 3], 1)"],
        ]

    def of_bytea(self, e):
        return [
            [e("bytea"), " || ", e("bytea")], ["decode(md5(", e("text"), "), 'hex')"], ["substr(", e("bytea"), ", 1, 1)"], ["convert_to(", e("text"), ", 'UTF8')"],
            ["sha256(", e("bytea"), ")"], ["overlay(", e("bytea"), " placing '\\x00'::bytea from 1)"],
        ]
