#!/usr/bin/env python3
"""Writes Tests/MartletCoreTests/Golden/*.cases: expressions and PostgreSQL's answers.

    tools/postgres-cases.py HOST [FAMILY...]    HOST: the folder of a PostgreSQL 15 server's socket

The answers always come from PostgreSQL, never from Martlet. A case is one line of columns separated by tabs:
    kind  name  answer  argument...
kind: fn (function), op (operator or construct of the grammar), post (postfix test), cast (name is the target type).
argument: type:literal, `unknown:` for an untyped literal; NULL is type:\\N. answer: type|text, or !SQLSTATE message.
Backslash, tab and newline are written \\\\, \\t, \\n. A line `# zone NAME` sets the session's time zone from there on.
"""
import itertools
import os
import random
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
golden = os.path.join(here, "..", "Tests", "MartletCoreTests", "Golden")
NULL = None


def escape(text):
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def quoted(text):
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def literal(argument):
    kind, text = argument
    value = "NULL" if text is None else quoted(text)
    return value if kind == "unknown" else f"{value}::{kind}"


class Case:
    def __init__(self, kind, name, *arguments):
        self.kind, self.name, self.arguments = kind, name, arguments

    def sql(self):
        values = [literal(argument) for argument in self.arguments]
        if self.kind == "cast":
            return f"{values[0]}::{self.name}"
        if self.kind == "post":
            return f"({values[0]} {self.name})"
        if self.kind == "op":
            if self.name in ("like", "ilike", "not like", "not ilike", "similar to", "not similar to") and len(values) == 3:
                return f"({values[0]} {self.name} {values[1]} escape {values[2]})"
            if len(values) == 1:
                return f"({self.name} {values[0]})"
            return f"({values[0]} {self.name} {values[1]})"
        if self.name in ("coalesce", "greatest", "least", "nullif"):
            return f"{self.name}({', '.join(values)})"
        return f'pg_catalog."{self.name}"({", ".join(values)})'

    def line(self, answer):
        shown = [f"{kind}:" + ("\\N" if text is None else escape(text)) for kind, text in self.arguments]
        return "\t".join([self.kind, self.name, answer] + shown)


PROBE = """
create or replace function pg_temp.probe(expression text) returns text language plpgsql as $$
declare answer text;
begin
    execute 'select pg_typeof(v)::text || ''|'' || case when v is null then E''\\\\N'' else format(''%s'', v) end from (select '
        || expression || ' as v offset 0) s' into answer;
    return answer;
exception when others then
    return '!' || sqlstate || ' ' || sqlerrm;
end $$;
"""


def ask(host, cases, zone):
    script = [PROBE, f"set timezone = '{zone}'; set client_min_messages = error;"]
    script += [f"select pg_temp.probe({quoted(case.sql())});" for case in cases]
    done = subprocess.run(
        ["psql", "-h", host, "-U", "postgres", "-d", "postgres", "-qAtX", "-0", "-f", "-"], input="\n".join(script).encode(),
        stdout=subprocess.PIPE, check=True)
    answers = done.stdout.decode().split("\0")[:-1]
    assert len(answers) == len(cases), (len(answers), len(cases))
    # Functions are called by their full names, which their users do not see.
    return [escape(answer).replace("|\\\\N", "|\\N").replace(" pg_catalog.", " ") for answer in answers]


def pairs(values, others=None):
    return itertools.product(values, others if others is not None else values)


def of(kind, *texts):
    return [(kind, text) for text in texts]


SMALL = of("smallint", "0", "1", "-1", "7", "-32768", "32767", NULL)
INTS = of("integer", "0", "1", "-1", "7", "-3", "2147483647", "-2147483648", NULL)
BIGS = of("bigint", "0", "3", "-7", "9223372036854775807", "-9223372036854775808", NULL)
NUMERICS = of(
    "numeric", "0", "0.00", "1", "-1", "1.5", "-2.50", "0.001", "123456789.123456789", "99999", "10000", "9999", "1e10",
    "1e-10", "0.33333333333333333333", "-0.0000001234", "NaN", "Infinity", "-Infinity", NULL)
DOUBLES = of(
    "double precision", "0", "-0", "1", "-1.5", "2.5", "3.5", "0.1", "1e15", "123456789012345678", "1e-5", "1e300", "1e-300",
    "NaN", "Infinity", "-Infinity", NULL)
REALS = of("real", "0", "1.1", "-2.5", "16777217", "1e6", "1e30", "1e-30", "NaN", "Infinity", NULL)
TEXTS = of("text", "", "a", "abc", "Hello World", "äöü ßÉ", "日本語", "  pad  ", "50%_x\\y", "x,y,,z", NULL)
BYTES = of("bytea", "\\x", "\\x00", "\\x48656c6c6f", "\\xdeadbeef00ff", NULL)
DATES = of("date", "1970-01-01", "2000-02-29", "2024-12-31", "1999-01-01", "0044-03-15 BC", "infinity", "-infinity", NULL)
TIMES = of("time", "00:00", "12:34:56.789", "23:59:59.999999", "24:00", NULL)
STAMPS = of(
    "timestamp", "1970-01-01 00:00", "2024-02-29 13:37:42.123456", "2023-12-31 23:59:59.9", "2021-01-03 05:00",
    "1900-03-01 01:02:03", "0001-01-01 00:00", "0099-07-04 12:00 BC", "infinity", "-infinity", NULL)
ZONED = of(
    "timestamptz", "1970-01-01 00:00+00", "2024-03-31 01:30+00", "2024-07-01 12:34:56.789+02", "2024-10-27 00:30+00",
    "2021-11-07 05:59:59+00", "1899-12-31 00:00+00", "infinity", NULL)
SPANS = of(
    "interval", "0", "1 second", "1.5 hours", "1 day 02:03:04.5", "-1 day +25:00", "1 month", "1 year 2 months -3 days",
    "-13 months", "40 days", "100:00:00", NULL)
DOCUMENTS = of(
    "jsonb", "null", "1", "1.50", '"foo"', "true", "[]", "{}", '[1, "a", null, [2]]', '{"b": 1, "aa": {"c": [1,2,{"d":null}]}, "a": null}',
    '{"a": 1, "b": "x"}', '["b", "c"]', NULL)
UUIDS = of("uuid", "00000000-0000-0000-0000-000000000000", "550e8400-e29b-41d4-a716-446655440000", NULL)
EVERY = [SMALL, INTS, BIGS, NUMERICS, DOUBLES, REALS, TEXTS, BYTES, DATES, TIMES, STAMPS, ZONED, SPANS, DOCUMENTS, UUIDS]
BOOLS = of("boolean", "true", "false", NULL)


def arithmetic():
    for symbol in "+-*/%":
        for values in (SMALL, INTS, BIGS):
            yield from (Case("op", symbol, a, b) for a, b in pairs(values))
        yield from (Case("op", symbol, a, b) for a, b in pairs(NUMERICS))
    for symbol in "+-*/":
        yield from (Case("op", symbol, a, b) for a, b in pairs(DOUBLES))
        yield from (Case("op", symbol, a, b) for a, b in pairs(REALS))
    mixed = [("smallint", "3"), ("integer", "4"), ("bigint", "5"), ("numeric", "2.50"), ("real", "1.5"), ("double precision", "0.25"), ("unknown", "2")]
    for symbol in ["+", "-", "*", "/", "%", "=", "<", ">=", "^"]:
        yield from (Case("op", symbol, a, b) for a, b in pairs(mixed))
    for symbol in ["-", "+", "@", "~"]:
        yield from (Case("op", symbol, a) for a in SMALL + INTS + BIGS + NUMERICS + DOUBLES + REALS)
    for symbol in ["&", "|", "#", "<<", ">>"]:
        yield from (Case("op", symbol, a, b) for a, b in pairs(INTS))
        yield from (Case("op", symbol, a, ("integer", n)) for a in SMALL + BIGS for n in ("0", "1", "15", "33", "64", "-1"))


