-- Alerts on one sensor, found by comparing it with its own past. The same text works on any file with the columns
-- timestamp and value: no threshold is a temperature, all are distances in standard deviations.
--
--   martlet run examples/machine-temperature.sql -v path=readings.csv
--
-- Prints one line per hour in alert. Hours in alert with less than six hours between them share an episode.

CREATE SOURCE readings (
  "timestamp" TIMESTAMP,
  value DOUBLE PRECISION,
  -- Readings come every five minutes; one may be up to an hour behind a later one.
  WATERMARK FOR "timestamp" AS "timestamp" - INTERVAL '1 hour'
) WITH (
  connector = 'file',
  path = :'path',
  late_table = 'readings_late',
  on_error = 'dlq'
) FORMAT PLAIN ENCODE CSV;

CREATE MATERIALIZED VIEW hourly AS
SELECT window_start, window_end, count(*) AS readings, avg(value) AS value, min(value) AS lowest, max(value) AS highest
FROM TUMBLE(readings, "timestamp", INTERVAL '1 hour')
GROUP BY window_start, window_end
EMIT ON WINDOW CLOSE;

-- Number, sum and sum of squares of all hours so far; each hour is then taken out of its own past.
CREATE MATERIALIZED VIEW running AS
SELECT window_start, window_end, value, lowest, highest,
  count(*) OVER (ORDER BY window_start) AS hours,
  sum(value) OVER (ORDER BY window_start) AS total,
  sum(value * value) OVER (ORDER BY window_start) AS squares
FROM hourly
EMIT ON WINDOW CLOSE;

-- Three days of learning come before the first verdict.
CREATE VIEW past AS
SELECT window_start, window_end, value, lowest, highest, hours - 1 AS hours,
  (total - value) / (hours - 1) AS normal,
  (squares - value * value) / (hours - 1) AS mean_square
FROM running
WHERE hours > 72;

CREATE VIEW deviations AS
SELECT window_start, window_end, value, lowest, highest, hours, normal,
  value - normal AS deviation,
  sqrt(greatest(mean_square - normal * normal, 0)) AS spread
FROM past;

-- Hysteresis. An alert begins three standard deviations from normal and ends within half of one. An hour between the
-- two says nothing, and what was said last holds: hours only grow, so the greatest of 2 * hours + verdict is the latest.
CREATE MATERIALIZED VIEW states AS
SELECT window_start, window_end, value, lowest, highest, normal, deviation, spread,
  max(2 * hours + CASE
    WHEN abs(deviation) <= 0.5 * spread THEN 0
    WHEN abs(deviation) >= 3 * spread THEN 1
  END) OVER (ORDER BY window_start) % 2 AS in_alert
FROM deviations
EMIT ON WINDOW CLOSE;

CREATE MATERIALIZED VIEW alert_hours AS
SELECT window_start, window_end, value, lowest, highest, normal, deviation / spread AS deviations,
  lag(window_end) OVER (ORDER BY window_start) AS previous_end
FROM states
WHERE in_alert = 1
EMIT ON WINDOW CLOSE;

CREATE MATERIALIZED VIEW alerts AS
SELECT
  sum(CASE WHEN window_start - previous_end < INTERVAL '6 hours' THEN 0 ELSE 1 END) OVER (ORDER BY window_start) AS episode,
  window_start, window_end, value, lowest, highest, normal, deviations
FROM alert_hours
EMIT ON WINDOW CLOSE;

-- What an operator reads: when each episode began and ended so far.
CREATE MATERIALIZED VIEW episodes AS
SELECT episode, min(window_start) AS started, max(window_end) AS ended, count(*) AS hours,
  min(lowest) AS lowest, max(highest) AS highest
FROM alerts
GROUP BY episode;

CREATE SINK alert_lines FROM alerts
WITH (connector = 'stdout') FORMAT PLAIN ENCODE JSON;
