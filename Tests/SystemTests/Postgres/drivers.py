"""psycopg, asyncpg and SQLAlchemy."""

import asyncio
import datetime
import decimal
import threading
import time
import uuid

import asyncpg
import psycopg
import sqlalchemy

VALUES = [
    (True, "boolean"), (-2, "smallint"), (7, "integer"), (2**40, "bigint"), (1.5, "real"), (-0.1, "double precision"),
    (decimal.Decimal("-0.00012300"), "numeric"), (decimal.Decimal("12345678901234567890.5"), "numeric"), ("é\t", "text"),
    (b"\0\1\xff", "bytea"), (datetime.date(2024, 2, 29), "date"), (datetime.time(1, 2, 3, 4), "time"),
    (datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), "timestamp"),
    (datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc), "timestamptz"),
    (datetime.timedelta(days=2, seconds=3, microseconds=4), "interval"), (uuid.UUID(int=5), "uuid"),
]


def connect(server, **more):
    return psycopg.connect(server.conninfo, **more)


def psycopg_values(server, problems):
    """psycopg sends and receives every type, in text and in binary, NULL among them"""
    connection = connect(server, autocommit=True)
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        mark = "%b" if binary else "%t"
        for value, name in VALUES:
            found = cursor.execute(f"SELECT {mark}::{name}, NULL::{name}", (value,)).fetchone()
            problems.equal(found, (value, None), f"{name}, {mark}")
        found = cursor.execute(f"SELECT {mark}::INT[], {mark}::TEXT[]", ([1, None, 3], ["a", 'b"', ""])).fetchone()
        problems.equal(found, ([1, None, 3], ["a", 'b"', ""]), f"arrays, {mark}")
    problems.equal(cursor.execute("""SELECT '{"a": [1]}'::JSONB""").fetchone(), ({"a": [1]},), "jsonb")


def psycopg_transactions(server, problems):
    """transactions are told as they are, and what fails in one is rolled back"""
    connection = connect(server, autocommit=True)
    connection.execute("CREATE TABLE accounts (id INT PRIMARY KEY, balance INT)")
    with connect(server) as other:
        other.execute("INSERT INTO accounts VALUES (1, 10), (2, 20)")
        status = psycopg.pq.TransactionStatus
        problems.equal(other.info.transaction_status, status.INTRANS, "status in a transaction")
        problems.equal(other.execute("SELECT count(*) FROM accounts").fetchone(), (2,), "own writes")
        problems.equal(connection.execute("SELECT count(*) FROM accounts").fetchone(), (0,), "others' view before COMMIT")
        try:
            other.execute("INSERT INTO accounts VALUES (1, 99)")
            problems.append("a duplicate key was taken")
        except psycopg.errors.UniqueViolation as error:
            problems.equal(error.sqlstate, "23505", "SQLSTATE")
        problems.equal(other.info.transaction_status, status.INERROR, "status after an error")
        try:
            other.execute("SELECT 1")
            problems.append("a failed transaction went on")
        except psycopg.errors.InFailedSqlTransaction:
            pass
        other.rollback()
        other.execute("INSERT INTO accounts VALUES (3, 30)")
    problems.equal(connection.execute("SELECT id, balance FROM accounts").fetchall(), [(3, 30)], "after all")


