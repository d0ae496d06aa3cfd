-- A shop: which carts were filled and left, and what is looked at most.
--
--   martlet generate cart --events 200000 --seed 7 --out shop --disorder 2s --bad 0.1%
--   martlet run examples/cart.sql -v path='shop/*.ndjson'

CREATE SOURCE activity (
  visitor TEXT,
  action TEXT,
  product TEXT,
  quantity INT,
  price NUMERIC(12, 2),
  ts TIMESTAMPTZ,
  WATERMARK FOR ts AS ts - INTERVAL '5 seconds'
) WITH (
  connector = 'file',
  path = :'path',
  late_table = 'activity_late',
  on_error = 'dlq'
) FORMAT PLAIN ENCODE JSON;

-- Ten minutes of every visitor, from every second minute on.
CREATE MATERIALIZED VIEW visits AS
SELECT visitor, window_start, window_end,
  min(ts) FILTER (WHERE action = 'add') AS first_added,
  sum(quantity) FILTER (WHERE action = 'add') AS pieces,
  sum(quantity * price) FILTER (WHERE action = 'add') AS value,
  count(*) FILTER (WHERE action = 'order') AS orders
FROM HOP(activity, ts, INTERVAL '2 minutes', INTERVAL '10 minutes')
GROUP BY visitor, window_start, window_end
HAVING count(*) FILTER (WHERE action = 'add') > 0
EMIT ON WINDOW CLOSE;

-- A cart is judged once: in the window whose first two minutes hold the first addition. It then has had at least eight
-- minutes in which nobody ordered.
CREATE VIEW abandoned_carts AS
SELECT visitor, first_added, pieces, value
FROM visits
WHERE orders = 0 AND first_added < window_start + INTERVAL '2 minutes';

CREATE MATERIALIZED VIEW popular AS
SELECT window_start, product, count(*) AS views
FROM TUMBLE(activity, ts, INTERVAL '10 minutes')
WHERE action = 'view'
GROUP BY window_start, product
HAVING count(*) >= 50
EMIT ON WINDOW CLOSE;

CREATE SINK alerts AS
SELECT 'abandoned cart' AS alert, visitor, first_added AS ts, pieces || ' pieces for ' || value AS detail
FROM abandoned_carts
WITH (connector = 'stdout') FORMAT PLAIN ENCODE JSON;