def decimals():
    chance = random.Random(20260101)

    def number(digits):
        count = chance.randint(1, digits)
        whole = "".join(chance.choice("0123456789") for _ in range(count))
        point = chance.randint(0, count)
        text = whole[:point] + ("." + whole[point:] if point < count else "")
        return ("numeric", chance.choice(["", "-"]) + (text if text[0] != "." else "0" + text))

    for _ in range(250):
        a, b = number(18), number(12)
        for symbol in "+-*/%":
            yield Case("op", symbol, a, b)
    for _ in range(120):
        a, b = number(30), number(8)
        for symbol in "+-/":
            yield Case("op", symbol, a, b)
        yield Case("op", "<", a, b)
        yield Case("fn", "round", a, ("integer", str(chance.randint(-5, 12))))
        yield Case("fn", "trunc", a, ("integer", str(chance.randint(-5, 12))))
        yield Case("fn", "div", a, b)
        yield Case("cast", "double precision", a)
        yield Case("cast", f"numeric({chance.randint(8, 20)},{chance.randint(0, 8)})", a)
    for _ in range(60):
        a = ("numeric", number(14)[1].lstrip("-"))
        small = ("numeric", f"{chance.uniform(-8, 8):.4f}")
        yield Case("fn", "sqrt", a)
        yield Case("fn", "ln", a)
        yield Case("fn", "log", a)
        yield Case("fn", "exp", small)
        yield Case("fn", "power", ("numeric", f"{chance.uniform(0, 40):.3f}"), small)
        yield Case("op", "^", ("numeric", f"{chance.uniform(-9, 9):.2f}"), ("numeric", str(chance.randint(-6, 9))))
        yield Case("fn", "log", ("numeric", f"{chance.uniform(1.1, 20):.2f}"), a)


def comparisons():
    for values in EVERY + [BOOLS]:
        for symbol in ["<", "is distinct from"]:
            yield from (Case("op", symbol, a, b) for a, b in pairs(values))
        yield from (Case("op", symbol, a, b) for symbol in ("=", ">=", "<>", "<=", ">", "is not distinct from") for a, b in pairs(values[:4] + values[-1:]))
        yield from (Case("post", words, a) for words in ("is null", "is not null") for a in values)
        for name in ("coalesce", "greatest", "least", "nullif"):
            yield from (Case("fn", name, a, b) for a, b in pairs(values[:3] + values[-1:]))
    for words in ("is true", "is not true", "is false", "is not false", "is unknown", "is not unknown"):
        yield from (Case("post", words, a) for a in BOOLS)
    yield from (Case("op", word, a, b) for word in ("and", "or") for a, b in pairs(BOOLS))
    yield from (Case("op", "not", a) for a in BOOLS)
    yield Case("fn", "greatest", ("integer", "1"), ("numeric", "2.5"), ("bigint", "3"))
    yield Case("fn", "coalesce", ("integer", NULL), ("double precision", "1.5"))
    yield Case("fn", "least", ("date", "2024-01-01"), ("timestamp", "2023-12-31 12:00"))
    for a, b in [(DATES[0], STAMPS[0]), (STAMPS[0], ZONED[0]), (DATES[2], ZONED[0]), (INTS[1], DOUBLES[2]), (REALS[1], DOUBLES[6]),
                 (INTS[1], TEXTS[1]), (INTS[0], ("unknown", "1")), (DATES[0], ("unknown", "2020-01-01")), (SPANS[1], ("unknown", "1 min")),
                 (("unknown", "a"), ("unknown", "b")), (BOOLS[0], INTS[1])]:
        yield from (Case("op", symbol, a, b) for symbol in ("=", "<"))


def mathematics():
    for name in ("abs", "ceil", "ceiling", "floor", "round", "trunc", "sign", "sqrt", "exp", "ln", "log", "log10"):
        yield from (Case("fn", name, a) for a in NUMERICS + DOUBLES + INTS + REALS[:4])
    for name in ("cbrt", "degrees", "radians", "sin", "cos", "tan", "cot", "asin", "acos", "atan", "sinh", "cosh", "tanh"):
        yield from (Case("fn", name, a) for a in DOUBLES)
    for a in NUMERICS:
        yield from (Case("fn", name, a, ("integer", n)) for name in ("round", "trunc") for n in ("2", "0", "-2", "5", "-12"))
        yield from (Case("fn", name, a) for name in ("scale", "min_scale", "trim_scale"))
    for a, b in pairs(NUMERICS[:12] + NUMERICS[-4:]):
        yield from (Case("fn", name, a, b) for name in ("mod", "div", "gcd", "lcm"))
    for a, b in pairs(of("numeric", "0", "1", "2", "-2", "0.5", "10", "1.0001", "-1.5", "100", "NaN", "Infinity", "-Infinity")):
        yield Case("fn", "power", a, b)
        yield Case("fn", "log", a, b)
    for a, b in pairs(DOUBLES):
        yield from (Case("fn", name, a, b) for name in ("power", "atan2"))
    for a, b in pairs(INTS[:6]):
        yield from (Case("fn", name, a, b) for name in ("mod", "gcd", "lcm", "power"))
    yield from (Case("fn", name, ("bigint", "-9223372036854775808"), ("bigint", n)) for name in ("gcd", "lcm", "mod") for n in ("-1", "0", "6"))
    yield Case("fn", "pi")
    yield from (Case("fn", "factorial", ("bigint", n)) for n in ("0", "1", "5", "20", "33", "-1"))
    for x in ("-1", "0", "0.5", "3.3", "9.99", "10", "11", "NaN"):
        for low, high, count in (("0", "10", "5"), ("10", "0", "5"), ("0", "10", "0"), ("5", "5", "3")):
            for kind in ("numeric", "double precision"):
                yield Case("fn", "width_bucket", (kind, x), (kind, low), (kind, high), ("integer", count))


