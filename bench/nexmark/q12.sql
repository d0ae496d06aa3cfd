-- q12: the bids of each bidder in each ten seconds of processing time. No peer: its answer is the clock's.
-- bids, out: set with -v. The watermark allows twice the disorder that the bench generates.
CREATE SOURCE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel TEXT, url TEXT, date_time TIMESTAMP, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'bids') FORMAT PLAIN ENCODE JSON;

CREATE VIEW stamped AS SELECT *, PROCTIME() AS p_time FROM bid;

CREATE SINK out AS
SELECT bidder, count(*) AS bids, window_start, window_end
FROM TUMBLE(stamped, p_time, INTERVAL '10 seconds')
GROUP BY bidder, window_start, window_end
WITH (connector = 'file', path = :'out') FORMAT PLAIN ENCODE JSON;
