#!/usr/bin/env python3
"""Writes two files of Tests/MartletKafkaTests/Golden from an independent implementation (kio of PyPI, Apache License, itself
generated from Kafka's sources). Needs `pip install kio`; a test run does not.

codec-vectors.txt: lines of `MESSAGE FIRST-LAST HEX`, one value of seeded chance, encoded without header, for the versions in
which the bytes are the same; `-` for no bytes at all.
error-codes.txt: lines of `CODE NAME RETRIABLE`.
"""
import dataclasses
import datetime
import importlib
import io
import pathlib
import random
import re
import types
import typing
import uuid

from kio.schema.errors import ErrorCode
from kio.serial import entity_writer
from kio.static.primitive import Records

ROOT = pathlib.Path(__file__).resolve().parent.parent
BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}


def branch(source, name):
    """Chance of its own for each field and element, so that what one version adds does not change the others' values."""
    own = random.Random(f"{source.path} {name}")
    own.path, own.is_full = f"{source.path} {name}", source.is_full
    return own


def chance(kind, source):
    if kind in BITS:
        bits = source.choice([2, 7, BITS[kind]])
        bits = min(bits, BITS[kind])
        return source.randrange(-(1 << bits - 1), 1 << bits - 1)
    if kind in ("uint16", "uint32"):
        return source.randrange(1 << int(kind[4:]))
    if kind == "float64":
        return source.choice([0.0, -1.5, 1e300, 0.1])
    if kind == "bool":
        return source.random() < 0.5
    if kind == "string":
        return "".join(source.choice("abcxyz-09é€") for _ in range(source.choice([0, 1, 5])))
    if kind == "bytes":
        return source.randbytes(source.choice([0, 1, 6]))
    if kind == "records":
        return Records(source.randbytes(source.choice([1, 9])))
    if kind == "uuid":
        return uuid.UUID(bytes=source.randbytes(16), version=4)
    if kind == "error_code":
        return source.choice(list(ErrorCode))
    if kind == "timedelta_i32":
        return datetime.timedelta(milliseconds=source.randrange(1 << 20))
    if kind == "timedelta_i64":
        return datetime.timedelta(milliseconds=source.randrange(1 << 40))
    if kind == "datetime_i64":
        return datetime.datetime.fromtimestamp(source.randrange(1 << 31), datetime.UTC)
    raise ValueError(kind)


def value(annotation, kind, source):
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        present = [part for part in typing.get_args(annotation) if part is not type(None)]
        if kind != "uuid" and source.random() < (0 if source.is_full else 0.4):
            return None
        return value(present[0], kind, source)
    if typing.get_origin(annotation) is tuple:
        element = typing.get_args(annotation)[0]
        # The first sample reaches every field.
        count = source.choice([1, 2] if source.is_full else [0, 1, 2])
        return tuple(value(element, kind, branch(source, index)) for index in range(count))
    if dataclasses.is_dataclass(annotation):
        return instance(annotation, source)
    return chance(kind, source)


def instance(entity, source):
    hints = typing.get_type_hints(entity)
    values = {}
    for field in dataclasses.fields(entity):
        values[field.name] = value(hints[field.name], field.metadata.get("kafka_type"), branch(source, field.name))
    return entity(**values)


def messages():
    script = (ROOT / "tools/kafka-codec.py").read_text()
    apis = re.search(r'APIS = """(.*?)"""', script, re.S).group(1).split()
    for name in [api + kind for api in apis for kind in ("Request", "Response")] + [
            "ConsumerProtocolSubscription", "ConsumerProtocolAssignment"]:
        yield name


def encodings(name):
    stem = re.sub("(Request|Response)$", "", name)
    package = re.sub(r"(?<!^)(?=[A-Z])", "_", stem).lower()
    kind = "data" if stem == name else name.removeprefix(stem).lower()
    schema = importlib.import_module(f"kio.schema.{package}")
    folder = pathlib.Path(schema.__file__).parent
    for version in sorted(int(path.name[1:]) for path in folder.glob("v[0-9]*")):
        entity = getattr(importlib.import_module(f"kio.schema.{package}.v{version}.{kind}"), name)
        for sample in range(2):
            source = random.Random()
            source.path, source.is_full = f"{name} {sample}", sample == 0
            buffer = io.BytesIO()
            entity_writer(entity)(buffer, instance(entity, source))
            yield sample, version, buffer.getvalue().hex()


def main():
    lines = ["# Written by tools/kafka-vectors.py with kio: MESSAGE FIRST-LAST HEX"]
    for name in messages():
        runs = {}
        for sample, version, text in encodings(name):
            found = runs.setdefault(sample, [])
            if found and found[-1][2] == text:
                found[-1][1] = version
            else:
                found.append([version, version, text])
        for found in runs.values():
            lines += [f"{name} {first}-{last} {text or '-'}" for first, last, text in found]
    golden = ROOT / "Tests/MartletKafkaTests/Golden"
    golden.mkdir(parents=True, exist_ok=True)
    (golden / "codec-vectors.txt").write_text("\n".join(lines) + "\n")
    codes = [f"{code.value} {code.name.upper()} {int(code.retriable)}" for code in ErrorCode]
    (golden / "error-codes.txt").write_text("\n".join(["# Written by tools/kafka-vectors.py with kio", *codes]) + "\n")


if __name__ == "__main__":
    main()