def strings():
    simple = ("length", "char_length", "octet_length", "bit_length", "lower", "upper", "initcap", "btrim", "ltrim", "rtrim", "reverse",
              "md5", "ascii", "quote_ident", "quote_literal")
    extra = of("text", "it's", "tab\there", "éclair-ça va", "SELECT", "x1_y", "MiXeD cAsE 12ab", "ǅ ﬁ İ")
    for a in TEXTS + extra:
        yield from (Case("fn", name, a) for name in simple)
        for n in ("-2", "0", "1", "3", "100"):
            yield from (Case("fn", name, a, ("integer", n)) for name in ("left", "right", "substring", "substr", "lpad", "rpad", "repeat"))
            yield from (Case("fn", "substring", a, ("integer", n), ("integer", m)) for m in ("0", "2", "-1", "2147483647"))
            yield from (Case("fn", name, a, ("integer", n), ("text", f)) for name in ("lpad", "rpad") for f in ("xy", "", "日"))
    for a, b in pairs(TEXTS):
        yield from (Case("fn", name, a, b) for name in ("strpos", "starts_with", "btrim"))
        yield Case("op", "||", a, b)
    for a in of("text", "a,b,c", "", "abc", "日本語日", "xx", NULL):
        for sep in of("text", ",", "", "日", "x", "xx"):
            yield from (Case("fn", "split_part", a, sep, ("integer", n)) for n in ("1", "2", "-1", "-3", "0", "9"))
            yield Case("fn", "replace", a, sep, ("text", "--"))
            yield Case("fn", "translate", a, ("text", "abx,"), ("text", "12"))
            yield from (Case("fn", name, a, sep) for name in ("ltrim", "rtrim", "position"))
    patterns = of("text", "%", "", "a%", "%c", "%b%", "_", "___", "a_c", "%\\%%", "50\\%\\_x\\\\y", "Hello%", "hello%", "%日_", "%o%o%", "a\\", "%%%", "_%_%_", NULL)
    for a in TEXTS:
        for b in patterns:
            yield from (Case("op", word, a, b) for word in ("like", "ilike", "not like", "not ilike"))
    for escape_character in ("#", "", "\\", "ab"):
        for pattern in ("50#%%", "50\\%%", "##", "%#"):
            yield Case("op", "like", ("text", "50%_x\\y"), ("text", pattern), ("text", escape_character))
    yield from (Case("fn", "concat", *row) for row in [
        (("text", "a"), ("integer", "1"), ("boolean", "true")), (("text", NULL), ("numeric", "1.50")), (("timestamptz", "2024-01-01 00:00+00"),),
        (("unknown", "x"), ("unknown", NULL), ("jsonb", '{"a":1}')), (("double precision", "1e20"), ("bytea", "\\x01"))])
    yield from (Case("fn", "concat_ws", *row) for row in [
        (("text", ","), ("integer", "1"), ("text", NULL), ("text", "b")), (("text", NULL), ("text", "a")), (("unknown", ";"), ("boolean", "f"), ("date", "2024-01-01"))])
    for a in (INTS[1], DOUBLES[3], BOOLS[0], DATES[1], NUMERICS[5], SPANS[3], ("unknown", "u")):
        yield from (Case("op", "||", *pair) for pair in ((a, ("text", "x")), (("text", "x"), a), (("unknown", "x"), a)))
    for n in ("0", "1", "65", "228", "8364", "128512", "-1", "55296", "1114112"):
        yield Case("fn", "chr", ("integer", n))
    for n in ("0", "255", "-1", "2147483647"):
        yield from (Case("fn", "to_hex", (kind, n)) for kind in ("integer", "bigint"))
    for text in ("Txxxxas", "日本語", ""):
        for start in ("0", "1", "2", "9"):
            yield Case("fn", "overlay", ("text", text), ("text", "hom"), ("integer", start))
            yield from (Case("fn", "overlay", ("text", text), ("text", "hom"), ("integer", start), ("integer", n)) for n in ("0", "4", "-1"))
    for a in BYTES:
        yield from (Case("fn", name, a) for name in ("length", "octet_length", "bit_length", "md5", "sha256"))
        yield from (Case("fn", "encode", a, ("text", f)) for f in ("hex", "base64", "escape", "foo"))
        yield from (Case("fn", "substring", a, ("integer", n), ("integer", "2")) for n in ("1", "2", "0"))
        yield from (Case("fn", "get_byte", a, ("integer", n)) for n in ("0", "1", "-1"))
        yield from (Case("fn", "convert_from", a, ("text", f)) for f in ("UTF8", "latin1"))
        yield from (Case("op", "||", a, b) for b in BYTES)
        yield from (Case("fn", "position", a, b) for b in BYTES)
        yield from (Case("fn", name, a, ("bytea", "\\x00ff")) for name in ("btrim", "ltrim", "rtrim"))
    yield Case("fn", "encode", ("bytea", "\\x" + "ab" * 100), ("text", "base64"))
    for text, form in (("deadBEEF", "hex"), ("de ad", "hex"), ("abc", "hex"), ("zz", "hex"), ("SGVsbG8=", "base64"), ("SGVs\nbG8=", "base64"),
                       ("SGVsbG8", "base64"), ("S=Vs", "base64"), ("!!!!", "base64"), ("a\\000\\\\b", "escape"), ("a\\9", "escape")):
        yield Case("fn", "decode", ("text", text), ("text", form))
    yield from (Case("fn", "convert_to", ("text", t), ("text", f)) for t in ("äa", "日") for f in ("UTF8", "LATIN1"))
    yield from (Case("fn", "convert_from", ("bytea", b), ("text", "UTF8")) for b in ("\\xc3a4", "\\xc328", "\\xff", "\\xe697", "\\x610062", "\\xeda080"))
    yield from (Case("fn", name, ("unknown", "Abc")) for name in ("lower", "length", "md5", "nosuchfunction"))
    yield from (Case("fn", "lower", a) for a in (INTS[1], DATES[0]))


def times():
    for a in STAMPS + ZONED:
        for b in SPANS:
            yield from (Case("op", symbol, a, b) for symbol in "+-")
        yield from (Case("op", "-", a, b) for b in (STAMPS if a[0] == "timestamp" else ZONED))
        yield from (Case("fn", "age", a, b) for b in (STAMPS if a[0] == "timestamp" else ZONED) if "infinity" not in f"{a}{b}")
    yield Case("fn", "age", STAMPS[1], ("timestamp", "infinity"))
    for a in DATES:
        yield from (Case("op", symbol, a, b) for symbol in "+-" for b in SPANS + INTS[:5] + [("integer", "2147483647")])
        yield from (Case("op", "-", a, b) for b in DATES)
        yield from (Case("op", "+", a, b) for b in TIMES)
    for a in TIMES:
        yield from (Case("op", symbol, a, b) for symbol in "+-" for b in SPANS)
        yield from (Case("op", "-", a, b) for b in TIMES)
    for a in SPANS:
        yield from (Case("op", symbol, a, b) for symbol in "+-" for b in SPANS)
        for n in ("2", "-0.5", "1.3", "0.1", "3", "1e20", "0"):
            yield from (Case("op", symbol, a, ("double precision", n)) for symbol in "*/")
        yield Case("op", "*", ("integer", "3"), a)
        yield Case("op", "-", a)
        yield from (Case("fn", name, a) for name in ("justify_days", "justify_hours", "justify_interval", "isfinite"))
    units = ["microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade", "century",
             "millennium", "epoch", "dow", "isodow", "doy", "isoyear", "julian", "timezone", "timezone_hour", "timezone_minute", "DAY", "foo"]
    for unit in units:
        for a in STAMPS + ZONED + SPANS:
            yield from (Case("fn", name, ("text", unit), a) for name in ("date_trunc", "extract", "date_part"))
        for a in DATES + TIMES:
            yield from (Case("fn", name, ("text", unit), a) for name in ("extract", "date_part"))
        yield Case("fn", "date_trunc", ("text", unit), DATES[1])
        yield Case("fn", "date_trunc", ("text", unit), ZONED[2], ("text", "America/New_York"))
    for stride in ("15 minutes", "1 day", "7 days", "0", "-1 minute", "1 month", "90 seconds"):
        for a in STAMPS:
            yield from (Case("fn", "date_bin", ("interval", stride), a, ("timestamp", origin)) for origin in ("2001-01-01", "2024-02-29 00:02:30"))
    for kind, a, b, c, d in (("timestamp", "2024-01-01", "2024-01-03", "2024-01-02", "2024-01-04"), ("timestamp", "2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03"),
                             ("timestamp", "2024-01-03", "2024-01-01", "2024-01-02", NULL), ("timestamp", "2024-01-01", NULL, "2024-01-01", "2024-01-02"),
                             ("timestamp", NULL, "2024-01-05", "2024-01-04", "2024-01-06"), ("timestamp", "2024-01-01", "2024-01-01", "2024-01-01", "2024-01-01")):
        yield Case("fn", "overlaps", (kind, a), (kind, b), (kind, c), (kind, d))
    for y, m, d in (("2024", "2", "29"), ("2023", "2", "29"), ("0", "1", "1"), ("-44", "3", "15"), ("2024", "13", "1"), ("9999999", "1", "1")):
        yield Case("fn", "make_date", ("integer", y), ("integer", m), ("integer", d))
        yield Case("fn", "make_timestamp", ("integer", y), ("integer", m), ("integer", d), ("integer", "12"), ("integer", "30"), ("double precision", "15.5"))
        yield Case("fn", "make_timestamptz", ("integer", y), ("integer", m), ("integer", d), ("integer", "12"), ("integer", "30"), ("double precision", "15.5"))
    for h, m, s in (("12", "30", "15.5"), ("24", "0", "0"), ("24", "0", "1"), ("25", "0", "0"), ("1", "60", "0"), ("1", "2", "60"), ("-1", "0", "0"), ("1", "2", "3.1234567")):
        yield Case("fn", "make_time", ("integer", h), ("integer", m), ("double precision", s))
    yield Case("fn", "make_interval", ("integer", "1"), ("integer", "2"), ("integer", "3"), ("integer", "4"), ("integer", "5"), ("integer", "6"), ("double precision", "7.5"))
    yield Case("fn", "make_interval", ("integer", "1"), ("integer", "2"))
    yield from (Case("fn", "to_timestamp", ("double precision", s)) for s in ("0", "1.5", "1700000000.123456", "-1", "NaN", "Infinity", "1e30", "-1e12"))
    for zone in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "+02", "UTC+3", "est", "Nowhere/City", "foo"):
        yield from (Case("fn", "timezone", ("text", zone), a) for a in STAMPS[:5] + ZONED)
    yield from (Case("fn", "timezone", ("interval", s), a) for s in ("02:00", "-05:30", "1 day") for a in STAMPS[:2] + ZONED[:2])


