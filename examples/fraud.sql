-- Card payments: alerts on a card that pays too often, on a large amount, and on a card in two countries at once.
--
--   martlet generate fraud --events 300000 --seed 7 --out payments --disorder 2s --late 0.1% --bad 0.1%
--   martlet run examples/fraud.sql -v path='payments/*.ndjson'

CREATE SOURCE payments (
  payment_id BIGINT,
  card TEXT,
  amount NUMERIC(12, 2),
  currency TEXT,
  merchant TEXT,
  country TEXT,
  ts TIMESTAMPTZ,
  -- A payment may come up to five seconds after a later one.
  WATERMARK FOR ts AS ts - INTERVAL '5 seconds'
) WITH (
  connector = 'file',
  path = :'path',
  -- Where payments go that miss the minute they belong to, and lines that cannot be read.
  late_table = 'payments_late',
  on_error = 'dlq'
) FORMAT PLAIN ENCODE JSON;

-- Somebody tries out a stolen card: more than five payments within a minute.
CREATE MATERIALIZED VIEW velocity AS
SELECT card, window_start, count(*) AS payments, sum(amount) AS spent, max(ts) AS last_payment
FROM TUMBLE(payments, ts, INTERVAL '1 minute')
GROUP BY card, window_start
HAVING count(*) > 5
EMIT ON WINDOW CLOSE;

-- One look at one payment is enough: nothing to wait for.
CREATE MATERIALIZED VIEW large_amounts AS
SELECT payment_id, card, amount, currency, merchant, ts
FROM payments
WHERE amount >= 5000;

-- Where each card was before. The order is that of event time, so a row leaves when no earlier one can come any more.
CREATE MATERIALIZED VIEW journeys AS
SELECT card, country, ts,
  lag(country) OVER (PARTITION BY card ORDER BY ts) AS previous_country,
  lag(ts) OVER (PARTITION BY card ORDER BY ts) AS previous_ts
FROM payments
EMIT ON WINDOW CLOSE;

-- Nobody pays in two countries within a minute.
CREATE VIEW impossible_journeys AS
SELECT card, previous_country, country, previous_ts, ts
FROM journeys
WHERE country <> previous_country AND ts - previous_ts < INTERVAL '1 minute';

CREATE SINK alerts AS
SELECT 'velocity' AS alert, card, last_payment AS ts,
  payments || ' payments, ' || spent || ' in all' AS detail
FROM velocity
UNION ALL
SELECT 'amount', card, ts, amount || ' ' || currency || ' at ' || merchant
FROM large_amounts
UNION ALL
SELECT 'journey', card, ts, previous_country || ' to ' || country
FROM impossible_journeys
WITH (connector = 'stdout') FORMAT PLAIN ENCODE JSON;
