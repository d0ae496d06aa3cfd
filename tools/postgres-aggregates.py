#!/usr/bin/env python3
"""Writes Tests/MartletStateTests/Golden/aggregates.cases: aggregate calls over small inputs, and PostgreSQL's answers.

    tools/postgres-aggregates.py HOST    HOST: the folder of a PostgreSQL 15 server's socket

The answers always come from PostgreSQL, never from Martlet. A case is one line of columns separated by tabs:
    function  options  answer  types  row  row …
options: words as distinct, order:DESC (of the argument), order:2 (by the last column), within:DESC, constant:type:text.
types: the arguments' types (and of the key of ORDER BY), separated by blanks. A row: its values separated by |, NULL is \\N.
Backslash, tab and newline are written \\\\, \\t, \\n, and | as \\p. answer: type|text, or !SQLSTATE message.
"""
import os
import random
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
golden = os.path.join(here, "..", "Tests", "MartletStateTests", "Golden")
chance = random.Random(20260210)


def escape(text):
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def quoted(text):
    return "NULL" if text is None else "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


VALUES = {
    "smallint": ["0", "1", "-5", "7", "32767", "-32768"],
    "integer": ["0", "1", "-5", "7", "2147483647", "-2147483648", "12", "12"],
    "bigint": ["0", "1", "-5", "9223372036854775807", "-9223372036854775808", "77"],
    "numeric": ["0", "1.5", "1.50", "-2.25", "100", "0.001", "123456789.123456789", "3"],
    "real": ["0", "1.5", "-2.25", "100", "0.125"],
    "double precision": ["0", "1.5", "-2.25", "100", "0.1", "0.2", "1e10"],
    "text": ["", "a", "b", "B", "äö", "a longer text than twelve bytes", "a,b", "x\"y"],
    "boolean": ["true", "false"],
    "date": ["1970-01-01", "2024-02-29", "1999-12-31"],
    "timestamp": ["1970-01-01 00:00:00", "2024-02-29 12:00:00.5", "1999-12-31 23:59:59"],
    "interval": ["1 day", "24:00:00", "1 mon", "-3 days 02:00:00", "00:00:01.5"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "550e8400-e29b-41d4-a716-446655440000"],
    "bytea": ["\\x", "\\x00ff", "\\x41"],
    "jsonb": ["1", "\"x\"", "{\"a\": 1}", "null"],
    "integer[]": ["{1,2}", "{3,NULL}", "{5,6}"],
}
SPECIAL = {"numeric": ["NaN", "Infinity"], "double precision": ["NaN", "Infinity", "-Infinity"], "real": ["NaN"]}
ALL = [kind for kind in VALUES]
NUMBERS = ["smallint", "integer", "bigint", "numeric", "real", "double precision"]
ORDERED = [kind for kind in VALUES if kind not in ("boolean", "jsonb", "bytea", "uuid", "integer[]")]


class Case:
    def __init__(self, function, types, rows, *options):
        self.function, self.types, self.rows, self.options = function, types, rows, options

    def sql(self):
        names = [f"c{at + 1}" for at in range(len(self.types))]
        arguments, distinct, order, within, constants = list(names), "", "", None, []
        for option in self.options:
            if option == "distinct":
                distinct = "distinct "
            elif option.startswith("order:2"):
                option = option.replace("_", " ")
                arguments = names[:-1]
                order = f" order by {names[-1]}{option[7:]}"
            elif option.startswith("order:"):
                order = f" order by {names[0]} {option[6:]}"
            elif option.startswith("within:"):
                within = option[7:]
            elif option.startswith("constant:"):
                kind, text = option[9:].split(":", 1)
                constants.append(f"'{text}'::{kind}")
        if within is not None:
            call = f"{self.function}({', '.join(constants)}) within group (order by {names[0]} {within})"
        else:
            # Without an order of its own Martlet's is ascending.
            if self.function in ("array_agg", "string_agg", "jsonb_agg", "jsonb_object_agg"):
                if order == "":
                    order = " order by " + ", ".join(arguments)
                elif distinct == "":
                    order += ", " + ", ".join(arguments)
            call = f"{self.function}({distinct}{', '.join(arguments)}{order})"
        if self.rows:
            rows = ", ".join("(" + ", ".join(f"{quoted(value)}::{kind}" for value, kind in zip(row, self.types)) + ")" for row in self.rows)
            source = f"(values {rows}) t({', '.join(names)})"
        else:
            source = "(select " + ", ".join(f"null::{kind} as {name}" for kind, name in zip(self.types, names)) + ") t where false"
        return f"select pg_typeof(v)::text || '|' || case when v is null then E'\\\\N' else format('%s', v) end from (select {call} as v from {source} offset 0) s"

    def line(self, answer):
        def shown(value):
            return "\\N" if value is None else escape(value).replace("|", "\\p")
        return "\t".join([self.function, " ".join(self.options), answer, " | ".join(self.types)] + ["|".join(shown(value) for value in row) for row in self.rows])


PROBE = """
create or replace function pg_temp.probe(query text) returns text language plpgsql as $$
declare answer text;
begin
    execute query into answer;
    return answer;
exception when others then
    return '!' || sqlstate || ' ' || sqlerrm;
end $$;
set timezone = 'UTC';
"""


def ask(host, cases):
    script = [PROBE] + [f"select pg_temp.probe({quoted(case.sql())});" for case in cases]
    done = subprocess.run(
        ["psql", "-h", host, "-U", "postgres", "-d", "postgres", "-qAtX", "-0", "-f", "-"], input="\n".join(script).encode(),
        stdout=subprocess.PIPE, check=True)
    answers = done.stdout.decode().split("\0")[:-1]
    assert len(answers) == len(cases), (len(answers), len(cases))
    return [escape(answer).replace("|\\\\N", "|\\N") for answer in answers]