def formats():
    stamps = of("timestamp", "2024-02-29 13:07:42.123456", "2023-12-31 00:05:09", "0099-07-04 12:00 BC", "1999-01-02 03:04:05", NULL)
    masks = ["YYYY-MM-DD HH24:MI:SS", "YYYY-MM-DD\"T\"HH24:MI:SS.MS", "DD Mon YYYY", "Day, DD Month YYYY", "FMDay, FMDD FMMonth", "dy DY Dy", "MON mon",
             "HH12:MI AM", "HH:MI p.m.", "US", "FF1 FF3 FF6", "J", "Q", "WW IW", "D ID", "DDD IDDD", "CC", "YY Y YYY", "IYYY-IW-ID", "SSSS", "FMDDth",
             "DDTH", "W", "Y,YYY", "BC A.D.", "month|MONTH|Month|", "\"lit YYYY\" YYYY", "FMHH24:FMMI", "TZ", "yyyy-mm-dd", "", "no pattern: xz", "FMMS"]
    for mask in masks:
        yield from (Case("fn", "to_char", a, ("text", mask)) for a in stamps)
        yield Case("fn", "to_char", ZONED[2], ("text", mask))
    yield from (Case("fn", "to_char", ZONED[2], ("text", mask)) for mask in ("TZ tz OF TZH:TZM", "HH24:MI:SS OF"))
    yield from (Case("fn", "to_char", a, ("text", mask)) for a in SPANS for mask in ("HH24:MI:SS", "DD HH24:MI:SS.MS", "YYYY MM DD", "HH12:MI AM"))
    numbers = of("numeric", "0", "1234.5", "-1234.567", "0.5", "-0.004", "12", "1234567.891", NULL)
    masks = ["9999", "9999.99", "0000.00", "FM9999.99", "FM999,999,990.00", "999,999.99", "S9999", "9999S", "9999MI", "9999PR", "FM9999PR", "99", "SG9999", "PL9999",
             "9G999D99", "FM0009", "\"$\"9999", "9.9", "FM9.9", ".99", "FM.99", "0", "FMS9999.0", "9,999"]
    for mask in masks:
        yield from (Case("fn", "to_char", a, ("text", mask)) for a in numbers)
    yield from (Case("fn", "to_char", ("numeric", a), ("text", "9999")) for a in ("NaN", "Infinity"))
    yield from (Case("fn", "to_char", a, ("text", "FM999999999990.099")) for a in INTS + BIGS + DOUBLES[:8] + REALS[:4])
    for text, mask in (("2024-02-29", "YYYY-MM-DD"), ("20240229", "YYYYMMDD"), ("29 Feb 2024", "DD Mon YYYY"), ("29-FEB-24", "DD-MON-YY"), ("February 29, 2024", "Month DD, YYYY"),
                       ("2024-060", "YYYY-DDD"), ("2023-02-29", "YYYY-MM-DD"), ("2024-13-01", "YYYY-MM-DD"), ("abc", "YYYY-MM-DD"), ("2024/02/29", "YYYY-MM-DD"), ("", "YYYY"), ("2024", "YYYY"),
                       ("44-03-15 BC", "YYYY-MM-DD BC"), ("2024 2 9", "YYYY MM DD")):
        yield Case("fn", "to_date", ("text", text), ("text", mask))
        yield Case("fn", "to_timestamp", ("text", text), ("text", mask))
    for text, mask in (("2024-02-29 13:14:15", "YYYY-MM-DD HH24:MI:SS"), ("2024-02-29 01:14:15 PM", "YYYY-MM-DD HH12:MI:SS AM"), ("2024-02-29 13:14:15.123", "YYYY-MM-DD HH24:MI:SS.MS"),
                       ("2024-02-29 13:14:15.5", "YYYY-MM-DD HH24:MI:SS.US"), ("20240229131415", "YYYYMMDDHH24MISS"), ("2024-02-29T13:14:15Z", "YYYY-MM-DD\"T\"HH24:MI:SS\"Z\""),
                       ("2024-02-29 25:00", "YYYY-MM-DD HH24:MI"), ("13:00 AM", "HH12:MI AM"), ("2024-02-29 12:00+05", "YYYY-MM-DD HH24:MITZH")):
        yield Case("fn", "to_timestamp", ("text", text), ("text", mask))


def documents():
    for a in DOCUMENTS:
        for key in ("a", "aa", "b", "0", ""):
            yield from (Case("op", symbol, a, ("text", key)) for symbol in ("->", "->>", "?"))
        for index in ("0", "1", "-1", "9"):
            yield from (Case("op", symbol, a, ("integer", index)) for symbol in ("->", "->>", "-"))
        yield from (Case("op", "-", a, ("text", key)) for key in ("a", "b"))
        for path in ("{aa,c,0}", "{0}", "{aa,c,2,d}", "{}", "{a}", "{3,0}", "{aa,c,-1}", "{\"aa\"}"):
            yield from (Case("op", symbol, a, ("unknown", path)) for symbol in ("#>", "#>>"))
        yield from (Case("fn", name, a) for name in ("jsonb_typeof", "jsonb_array_length", "jsonb_strip_nulls", "jsonb_pretty", "to_jsonb"))
        yield Case("fn", "jsonb_extract_path", a, ("text", "aa"), ("text", "c"))
        yield Case("fn", "jsonb_extract_path_text", a, ("text", "b"))
        yield from (Case("op", symbol, a, b) for b in DOCUMENTS for symbol in ("@>", "<@", "||", "<", "="))
        yield from (Case("cast", kind, a) for kind in ("boolean", "smallint", "integer", "bigint", "numeric", "double precision", "real", "text", "numeric(3,1)"))
    for values in EVERY + [BOOLS]:
        yield from (Case("fn", "to_jsonb", a) for a in values)
        yield Case("fn", "jsonb_build_array", *values[:3])
        yield Case("fn", "jsonb_build_object", ("text", "k"), values[0], ("text", "kk"), values[-1])
    yield from (Case("fn", "jsonb_build_object", *row) for row in [
        (), (("integer", "1"), ("integer", "2")), (("text", NULL), ("integer", "1")), (("text", "a"),), (("boolean", "true"), ("text", "x")), (("text", "a"), ("text", "1"), ("text", "a"), ("text", "2"))])
    for text in ('{"a":1,"a":2}', '[1,2', '{"a"}', "1e5", "1.50e-3", "-0", "-0.0", "01", "1.", ".5", "+1", "tru", "nulll", '"\\u00e4\\ud83d\\ude00"', '"\\ud83d"', '"\\u0000"', '"\\x"',
                 '"tab\there"', '"\\b\\f\\n\\r\\t\\"\\\\\\/\\u001f"', " [ ] ", "", "[1,]", "{\"bb\":1,\"a\":2,\"ab\":3}", "123456789012345678901234567890.123", "[[[[1]]]]", "1 2", "NaN", "'a'", "{\"é\":\"日本\"}"):
        yield Case("cast", "jsonb", ("text", text))


