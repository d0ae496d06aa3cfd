"""Runs each block of pipelines.txt with Martlet over generated files with disorder, late, doubled and bad rows, and the
same over exactly the admitted rows with DuckDB; compares the results as multisets.

    duckdb_oracle.py BINARY FOLDER [NAME…]      one JSON line per pipeline: {"name", "rows", "late", "dead", "problems"}

Which rows can be read is judged here by Python's own JSON and CSV readers, which rows are late by DuckDB: neither asks
Martlet. The dead letters and the late table must say the same.
"""

import collections, csv, datetime, decimal, io, json, os, re, subprocess, sys

import duckdb

HERE = os.path.dirname(os.path.abspath(__file__))
DELAY = 2_000_000
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

SOURCES = {
    "bid": ("nexmark", "bid", "date_time",
            {"auction": "BIGINT", "bidder": "BIGINT", "price": "BIGINT", "channel": "TEXT", "url": "TEXT", "date_time": "TIMESTAMPTZ"}),
    "payments": ("fraud", "payments", "ts",
                 {"payment_id": "BIGINT", "card": "TEXT", "amount": "NUMERIC(12,2)", "currency": "TEXT", "merchant": "TEXT",
                  "country": "TEXT", "ts": "TIMESTAMPTZ"}),
    "readings": ("iot", "readings", "ts",
                 {"machine_id": "TEXT", "temperature": "DOUBLE PRECISION", "vibration": "DOUBLE PRECISION",
                  "pressure": "DOUBLE PRECISION", "ts": "TIMESTAMPTZ"}),
    "activity": ("cart", "activity", "ts",
                 {"visitor": "TEXT", "action": "TEXT", "product": "TEXT", "quantity": "INT", "price": "NUMERIC(12,2)", "ts": "TIMESTAMPTZ"}),
}
for name in ("readings", "payments"):
    SOURCES[name + "_csv"] = SOURCES[name]


def micros(text):
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,6})?(Z|\+00(:00)?)?", text)
    if not match:
        raise ValueError(text)
    moment = datetime.datetime.fromisoformat(f"{match[1]}T{match[2]}+00:00")
    return (moment - EPOCH) // datetime.timedelta(microseconds=1) + int(round(float(match[3] or 0) * 1_000_000))


def checked(value, kind):
    """The value if a column of this type may hold it; raises where it may not."""
    if value is None:
        return None
    if kind in ("BIGINT", "INT"):
        if isinstance(value, bool) or not isinstance(value, (int, decimal.Decimal)) or value != int(value):
            raise ValueError(value)
        limit = 2**63 if kind == "BIGINT" else 2**31
        if not -limit <= value < limit:
            raise ValueError(value)
        return int(value)
    if kind.startswith("NUMERIC"):
        number = decimal.Decimal(value) if isinstance(value, (int, decimal.Decimal)) and not isinstance(value, bool) else None
        if number is None or abs(number) >= 10**10:
            raise ValueError(value)
        return number.quantize(decimal.Decimal("0.01"), decimal.ROUND_HALF_UP)
    if kind == "DOUBLE PRECISION":
        if isinstance(value, bool) or not isinstance(value, (int, decimal.Decimal)) or abs(value) > sys.float_info.max:
            raise ValueError(value)
        return float(value)
    if kind == "TIMESTAMPTZ":
        return micros(value)
    if not isinstance(value, str):
        raise ValueError(value)
    return value


