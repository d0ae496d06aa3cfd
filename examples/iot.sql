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