def casts():
    kinds = ["boolean", "smallint", "integer", "bigint", "numeric", "numeric(6,2)", "numeric(20,10)", "real", "double precision", "text", "bytea", "date", "time", "timestamp",
             "timestamptz", "interval", "jsonb", "uuid"]
    for values in EVERY + [BOOLS]:
        for kind in kinds:
            yield from (Case("cast", kind, a) for a in values)
    halves = of("double precision", "0.5", "1.5", "2.5", "-0.5", "-1.5", "32767.5", "2147483647.5", "9223372036854775807", "1e40", "1e-46", "0.30000000000000004",
                "123456.789012345678", "5e-324", "1.7976931348623157e308", "1e22", "1e21", "100000", "123456789", "0.0001", "0.00001") + of(
        "numeric", "0.5", "1.5", "2.5", "-0.5", "-2.5", "32767.5", "32767.4", "2147483647.5", "9223372036854775807.4", "9223372036854775807.5", "1e30", "9999.995", "9999.994") + of(
        "real", "0.5", "1.5", "2.5", "3.4e38", "1e-45", "0.1", "123456.78", "1e5", "999999", "1000000")
    yield from (Case("cast", kind, a) for a in halves for kind in ("smallint", "integer", "bigint", "numeric", "real", "double precision", "text", "numeric(6,2)"))
    texts = {
        "boolean": ["t", "TRUE", " yes ", "on", "of", "off", "o", "1", "0", "2", "", "n", "fals"],
        "smallint": ["1", " -5 ", "+7", "32768", "-32768", "1.0", "", " ", "abc", "1e3", "- 1", "0x10", "99999999999999999999"],
        "integer": ["2147483647", "2147483648", "-2147483648", "-2147483649", "12abc", "1_000"],
        "bigint": ["9223372036854775807", "9223372036854775808", "-9223372036854775808", "--1"],
        "numeric": ["1.50", " 1 ", ".5", "5.", ".", "1e5", "1E-5", "1e", "1e+", "-1.5e2", "NaN", "nan", "inf", "-Infinity", "+inf", "infinit", "1,000", "", "0x1", "1e-30", "00012.3400", "-0.0", "-NaN", "+.5", "1 2"],
        "numeric(5,2)": ["123.456", "999.994", "999.995", "-999.995", "1e3", "NaN", "inf", "0.005", "0.004"],
        "double precision": ["1.50", "1e400", "-1e400", "1e-400", "Infinity", "-inf", "nan", "1e", "", ".5", "5.", "abc", " 1 ", "0.1", "1e309", "12345678901234567890", "0x10", "1e-320"],
        "real": ["1e39", "1e-46", "0.1", "16777217", "3.4028235e38", "1.17549435e-38"],
        "text": ["x"],
        "bytea": ["\\x41", "\\x4", "\\xzz", "abc", "a\\101b", "a\\\\b", "\\", "\\x 41 42", "é", "\\8"],
        "uuid": ["550e8400-e29b-41d4-a716-446655440000", "550E8400E29B41D4A716446655440000", "{550e8400-e29b-41d4-a716-446655440000}", "550e8400e29b-41d4-a716-446655440000", "550e8400", "g50e8400-e29b-41d4-a716-446655440000",
                 "550e8400-e29b-41d4-a716-446655440000x", "5-50e8400e29b41d4a716446655440000", ""],
        "date": ["2024-02-29", "2023-02-29", "2024-2-9", "20240229", "Jan 8, 1999", "8 January 1999", "1999-Jan-08", "Jan-08-1999", "08-Jan-99", "1/8/1999", "1/18/2003", "18/1/2003", "99-01-08", "1999.008", "J2451187",
                 "0044-03-15 BC", "2024-13-01", "2024-00-10", "2024-01-32", "0000-01-01", "infinity", "-infinity", "epoch", "", "foo", "2024-01-01 12:00:00", "2024-01-01T00:00:00Z", "5874897-12-31", "5874898-01-01",
                 "4714-11-24 BC", "4714-11-23 BC", "2024-01", "2024", "monday 2024-01-01", "January 2024", "2024-02-30", "10000-01-01", "2024-01-01 BC", "12-31-2024", "2024/03/05"],
        "time": ["12:34", "12:34:56.789", "12:34:56 PM", "12:00 AM", "12:00 am", "1:2:3", "24:00:00", "24:00:01", "23:59:60", "25:00", "12:60", "040506", "0405", "04:05:06.1234567", "allballs", "2024-01-01 10:00", "", "abc",
                 "13:00 PM", "04:05:06-08", "04:05:06 UTC", "12", "23:59:59.9999999"],
        "timestamp": ["2024-02-29 12:34:56", "2024-02-29T12:34:56.123456", "2024-02-29 12:34:56.1234567", "2024-02-29 12:34:56.1234565", "2024-02-29 12:34", "2024-02-29", "2024-02-29 24:00:00", "2024-02-29 23:59:60", "2024-02-29 25:00",
                      "2024-02-30 00:00", "2024-02-29 12:34:56Z", "2024-02-29 12:34:56+02", "2024-02-29 12:34:56 America/New_York", "20240229T123456", "20240229 123456", "2024-02-29 12:34 PM", "infinity", "epoch", "yesterdayx", "12:34", "",
                      "294276-12-31", "294277-01-01", "4714-11-24 BC", "4714-11-23 BC", "0001-01-01 00:00:00 BC", "2024-02-29 1:2:3", "Feb 29 2024 12:00", "Thu Feb 29 12:34:56 2024", "2024-02-29 12:34:56.", "2024-02-29  12:34",
                      "2024-02-29t12:34:56z", "2024-02-29 12:34:56 foo", "2024-02-29 12:34:56.5 AD", "2024.060", "2/29/2024 13:00", "99-02-28 00:00", "2024-02-29 12"],
        "timestamptz": ["2024-02-29 12:34:56", "2024-02-29 12:34:56Z", "2024-02-29 12:34:56+02", "2024-02-29 12:34:56+0230", "2024-02-29 12:34:56+02:30", "2024-02-29 12:34:56-02:30:15", "2024-02-29 12:34:56+16", "2024-02-29 12:34:56 UTC",
                        "2024-02-29 12:34:56 EST", "2024-02-29 12:34:56 Europe/Berlin", "2024-02-29 12:34:56 Nowhere/City", "2024-03-31 02:30", "2024-10-27 02:30", "2024-03-10 02:30 America/New_York", "2024-11-03 01:30 America/New_York",
                        "2024-02-29T12:34:56.789-05:00", "infinity", "-infinity", "epoch", "2024-02-29", "2024-02-29 12:34:56 +03", "2024-02-29 12:34:56 z", "2024-02-29 12:34:56+2", "2024-02-29 12:34:56+00:60", "2050-07-01 00:00 Europe/Berlin"],
        "interval": ["1 second", "5 seconds", "1 day 02:03:04", "1 mon", "-1 week", "1 day ago", "1 day -1 hour ago", "P1DT2H", "P1Y2M3DT4H5M6.5S", "PT0.5S", "P1W", "P-1D", "P0001-02-03T04:05:06", "1-2", "1-2 3 4:05:06", "-1-2", "1.5 days",
                     "1.5 months", "0.1 year", "1.5 weeks", "1.25 years", "02:03", "02:03:04.567891", "-02:03:04", "100", "1.5", "1y2m3d", "1 d 2 h 3 m 4 s", "@ 1 minute", "1 decade", "1 century 2 millennia", "3 ms", "7 us", "1.5 ms", "1 fortnight", "",
                     "foo", "day", "1 2 3", "P", "PT", "P1", "1 day 1 day", "-1 day +02:03", "- 1 day", "+1 day", "1 month -1 second", "200000000 years", "9223372036854775807 us", "9223372036854775808 us", "1e3 seconds", "24:60:00", "23:59:60", "1:2:3:4",
                     "1 year 1 month 1 week 1 day 1 hour 1 minute 1 second 1 ms 1 us", "12:30.5", "1 hr 30 min", "2 mins", "1 day 12", "1,5 days", "P1.5D", "P1Y-2M", "1 quarter", "-0.5 days", "1 week 2.5 days", "infinity"],
    }
    for kind, values in texts.items():
        yield from (Case("cast", kind, ("text", text)) for text in values)
    yield from (Case("cast", kind, ("unknown", "12")) for kind in ("integer", "text", "numeric", "interval"))


