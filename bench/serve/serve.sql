-- What ./dev bench serve asks while bids come in: a window and a filter over them, as in ./dev bench live, and rows by key.
CREATE SOURCE bids (
  auction BIGINT, bidder BIGINT, price BIGINT, channel TEXT, url TEXT, date_time TIMESTAMP, extra TEXT,
  WATERMARK FOR date_time AS date_time - INTERVAL '1 second'
) WITH (connector = 'kafka', topic = 'bids', late_table = 'bids_late') FORMAT PLAIN ENCODE JSON;

CREATE MATERIALIZED VIEW activity AS
SELECT bidder, window_start, count(*) AS bids, max(price) AS highest
FROM TUMBLE(bids, date_time, INTERVAL '10 seconds')
GROUP BY bidder, window_start
EMIT ON WINDOW CLOSE;

CREATE SINK alerts AS SELECT auction, bidder, price, extra FROM bids WHERE price > 1000000
WITH (connector = 'kafka', topic = 'alerts') FORMAT PLAIN ENCODE JSON;

CREATE SOURCE pings (id BIGINT, sent BIGINT) WITH (connector = 'kafka', topic = 'pings') FORMAT PLAIN ENCODE JSON;
CREATE MATERIALIZED VIEW seen AS SELECT id, max(sent) AS sent FROM pings GROUP BY id;

CREATE TABLE profiles (id BIGINT PRIMARY KEY, name TEXT, score BIGINT);
CREATE MATERIALIZED VIEW scores AS SELECT id, score FROM profiles;