class Input:
    """The files of one source, and its readable rows as DuckDB's table ok."""

    def __init__(self, source, folder, needed):
        kind, stream, self.time, self.columns = SOURCES[source]
        self.needed = needed
        self.paths = [f"{folder}/{kind}/{stream}-{number}.ndjson" for number in (0, 1)]
        self.is_csv = source.endswith("_csv")
        rows, self.bad = [], set()
        if self.is_csv:
            self.paths = [to_csv(path, self.columns) for path in self.paths]
        for file, path in enumerate(self.paths):
            for line, record in enumerate(records(path, self.is_csv, self.columns)):
                try:
                    values = {name: checked(record.get(name), kind) for name, kind in self.columns.items() if name in self.needed}
                    if values[self.time] is None:
                        raise ValueError("no event time")
                    rows.append((file, line, values))
                except (ValueError, TypeError, AttributeError, decimal.InvalidOperation):
                    self.bad.add((file, line))
        self.database = duckdb.connect()
        self.load(rows)

    def load(self, rows):
        copy = f"{os.path.dirname(self.paths[0])}/ok.ndjson"
        with open(copy, "w") as out:
            for file, line, values in rows:
                shown = {name: str(value) if isinstance(value, decimal.Decimal) else value for name, value in values.items()}
                out.write(json.dumps({"file": file, "line": line, "us": values[self.time], **shown}) + "\n")
        types = {name: kind if kind != "TIMESTAMPTZ" else "BIGINT" for name, kind in self.columns.items() if name in self.needed}
        types = {"file": "INT", "line": "BIGINT", "us": "BIGINT"} | {n: t.replace("PRECISION", "").replace("NUMERIC", "DECIMAL").strip() for n, t in types.items()}
        listed = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
        self.database.execute(f"""CREATE TABLE ok AS SELECT *, max(us) OVER (PARTITION BY file ORDER BY line
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) - {DELAY} AS wm
            FROM read_json('{copy}', format = 'newline_delimited', columns = {{{listed}}})""")
        self.database.execute("""CREATE MACRO windows(size, hop, shift, late) AS TABLE
            SELECT ok.*, w AS ws, w + size AS we
            FROM ok, unnest(range(us - ((us - shift) % hop + hop) % hop, us - size, -hop)) AS each(w)
            WHERE wm IS NULL OR w + size + late > wm""")

    def declaration(self, source, lateness):
        listed = ",\n  ".join(f"{name} {kind}" for name, kind in self.columns.items())
        path = self.paths[0].replace("-0.", "-*.")
        late = f", allowed_lateness = '{lateness}'" if lateness else ""
        return f"""CREATE SOURCE {source} (
  {listed},
  WATERMARK FOR {self.time} AS {self.time} - INTERVAL '2 seconds'
) WITH (connector = 'file', path = '{path}', late_table = 'late', on_error = 'dlq'{late}) FORMAT PLAIN ENCODE {'CSV' if self.is_csv else 'JSON'};
"""


def records(path, is_csv, columns):
    """Each line as a dictionary, or None where it is none."""
    if is_csv:
        with open(path, newline="", encoding="utf-8") as text:
            for row in list(csv.reader(text))[1:]:
                yield {name: value if "TEXT" in kind or "TIME" in kind else decimal.Decimal(value)
                       for (name, kind), value in zip(columns.items(), row)}
        return
    for line in open(path, "rb").read().split(b"\n")[:-1]:
        try:
            value = json.loads(line.decode("utf-8"), parse_float=decimal.Decimal)
            yield value if isinstance(value, dict) else None
        except (UnicodeDecodeError, json.JSONDecodeError):
            yield None


def to_csv(path, columns):
    """The readable lines as CSV with a header; texts quoted where they must be, some where they need not."""
    target = path.replace(".ndjson", ".csv")
    with open(target, "w", newline="", encoding="utf-8") as out:
        plain, quoted = csv.writer(out, lineterminator="\n"), csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        plain.writerow(columns)
        for number, record in enumerate(records(path, False, columns)):
            try:
                row = [checked(record[name], kind) for name, kind in columns.items()]
                if any(value is None for value in row):
                    continue
            except (ValueError, TypeError, KeyError, decimal.InvalidOperation):
                continue
            row = [record[name] if kind == "TIMESTAMPTZ" else value for (name, kind), value in zip(columns.items(), row)]
            row = [f'{value}, "und" Söhne' if columns_name == "merchant" and number % 5 == 0 else value
                   for columns_name, value in zip(columns, row)]
            (quoted if number % 3 == 0 else plain).writerow(row)
    return target


def normal(value, kind):
    if value is None:
        return None
    if kind == "n":
        return str(decimal.Decimal(value).normalize() + 0)
    if kind == "f":
        return f"{float(value):.10g}"
    if kind == "t":
        return value if isinstance(value, int) else micros(value)
    return value


def blocks():
    text = open(f"{HERE}/pipelines.txt").read()
    for block in text.split("\n\n"):
        block = "\n".join(line for line in block.split("\n") if not line.startswith("#")).strip()
        if block:
            head, rest = block.split("\n", 1)
            ours, theirs = rest.split("\n---\n")
            name, source, kinds, options = re.fullmatch(r"(\S+) (\S+) (\S+) ?(.*)", head).groups()
            yield name, source, kinds, options, ours, theirs


def lines(path):
    if not os.path.exists(path):
        return []
    return [json.loads(line, parse_float=decimal.Decimal) for line in open(path)]