def zones():
    stamps = of("timestamp", "2024-03-31 02:30", "2024-03-10 02:30", "2024-10-27 02:30", "2024-11-03 01:30", "2024-07-01 12:00", "1890-01-01 00:00", "1945-05-24 02:30", "2037-12-31 00:00", "2038-07-01 00:00", "2099-03-29 02:30", "9999-10-31 02:30",
                "1979-10-01 00:00", "infinity")
    zoned = of("timestamptz", "2024-03-31 00:59:59+00", "2024-03-31 01:00+00", "2024-10-27 00:30+00", "2024-10-27 01:00+00", "2024-03-10 07:00+00", "2024-11-03 06:30+00", "1890-01-01 00:00+00", "2500-07-01 00:00+00", "1970-01-01 00:00+00", "infinity")
    yield from (Case("cast", kind, a) for a in stamps for kind in ("timestamptz", "date"))
    for a in zoned:
        yield from (Case("cast", kind, a) for kind in ("timestamp", "date", "time", "text"))
        yield from (Case("fn", "date_trunc", ("text", unit), a) for unit in ("hour", "day", "week", "month", "year"))
        yield from (Case("fn", "extract", ("text", unit), a) for unit in ("hour", "day", "timezone", "timezone_hour", "timezone_minute", "epoch"))
        yield from (Case("op", symbol, a, ("interval", s)) for symbol in "+-" for s in ("1 day", "24 hours", "1 month", "1 month 1 day 1 hour"))
        yield from (Case("fn", "to_char", a, ("text", "YYYY-MM-DD HH24:MI:SS TZ OF")) for _ in (0,))
        yield Case("fn", "to_jsonb", a)
        if a != zoned[-1]:
            yield Case("fn", "age", a, zoned[-2])
        yield Case("fn", "concat", a)
    yield from (Case("cast", "timestamptz", ("text", t)) for t in ("2024-03-31 02:30", "2024-10-27 02:30", "2024-07-01", "2024-07-01 00:00 UTC", "2024-07-01 00:00+05"))
    yield Case("fn", "make_timestamptz", ("integer", "2024"), ("integer", "7"), ("integer", "1"), ("integer", "2"), ("integer", "3"), ("double precision", "4"))


def arrays():
    ints = of("integer[]", "{}", "{1}", "{1,2,3}", "{3,1,NULL,2,1}", "{{1,2},{3,4}}", "[0:2]={7,8,9}", NULL)
    texts = of("text[]", "{}", '{a,"b c",NULL,"NULL",""}', '{"x,y","q\\"q","back\\\\slash"}', "{{a},{b}}", NULL)
    numbers = of("numeric[]", "{1.0,2.50}", "{1,NaN,2.5}")
    for values in (ints, texts, numbers):
        for symbol in ("=", "<>", "<", ">=", "@>", "<@", "&&", "||"):
            yield from (Case("op", symbol, a, b) for a, b in pairs(values))
        for name in ("cardinality", "array_ndims", "array_dims", "to_jsonb"):
            yield from (Case("fn", name, a) for a in values)
        for name in ("array_length", "array_lower", "array_upper"):
            yield from (Case("fn", name, a, ("integer", n)) for a in values for n in ("0", "1", "2", NULL))
        yield from (Case("cast", "text", a) for a in values)
        for rest in ([","], ["--"], ["", "*"], [",", "*"], [",", NULL], [NULL, "x"]):
            yield from (Case("fn", "array_to_string", a, *of("text", *rest)) for a in values)
    for one in of("integer", "1", "9", NULL):
        for a in ints:
            yield Case("fn", "array_append", a, one)
            yield Case("fn", "array_prepend", one, a)
            yield Case("op", "||", a, one)
            yield Case("op", "||", one, a)
            yield Case("fn", "array_remove", a, one)
            yield Case("fn", "array_position", a, one)
            yield Case("fn", "array_position", a, one, ("integer", "2"))
            yield Case("fn", "array_positions", a, one)
            yield Case("fn", "array_replace", a, one, ("integer", "5"))
            yield Case("fn", "array_replace", a, one, ("integer", NULL))
    for a in ints:
        yield from (Case("fn", "trim_array", a, ("integer", n)) for n in ("0", "1", "9", "-1"))
    for a in of("integer[]", "{2}", "{2,3}", "{}", "{0,2}", NULL):
        yield Case("fn", "array_fill", ("integer", "7"), a)
        yield Case("fn", "array_fill", ("text", NULL), a)
        yield Case("fn", "array_fill", ("integer", "7"), a, ("integer[]", "{0,5}"))
    for text in ("a,b,c", "", "a,,b", "x", ",", "äö", NULL):
        for rest in ([","], [""], [NULL], [",", "b"], ["bc"], [",", ""], [NULL, "a"]):
            yield Case("fn", "string_to_array", ("text", text), *of("text", *rest))
    literals = ["{}", "{ }", " { 1 , 2 } ", "{1,2", "1,2}", "{1,,2}", "{,}", "{1}x", "{{1,2},{3}}", "{{1},2}", "{1,{2}}", "{{},{}}", "{{{1}}}", "{null,NULL,\"null\"}", "{a b, c}",
                "{\\a,\\\"}", "{\"a\\\"b\"}", "{\"a\"b}", "[1:2]={1,2}", "[2:3]={1,2}", "[1:3]={1,2}", "[2:1]={}", "[-1:0]={1,2}", "[1:2]{1,2}", "[2]={5,6}", "[1:1][1:2]={{1,2}}", "", "x", "{\"\"}", "{ \" a \" }", "{a\\ }", "{{{{{{{1}}}}}}}", "{a{b}",
                "{1 2}", "{\t1}", "{1.5}", "{t}"]
    for kind in ("integer[]", "text[]"):
        yield from (Case("cast", kind, ("text", text)) for text in literals)
    for kind, text in (("date[]", "{2024-01-01,infinity}"), ("timestamptz[]", "{2024-01-01 00:00+00}"), ("interval[]", "{1 day,NULL}"), ("bytea[]", '{"\\\\x00"}'), ("jsonb[]", '{"{\\"a\\": 1}"}'), ("boolean[]", "{t,f}"), ("uuid[]", "{550e8400-e29b-41d4-a716-446655440000}"), ("double precision[]", "{1,NaN,1e300}")):
        yield Case("cast", kind, ("text", text))
        yield Case("cast", "text", (kind, text))
        yield Case("fn", "to_jsonb", (kind, text))
    for target in ("text[]", "bigint[]", "numeric[]", "integer[]", "double precision[]"):
        yield from (Case("cast", target, a) for a in ints + texts[:2] + numbers)
    for n in ("-5", "1", "2", "3.5", "99"):
        yield Case("fn", "width_bucket", ("numeric", n), ("numeric[]", "{1,3,5}"))
        yield Case("fn", "width_bucket", ("double precision", n), ("double precision[]", "{1,3,5}"))
    for kinds in (("integer[]", "{1,2}", "text[]", "{a}"), ("integer[]", "{1}", "unknown", "{2}"), ("text[]", "{a}", "unknown", "{b}"), ("unknown", "{2}", "integer[]", "{1}"), ("integer[]", "{1}", "text", "a"), ("integer[]", "{1}", "integer", "1")):
        for symbol in ("||", "=", "@>", "&&", "<"):
            yield Case("op", symbol, kinds[:2], kinds[2:])


