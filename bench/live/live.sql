-- Bids into a count per bidder and 10 seconds, and an alert for each high price, over topics of the same log.
CREATE SOURCE bids (
  auction BIGINT, bidder BIGINT, price BIGINT, channel TEXT, url TEXT, date_time TIMESTAMP, extra TEXT,
  WATERMARK FOR date_time AS date_time - INTERVAL '1 second'
) WITH (connector = 'kafka', topic = 'bids', late_table = 'bids_late') FORMAT PLAIN ENCODE JSON;

CREATE MATERIALIZED VIEW activity AS
SELECT bidder, window_start, count(*) AS bids, max(price) AS highest
FROM TUMBLE(bids, date_time, INTERVAL '10 seconds')
GROUP BY bidder, window_start
EMIT ON WINDOW CLOSE;

CREATE SINK activity_out FROM activity WITH (connector = 'kafka', topic = 'activity') FORMAT PLAIN ENCODE JSON;

CREATE SINK alerts AS SELECT auction, bidder, price, extra FROM bids WHERE price > 1000000
WITH (connector = 'kafka', topic = 'alerts') FORMAT PLAIN ENCODE JSON;
