/// The pipelines that `martlet demo` runs: word for word those of `examples/`, held equal by a test, so that the binary needs
/// no files beside it.
enum DemoPipelines {
    static let fraud = #"""
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

        """#

    static let cart = #"""
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

        """#

    static let iot = #"""
        -- Machines with sensors: which ones overheat, with hysteresis, and which ones fell silent for a while.
        --
        --   martlet generate iot --events 300000 --seed 7 --out machines --disorder 2s --late 0.1% --bad 0.1%
        --   martlet run examples/iot.sql -v path='machines/*.ndjson'

        CREATE SOURCE readings (
          machine_id TEXT,
          temperature DOUBLE PRECISION,
          vibration DOUBLE PRECISION,
          pressure DOUBLE PRECISION,
          ts TIMESTAMPTZ,
          WATERMARK FOR ts AS ts - INTERVAL '5 seconds'
        ) WITH (
          connector = 'file',
          path = :'path',
          late_table = 'readings_late',
          on_error = 'dlq'
        ) FORMAT PLAIN ENCODE JSON;

        CREATE MATERIALIZED VIEW minutes AS
        SELECT machine_id, window_start, avg(temperature) AS temperature, max(vibration) AS vibration, count(*) AS readings
        FROM TUMBLE(readings, ts, INTERVAL '1 minute')
        GROUP BY machine_id, window_start
        EMIT ON WINDOW CLOSE;

        -- Too hot from 85 degrees, fine again from 75 down; what lies between changes nothing.
        CREATE VIEW verdicts AS
        SELECT machine_id, window_start, temperature,
          CASE WHEN temperature >= 85 THEN 1 WHEN temperature <= 75 THEN 0 END AS too_hot
        FROM minutes;

        CREATE MATERIALIZED VIEW changes AS
        SELECT machine_id, window_start, temperature, too_hot,
          lag(too_hot, 1, 0) OVER (PARTITION BY machine_id ORDER BY window_start) AS was_too_hot
        FROM verdicts
        WHERE too_hot IS NOT NULL
        EMIT ON WINDOW CLOSE;

        CREATE MATERIALIZED VIEW pauses AS
        SELECT machine_id, ts, lag(ts) OVER (PARTITION BY machine_id ORDER BY ts) AS previous_ts
        FROM readings
        EMIT ON WINDOW CLOSE;

        CREATE SINK alerts AS
        SELECT CASE WHEN too_hot = 1 THEN 'too hot' ELSE 'cooled down' END AS alert, machine_id, window_start AS ts,
          round(CAST(temperature AS NUMERIC), 1) || ' degrees over a minute' AS detail
        FROM changes
        WHERE too_hot <> was_too_hot
        UNION ALL
        SELECT 'was silent', machine_id, ts, 'for ' || (ts - previous_ts)
        FROM pauses
        WHERE ts - previous_ts > INTERVAL '2 minutes'
        WITH (connector = 'stdout') FORMAT PLAIN ENCODE JSON;

        """#
}