def regexes():
    texts = ["", "abc", "foobarbaz", "Hello World", "aaa bbb", "line1\nline2", "äöü ß", "x.y*z", "2024-01-31", "a1b22c333", NULL]
    patterns = ["", "b", "^abc$", "o+", "[a-c]+", "(o|oo)(b)?", "^.*$", "\\d+", "\\w+", "\\s", "[[:digit:]]+", "[[:alpha:]]+", "[^[:space:]]+", "(a)(b)(c)", "a|ab", "(?:x)", "x*", "a{2}", "a{2,}", "a{1,2}?", "o*?b", "\\mworld\\M", "(?i)WORLD",
                "line.line", "^line2", "$", "^", "[]a]", "[^]a]", "[a\\]]", "ä", "\\u00e4", "[ä-ü]+", "\\.", "x\\.y", "***=x.y", "***:abc", "(b", "b)", "[a", "*a", "a**", "a{2", "a{3,1}", "a{1000}", "\\", "\\q", "[[:foo:]]", "[b-a]", "\\y", "(a*)*", "(a+)+b",
                "\\Aabc\\Z", "\\D+", "\\S+", "\\W+", "[\\d]+", "[\\w-]+", "(\\d+)-(\\d+)", "[[.a.]]b", "[[=a=]]b", "{", "a{", "a{x", "a\\{", "()", "(|a)", "^*"]
    for pattern in patterns:
        for text in texts:
            yield Case("op", "~", ("text", text), ("text", pattern))
        for text in texts[1:6]:
            yield Case("op", "~*", ("text", text), ("text", pattern))
            yield Case("op", "!~", ("text", text), ("text", pattern))
            yield Case("fn", "regexp_match", ("text", text), ("text", pattern))
            yield Case("fn", "regexp_replace", ("text", text), ("text", pattern), ("text", "<\\&>"))
            yield Case("fn", "regexp_replace", ("text", text), ("text", pattern), ("text", "<\\1>"), ("text", "g"))
            yield Case("fn", "regexp_count", ("text", text), ("text", pattern))
            yield Case("fn", "regexp_split_to_array", ("text", text), ("text", pattern))
            yield Case("fn", "regexp_substr", ("text", text), ("text", pattern))
            yield Case("fn", "regexp_instr", ("text", text), ("text", pattern))
            yield Case("fn", "substring", ("text", text), ("text", pattern))
    for flags in ("", "g", "i", "gi", "n", "s", "p", "w", "x", "q", "z", "c", "ic", "ci", NULL):
        for text, pattern in (("foo\nBAR", "o.b"), ("foo\nBAR", "^b"), ("foo\nBAR", "[^f]+$"), ("a b", "a b # c"), ("x.y", "x.y")):
            yield Case("fn", "regexp_replace", *of("text", text, pattern, "#", flags))
            yield Case("fn", "regexp_match", *of("text", text, pattern, flags))
            yield Case("fn", "regexp_like", *of("text", text, pattern, flags))
            yield Case("fn", "regexp_split_to_array", *of("text", text, pattern, flags))
            yield Case("fn", "regexp_count", ("text", text), ("text", pattern), ("integer", "1"), ("text", flags))
    for start in ("-1", "0", "1", "3", "9", "20"):
        for n in ("-1", "0", "1", "2", "5"):
            yield Case("fn", "regexp_replace", *of("text", "ababab äb", "[ä]?b", "X"), ("integer", start), ("integer", n))
            yield Case("fn", "regexp_instr", *of("text", "ababab äb", "(a|ä)(b)"), ("integer", start), ("integer", n))
            yield Case("fn", "regexp_substr", *of("text", "ababab äb", "(a|ä)(b)"), ("integer", start), ("integer", n))
            for option in ("0", "1", "2"):
                yield Case("fn", "regexp_instr", *of("text", "ababab äb", "(a|ä)(b)"), ("integer", start), ("integer", n), ("integer", option), ("text", "i"), ("integer", "2"))
        yield Case("fn", "regexp_count", *of("text", "ababab äb", "[ä]?b"), ("integer", start))
        yield Case("fn", "regexp_substr", *of("text", "ababab äb", "(a|ä)(b)"), ("integer", start), ("integer", "1"), ("text", ""), ("integer", "2"))
    for replacement in ("\\0", "\\2\\1", "\\\\", "\\", "x\\", "\\9", "\\&\\&", "$1"):
        yield Case("fn", "regexp_replace", *of("text", "hello world", "(\\w+) (\\w+)", replacement))
    yield Case("fn", "regexp_replace", *of("text", "a", "a", "b", "1"))
    for pattern in ("a(?=b)", "a(?!b)", "(?<=a)b", "(a)\\\\1"):
        yield Case("op", "~", *of("text", "aab", pattern))
    for text in ("abc", "a%c", "a_c", "", "abcabc", "a(c", "a.c", "äbc"):
        for pattern in ("abc", "a%", "%b%", "a_c", "(a|b)%", "[a-c]+", "a{1}bc", "%(b|d)%", "a\\%c", "a.c", "^abc$", "(abc)*", "[^x]*", "a\\(c", "abc|x", "_%", "(a"):
            yield Case("op", "similar to", ("text", text), ("text", pattern))
        yield Case("op", "not similar to", ("text", text), ("text", "a%"))