def multiset(rows, kinds):
    result = collections.Counter()
    for row in rows:
        weight = 1
        if isinstance(row, dict):
            weight = -1 if row.pop("op", "insert") == "delete" else 1
            row = list(row.values())
        if len(row) != len(kinds):
            raise ValueError(f"{len(row)} columns, {len(kinds)} expected: {row}")
        result[tuple(normal(value, kind) for value, kind in zip(row, kinds))] += weight
    return {row: count for row, count in result.items() if count}


def difference(ours, theirs, what):
    wrong = [(row, ours.get(row, 0), theirs.get(row, 0)) for row in ours.keys() | theirs.keys() if ours.get(row, 0) != theirs.get(row, 0)]
    if not wrong:
        return []
    wrong.sort(key=str)
    return [f"{what}: {len(wrong)} differ, such as (Martlet ×{a}, DuckDB ×{b}) {row}" for row, a, b in wrong[:3]]


def compare(binary, folder, inputs, block, shards):
    name, source, kinds, options, ours, theirs = block
    # Fields that nobody reads are skipped, whatever is in them; so a record is judged by the columns that the query names.
    time, columns = SOURCES[source][2:]
    needed = (source, tuple(column for column in columns if column == time or re.search(rf"\b{column}\b", ours)))
    if needed not in inputs:
        inputs[needed] = Input(source, folder, needed[1])
    data = inputs[needed]
    lateness = re.search(r"lateness='([^']*)'", options)
    out = f"{folder}/{name}"
    os.makedirs(out, exist_ok=True)
    script = f"{out}/pipeline.sql"
    with open(script, "w") as text:
        text.write(data.declaration(source, lateness and lateness[1]))
        text.write(f"CREATE MATERIALIZED VIEW v AS {ours};\n")
        text.write(f"CREATE SINK s FROM v WITH (connector = 'file', path = '{out}/out.ndjson') FORMAT PLAIN ENCODE JSON;\n")
    run = subprocess.run([binary, "run", script, "--out-dir", out, "--shards", str(shards)], capture_output=True, text=True, timeout=120)
    if run.returncode != 0:
        return {"name": name, "problems": [f"exit {run.returncode}: {run.stderr.strip()[:1000]}"]}
    rows = lines(f"{out}/out.ndjson")
    problems = difference(multiset(rows, kinds), multiset(data.database.execute(theirs).fetchall(), kinds), "rows")
    if "changes" not in options and any("op" in row for row in rows):
        problems.append("an append-only view has op")
    # Unreadable to Python are exactly the records that Martlet refused, where it has to read all their columns.
    dead = lines(f"{out}/{source}_dlq.ndjson")
    refused = {(row["partition"], row["offset"]) for row in dead if "(in v)" not in row["reason"]}
    if refused ^ data.bad:
        problems.append(f"dead letters and unreadable records differ: {sorted(refused ^ data.bad)[:5]}")
    for row in dead:
        if "(in v)" not in row["reason"] and not re.match(r".*\.(ndjson|csv):\d+:\d+: |event time is", row["reason"]):
            problems.append(f"a reason without its place: {row['reason']}")
            break
    late = lines(f"{out}/late.ndjson")
    window = re.search(r"late=(\d+),(\d+),(-?\d+),(\d+)", options)
    if window:
        expected = data.database.execute(
            f"SELECT file, line FROM ok ANTI JOIN (SELECT file, line FROM windows({', '.join(window.groups())})) USING (file, line)").fetchall()
        first = 1 if data.is_csv else 0  # A CSV file's header is its record 0.
        found = collections.Counter((row["partition"], row["offset"]) for row in late)
        problems += difference(found, collections.Counter((file, line + first) for file, line in expected), "late rows")
    return {"name": name, "rows": len(rows), "late": len(late), "dead": len(dead), "problems": problems}


def main():
    binary, folder, *wanted = sys.argv[1:]
    folder = os.path.abspath(folder)
    for kind in ("nexmark", "fraud", "iot", "cart"):
        subprocess.run(
            [binary, "generate", kind, "--events", "3000", "--seed", "7", "--out", f"{folder}/{kind}", "--files", "2", "--disorder", "2s",
             "--late", "1%", "--bad", "1%", "--duplicates", "0.5%"], check=True, capture_output=True)
    inputs = {}
    for number, block in enumerate(blocks()):
        if wanted and block[0] not in wanted:
            continue
        try:
            result = compare(binary, folder, inputs, block, shards=number % 3 + 1)
        except Exception as error:
            result = {"name": block[0], "problems": [f"{type(error).__name__}: {error}"]}
        print(json.dumps(result), flush=True)


main()