def inputs(kind, special=True):
    values = VALUES[kind]
    yield []
    yield [None]
    yield [values[1]]
    yield [values[1]] * 3
    for size in (2, 5, 9):
        yield [chance.choice(values + [None]) for _ in range(size)]
        yield [chance.choice(values) for _ in range(size)]
    if special and kind in SPECIAL:
        yield values[:3] + SPECIAL[kind]
        yield values[:3] + SPECIAL[kind][:1]


def single(kind, special=True):
    return [[(value,) for value in rows] for rows in inputs(kind, special)]


def has_ties(rows):
    """Equal values that look different: which of them PostgreSQL shows depends on the order of the input."""
    values = {row[0] for row in rows}
    return {"1.5", "1.50"} <= values or {"1 day", "24:00:00"} <= values


def cases():
    for kind in NUMBERS + ["interval"]:
        for rows in single(kind):
            for function in ("sum", "avg"):
                yield Case(function, [kind], rows)
                yield Case(function, [kind], rows, "distinct")
    for kind in NUMBERS:
        for rows in single(kind):
            for function in ("var_pop", "var_samp", "stddev_pop", "stddev_samp", "variance", "stddev"):
                yield Case(function, [kind], rows)
            yield Case("stddev", [kind], rows, "distinct")
    for kind in ALL:
        for rows in single(kind):
            yield Case("count", [kind], rows)
            yield Case("count", [kind], rows, "distinct")
            if has_ties(rows):
                continue
            if kind in ORDERED:
                yield Case("min", [kind], rows)
                yield Case("max", [kind], rows)
            if kind != "integer[]":
                yield Case("array_agg", [kind], rows)
                yield Case("array_agg", [kind], rows, "distinct")
                yield Case("array_agg", [kind], rows, "order:DESC")
                yield Case("array_agg", [kind], rows, "order:DESC NULLS LAST")
            yield Case("mode", [kind], rows, "within:ASC")
            yield Case("percentile_disc", [kind], rows, "within:ASC", "constant:double precision:0.3")
            if kind == "integer[]":
                continue
            yield Case("percentile_disc", [kind], rows, "within:DESC", "constant:double precision[]:{0,0.5,1}")
    yield from (Case("array_agg", ["integer[]"], [(value,) for value in rows]) for rows in ([], ["{1,2}", "{3,4}"], ["{1}", "{2,3}"], ["{1}", None], ["{}"]))
    for rows in single("boolean"):
        for function in ("bool_and", "bool_or", "every"):
            yield Case(function, ["boolean"], rows)
    for kind in ("smallint", "integer", "bigint"):
        for rows in single(kind):
            for function in ("bit_and", "bit_or", "bit_xor"):
                yield Case(function, [kind], rows)
    for kind in ("double precision", "interval", "integer", "numeric"):
        for rows in single(kind):
            if has_ties(rows):
                continue
            for fraction in ("0", "0.25", "0.5", "0.9", "1", "1.5"):
                yield Case("percentile_cont", [kind], rows, "within:ASC", "constant:double precision:" + fraction)
            yield Case("percentile_cont", [kind], rows, "within:DESC", "constant:double precision[]:{0.1,NULL,0.75}")
    for _ in range(12):
        rows = [(chance.choice(VALUES["text"] + [None]), chance.choice([",", "; ", "", None])) for _ in range(chance.randint(0, 7))]
        yield Case("string_agg", ["text", "text"], rows)
        yield Case("string_agg", ["text", "text"], rows, "distinct")
        rows = [(a, ",", chance.choice(VALUES["integer"] + [None])) for a, _ in rows]
        yield Case("string_agg", ["text", "text", "integer"], rows, "order:2")
        yield Case("string_agg", ["text", "text", "integer"], rows, "order:2 DESC".replace(" ", "_"))
        rows = [(a, n) for a, _, n in rows]
        yield Case("array_agg", ["text", "integer"], rows, "order:2")
    for rows in single("bytea"):
        yield Case("string_agg", ["bytea", "bytea"], [(value, "\\x2c") for value, in rows])
    pairs = ["covar_pop", "covar_samp", "corr", "regr_count", "regr_avgx", "regr_avgy", "regr_sxx", "regr_syy", "regr_sxy", "regr_slope", "regr_intercept", "regr_r2"]
    numbers = VALUES["double precision"][:6]
    samples = [[], [("1", "2")], [("1", "2"), ("1", "2")], [("1", "2"), (None, "3"), ("4", None)], [("1", "5"), ("2", "5"), ("7", "5")], [("3", "1"), ("3", "2"), ("3", "9")], [("0.1", "0.1")] * 3, [("1", "NaN"), ("2", "3")], [("Infinity", "1"), ("2", "3")]]
    samples += [[(chance.choice(numbers + [None]), chance.choice(numbers)) for _ in range(size)] for size in (3, 5, 9, 20)]
    for rows in samples:
        yield from (Case(function, ["double precision", "double precision"], rows) for function in pairs)


def main():
    os.makedirs(golden, exist_ok=True)
    all_cases, seen = [], set()
    for case in cases():
        key = (case.function, case.options, tuple(case.types), tuple(case.rows))
        if key not in seen:
            seen.add(key)
            all_cases.append(case)
    lines = ["# Written by tools/postgres-aggregates.py from PostgreSQL's answers; the format is described there."]
    lines += [case.line(answer) for case, answer in zip(all_cases, ask(sys.argv[1], all_cases))]
    with open(os.path.join(golden, "aggregates.cases"), "w") as file:
        file.write("\n".join(lines) + "\n")
    print(f"{len(lines)} lines", file=sys.stderr)


main()