def jsonpaths():
    documents = ['{"a": [1, 2, {"b": 3}], "c": "foo", "d": null, "e": {"f": true, "g": [1.50, -2]}}', "[1, 2, 3, [4, 5]]", '{"a": {"a": {"a": 1}}}', "5", '"abc"', "null", "[]", '[{"a": 1, "s": "abc"}, {"a": 2, "s": "bcd"}, {"a": "x"}]']
    paths = ["$", "$.a", "$.a[*]", "$.a[0]", "$.a[last]", "$.a[last - 1]", "$[0 to 1]", "$[1,2]", "$[*]", "$.*", "$.**", "$.**{1}", "$.**{1 to 2}", "$.**{last}", "$.c", '$."c"', "strict $.x", "lax $.x", "strict $[9]", "strict $.a.b", "$.a.b", "$.e.g[*]",
             "$[*] ? (@ > 1)", "$[*] ? (@.a > 1)", '$[*] ? (@.s starts with "a")', '$[*] ? (@.s like_regex "^B" flag "i")', "$ ? (exists(@.a))", "$[*].a ? (@ == 1 || @ == 2)", "$[*] ? (!(@.a > 1))", "$[*] ? (@.a > 1 && @.a < 5)", "$[*] ? ((@.a > 1) is unknown)",
             "$.a[0] + 1", "$.a[0] - $.a[1]", "$.a[0] * 2", "$.a[1] / 4", "$.a[1] % 2", "$.a[0] / 0", "-$.a[0]", "+$.e.g[*]", "$.type()", "$.a.type()", "$.a.size()", "$.c.size()", "$.e.g[*].abs()", "$.e.g[*].floor()", "$.e.g[*].ceiling()", "$.c.double()", "$.a[0].double()",
             "$.a[0] == 1", "$.a[*] > 1", "$.a[*] > 5", "$.d == null", "$.d != 1", '$.c == "foo"', "$.c > 1", "$.c", "1", '"x"', "true", "null", "$x", "$.a ? (@ > $x)", "$[*] ? (@ >= $x && @ <= $y)", "", "$.", "$[", "$.a ?", "foo", "$.a ? (@ > 1", "@", "last", "$[last]", "strict $[last + 1]",
             "exists($.a)", "($.a)", "($.a[0] > 0) && ($.a[1] > 0)", "$.e.f", "$.e.f == true", "$.a[*].b", "$.keyvalue().key", "$.e.keyvalue().value", "$.a[1.7]", '$.a["x"]', "$.foo()", "1.5e1", ".5", "$.a[*] ? (@.b == 3)", "$ . a [ 0 ]", "$.a /* comment */ [0]", "$.c ? (@ like_regex \"o{2}\")"]
    for document in documents:
        for path in paths:
            for name in ("jsonb_path_query_first", "jsonb_path_query_array", "jsonb_path_exists", "jsonb_path_match"):
                yield Case("fn", name, ("jsonb", document), ("unknown", path), ("jsonb", '{"x": 1, "y": 2}'))
            yield Case("op", "@?", ("jsonb", document), ("unknown", path))
            yield Case("op", "@@", ("jsonb", document), ("unknown", path))
    for path in ("strict $.x", "$.a > 1", "$x"):
        for silent in ("true", "false"):
            yield Case("fn", "jsonb_path_query_array", ("jsonb", documents[0]), ("unknown", path), ("jsonb", "{}"), ("boolean", silent))
            yield Case("fn", "jsonb_path_match", ("jsonb", documents[0]), ("unknown", path), ("jsonb", "{}"), ("boolean", silent))
    yield Case("fn", "jsonb_path_exists", ("jsonb", "{}"), ("unknown", "$"), ("jsonb", "[]"))


def changes():
    documents = DOCUMENTS + of("jsonb", '{"a": [1, {"b": 2}], "c": {"d": [10, 20]}}')
    paths = ["{}", "{a}", "{aa,c}", "{aa,c,0}", "{aa,c,-1}", "{aa,c,9}", "{aa,c,-9}", "{0}", "{1}", "{-1}", "{9}", "{-9}", "{a,0}", "{a,1,b}", "{c,d,1}", "{x,y}", "{new}", "{aa,c,x}", "{NULL}", "{aa,NULL}", "{{a,b}}"]
    for document in documents:
        for path in paths:
            yield Case("op", "#-", document, ("text[]", path))
            for new in ('"N"', "{}"):
                yield Case("fn", "jsonb_set", document, ("text[]", path), ("jsonb", new))
                yield Case("fn", "jsonb_set", document, ("text[]", path), ("jsonb", new), ("boolean", "false"))
                yield Case("fn", "jsonb_insert", document, ("text[]", path), ("jsonb", new))
                yield Case("fn", "jsonb_insert", document, ("text[]", path), ("jsonb", new), ("boolean", "true"))
        for keys in ("{}", "{a}", "{a,zz}", "{b,c}", "{foo}", "{NULL,a}"):
            for symbol in ("?|", "?&", "-"):
                yield Case("op", symbol, document, ("text[]", keys))
        for treatment in ("use_json_null", "delete_key", "return_target", "raise_exception", "other", NULL):
            yield Case("fn", "jsonb_set_lax", document, ("text[]", "{a}"), ("jsonb", NULL), ("boolean", "true"), ("text", treatment))
    for keys in ("{}", "{a,1}", "{a,1,b}", "{a,NULL}", "{NULL,1}", "{{a,1},{b,2}}", "{{a,1,x}}", "{b,1,a,2,b,3}", NULL):
        yield Case("fn", "jsonb_object", ("text[]", keys))
        yield Case("fn", "jsonb_object", ("text[]", "{a,b}"), ("text[]", keys))


def everyday():
    formats = ["", "plain", "%%", "%s", "[%s]", "%s %s", "%2$s %1$s", "%I", "%L", "%10s|", "%-10s|", "%*s|", "%*2$s|", "%1$*2$s|", "%-*s|", "%", "%x", "%5", "%3$s", "%0$s", "%s %1$s %s", "%5I|", "%5L|", "%1$", "%*3$s", "%99999999999s"]
    values = [of("text", "abc", "4"), of("text", "O'Reilly \\ x", "a b"), [("integer", "7"), ("integer", "-6")], [("text", NULL), ("integer", "3")], of("text", "Select", NULL), [("boolean", "true"), ("numeric", "1.50")]]
    for pattern in formats:
        yield Case("fn", "format", ("text", pattern))
        yield from (Case("fn", "format", ("text", pattern), *rest) for rest in values)
    for a in [x for group in EVERY for x in group[:2]] + [("text", NULL), ("unknown", "x")]:
        yield Case("fn", "num_nulls", a, ("integer", NULL), ("text", "x"))
        yield Case("fn", "num_nonnulls", a, ("integer", NULL))
        yield Case("fn", "quote_nullable", a)
        yield Case("fn", "quote_literal", a)
    for a in BYTES:
        for name in ("sha224", "sha256", "sha384", "sha512", "md5"):
            yield Case("fn", name, a)
        for index in ("0", "2", "-1", "99"):
            yield Case("fn", "set_byte", a, ("integer", index), ("integer", "300"))
    yield Case("fn", "sha512", ("bytea", "x" * 200))
    yield Case("fn", "sha384", ("bytea", "y" * 111))
    yield Case("fn", "sha512", ("bytea", "y" * 112))
    angles = of("double precision", "0", "1", "15", "30", "-30", "45", "60", "90", "120", "135", "150", "180", "210", "270", "300", "360", "405", "-750", "0.5", "-0.5", "1e300", "NaN", "Infinity", NULL)
    for name in ("sind", "cosd", "tand", "cotd", "asind", "acosd", "atand", "asinh", "acosh", "atanh"):
        yield from (Case("fn", name, a) for a in angles)
    for a, b in pairs(of("double precision", "0", "1", "-1", "0.5"), of("double precision", "0", "1", "-1", "2")):
        yield Case("fn", "atan2d", a, b)
    numbers = ["123", "-123", "1,234.56", "-1,234.5", "+7", " 42 ", "12.5-", "<12>", "1.5", "0.25", ".5", "", "abc", "$12", "1 2", "1,2,3", "12345"]
    patterns = ["999", "9999", "9,999.99", "S999", "999S", "999MI", "MI999", "999PR", "999D9", "0.99", "9.9", "FM999", "L99", "99G999", "SG99", "PL99", "99999", "", "9 9"]
    for text in numbers:
        for pattern in patterns:
            yield Case("fn", "to_number", ("text", text), ("text", pattern))


FAMILIES = {family.__name__: (family, ["UTC"]) for family in (arithmetic, decimals, comparisons, mathematics, strings, times, formats, documents, casts, arrays, regexes, jsonpaths, changes, everyday)}
FAMILIES["zones"] = (zones, ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])


def main():
    host, wanted = sys.argv[1], sys.argv[2:] or FAMILIES
    for name in wanted:
        family, session_zones = FAMILIES[name]
        lines = [f"# Written by tools/postgres-cases.py from PostgreSQL's answers; the format is described there."]
        for zone in session_zones:
            cases, seen = [], set()
            for case in family():
                if case.sql() not in seen:
                    seen.add(case.sql())
                    cases.append(case)
            lines.append(f"# zone {zone}")
            lines += [case.line(answer) for case, answer in zip(cases, ask(host, cases, zone))]
        with open(os.path.join(golden, name + ".cases"), "w") as file:
            file.write("\n".join(lines) + "\n")
        print(f"{name}: {len(lines)} lines", file=sys.stderr)


main()
