#!/bin/sh
# Makes data-directory-N.tar.gz, the data directory that FixtureTests opens: tables, views that keep state of every kind, a
# checkpoint, and records after it. A version that changes a format on disk adds one of the version before; none is made again.
#   Tests/Fixtures/make.sh MARTLET PYTHON N      (PYTHON with psycopg)
set -e
martlet=$1 python=$2 number=$3 here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
port=15987
serve() { "$martlet" serve --data-dir "$scratch/data" --no-kafka --no-http --postgres 127.0.0.1:$port --shards 2 >"$scratch/log" 2>&1 & server=$!; }
tell() {
    "$python" - "$port" "$1" <<'PYTHON'
import sys, time, psycopg
for attempt in range(200):
    try: connection = psycopg.connect(host="127.0.0.1", port=int(sys.argv[1]), user="a", dbname="dev", autocommit=True); break
    except psycopg.OperationalError: time.sleep(0.05)
for statement in sys.argv[2].split(";"):
    if statement.strip(): connection.execute(statement)
PYTHON
}
serve
tell "
CREATE TABLE cards (card TEXT PRIMARY KEY, holder TEXT);
CREATE TABLE payments (id BIGINT, card TEXT, amount NUMERIC, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '5 seconds') APPEND ONLY;
CREATE MATERIALIZED VIEW spent AS SELECT card, count(*) AS n, sum(amount) AS total, max('the amount was ' || amount) AS m FROM payments GROUP BY card;
CREATE MATERIALIZED VIEW named AS SELECT p.id, c.holder FROM payments p LEFT JOIN cards c ON p.card = c.card;
CREATE MATERIALIZED VIEW minutes AS SELECT window_start, count(*) AS n, sum(amount) AS total FROM TUMBLE(payments, ts, INTERVAL '1 minute') GROUP BY window_start EMIT ON WINDOW CLOSE;
CREATE MATERIALIZED VIEW largest AS SELECT card, id, amount FROM (SELECT card, id, amount, row_number() OVER (PARTITION BY card ORDER BY amount DESC, id) AS r FROM payments) x WHERE r <= 2;
INSERT INTO cards VALUES ('a', 'Ada'), ('b', 'a holder whose name is longer than a view');
INSERT INTO payments SELECT i, chr((97 + i % 3)::INT), i * 1.25, TIMESTAMP '2026-01-01' + i * INTERVAL '1 second' FROM generate_series(1, 200) AS i;
"
kill -TERM $server; wait $server
serve
tell "
INSERT INTO payments SELECT i, chr((97 + i % 4)::INT), i * 0.75, TIMESTAMP '2026-01-01' + i * INTERVAL '1 second' FROM generate_series(201, 300) AS i;
DELETE FROM cards WHERE card = 'a';
INSERT INTO cards VALUES ('c', 'Cy')
"
kill -KILL $server; wait $server || true
tar -C "$scratch" --owner=0 --group=0 --sort=name --mtime=@0 -cf - data | gzip -9n >"$here/data-directory-$number.tar.gz"
rm -rf "$scratch"