def psycopg_copy(server, problems):
    """COPY goes in and out, in text and in binary, and an error names its line"""
    connection = connect(server, autocommit=True)
    connection.execute("CREATE TABLE copied (k INT PRIMARY KEY, v TEXT, n NUMERIC)")
    rows = [(index, None if index % 7 == 0 else f"tab\t{index}\\", decimal.Decimal(index) / 4) for index in range(2_000)]
    cursor = connection.cursor()
    with cursor.copy("COPY copied FROM STDIN") as copy:
        for row in rows[:1_000]:
            copy.write_row(row)
    problems.equal(cursor.statusmessage, "COPY 1000", "tag")
    with cursor.copy("COPY copied FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "text", "numeric"])
        for row in rows[1_000:]:
            copy.write_row(row)
    problems.equal(cursor.execute("SELECT k, v, n FROM copied ORDER BY k").fetchall(), rows, "rows")
    for options in ("", " (FORMAT BINARY)"):
        with cursor.copy(f"COPY (SELECT k, v, n FROM copied ORDER BY k) TO STDOUT{options}") as copy:
            copy.set_types(["int4", "text", "numeric"])
            problems.equal(list(copy.rows()), rows, f"COPY TO{options}")
    try:
        with cursor.copy("COPY copied FROM STDIN (FORMAT CSV)") as copy:
            copy.write("9001,x,1\nnine,x,1\n")
        problems.append("a bad row was taken")
    except psycopg.errors.InvalidTextRepresentation as error:
        problems.check("line 2" in (error.diag.message_detail or ""), f"detail: {error.diag.message_detail}")
    problems.equal(cursor.execute("SELECT count(*) FROM copied").fetchone(), (2_000,), "after the error")


def psycopg_pipeline(server, problems):
    """a pipeline keeps order, and an error ends it up to the next synchronisation"""
    connection = connect(server, autocommit=True)
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::INT", (index,)) for index in range(300)]
    problems.equal([cursor.fetchone()[0] for cursor in cursors], list(range(300)), "answers")
    try:
        with connection.pipeline() as pipeline:
            first = connection.execute("SELECT 1")
            connection.execute("SELECT 1 / 0")
            connection.execute("SELECT 2")
            pipeline.sync()
        problems.append("no error")
    except psycopg.errors.DivisionByZero:
        problems.equal(first.fetchone(), (1,), "before the error")
    problems.equal(connection.execute("SELECT 3").fetchone(), (3,), "after it")
    problems.equal(sum(1 for _ in connection.cursor().stream("SELECT * FROM generate_series(1, 50000)")), 50_000, "streamed rows")


def psycopg_errors(server, problems):
    """errors carry SQLSTATE and position, and notices arrive"""
    connection = connect(server, autocommit=True)
    try:
        connection.execute("SELECT\n  nope")
        problems.append("no error")
    except psycopg.errors.UndefinedColumn as error:
        problems.equal((error.diag.severity, error.diag.statement_position), ("ERROR", "10"), "severity and position")
    notices = []
    connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    connection.execute("DROP TABLE IF EXISTS never_there")
    problems.check(notices, "no notice")


def psycopg_subscriptions(server, problems):
    """a change reaches all of 40 subscribers at once, and a cancel ends the waiting with 57014"""
    connection = connect(server, autocommit=True)
    connection.execute("CREATE TABLE changes (k INT PRIMARY KEY)")
    connection.execute("CREATE MATERIALIZED VIEW changed AS SELECT k FROM changes")
    found, waiting = [], threading.Barrier(41)

    def subscribe():
        # Its own connection, and one thread of the client; the server has fewer threads than there are subscribers.
        own = connect(server, autocommit=True)
        try:
            with own.cursor().copy("SUBSCRIBE TO changed") as copy:
                waiting.wait(20)
                rows = copy.rows()
                first = next(rows)
                timer = threading.Timer(0.2, own.cancel)
                timer.start()
                next(rows)
            problems.append("the cancel was not heard")
        except psycopg.errors.QueryCanceled:
            found.append(first[1:])
        problems.equal(own.execute("SELECT 1").fetchone(), (1,), "after the cancel")

    threads = [threading.Thread(target=subscribe) for _ in range(40)]
    for thread in threads:
        thread.start()
    waiting.wait(20)
    time.sleep(0.2)
    connection.execute("INSERT INTO changes VALUES (7)")
    for thread in threads:
        thread.join(20)
    problems.equal(found, [("1", "7")] * 40, "weight and row")


def asyncpg_session(server, problems):
    """asyncpg prepares, sends binary values, uses cursors and copies records"""

    async def session():
        connection = await asyncpg.connect(host=server.host, port=int(server.port), user="ann", database="dev")
        await connection.execute("CREATE TABLE async_rows (k INT PRIMARY KEY, v TEXT)")
        await connection.executemany("INSERT INTO async_rows VALUES ($1, $2)", [(index, f"v{index}") for index in range(100)])
        async with connection.transaction():
            keys = [row["k"] async for row in connection.cursor("SELECT k FROM async_rows ORDER BY k", prefetch=7)]
        problems.equal(keys, list(range(100)), "cursor")
        texts = ", ".join(f"${index + 1}::{name}" for index, (_, name) in enumerate(VALUES))
        found = await connection.fetchrow(f"SELECT {texts}", *[value for value, _ in VALUES])
        problems.equal(list(found.values()), [value for value, _ in VALUES], "values")
        await connection.copy_records_to_table("async_rows", records=[(index, None) for index in range(100, 200)])
        problems.equal(await connection.fetchval("SELECT count(*) FROM async_rows"), 200, "copied")
        try:
            await connection.execute("SELECT 1 / 0")
            problems.append("no error")
        except asyncpg.DivisionByZeroError:
            pass
        await connection.close()

    asyncio.run(session())


def sqlalchemy_core(server, problems):
    """SQLAlchemy makes tables, fills them, and asks for rows"""
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://ann@{server.address}/dev")
    metadata = sqlalchemy.MetaData()
    table = sqlalchemy.Table(
        "made", metadata, sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True, autoincrement=False),
        sqlalchemy.Column("name", sqlalchemy.Text), sqlalchemy.Column("at", sqlalchemy.DateTime(timezone=True)))
    metadata.create_all(engine)
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    with engine.begin() as connection:
        connection.execute(table.insert(), [{"id": index, "name": f"n{index}", "at": at} for index in range(5)])
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.select(table.c.name).where(table.c.id > 2).order_by(table.c.id)).scalars().all()
        problems.equal(found, ["n3", "n4"], "rows")
    inspector = sqlalchemy.inspect(engine)
    problems.check("made" in inspector.get_table_names(), "the table is not listed")
    problems.equal([column["name"] for column in inspector.get_columns("made")], ["id", "name", "at"], "columns")
    metadata.drop_all(engine)
    problems.check("made" not in sqlalchemy.inspect(engine).get_table_names(), "the table is still listed")


CASES = [
    psycopg_values, psycopg_transactions, psycopg_copy, psycopg_pipeline, psycopg_errors, psycopg_subscriptions,
    asyncpg_session, sqlalchemy_core,
]
