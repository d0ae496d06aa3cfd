-- q5: the auctions with the most bids of each ten seconds, every two seconds.
-- bids, out: set with -v. The watermark allows twice the disorder that the bench generates.
CREATE SOURCE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel TEXT, url TEXT, date_time TIMESTAMP, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'bids') FORMAT PLAIN ENCODE JSON;

CREATE SINK out AS
SELECT counts.auction, counts.window_start, counts.bids
FROM (
    SELECT auction, window_start, window_end, count(*) AS bids
    FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds')
    GROUP BY auction, window_start, window_end
) AS counts
JOIN (
    SELECT window_start, max(bids) AS most
    FROM (
        SELECT auction, window_start, window_end, count(*) AS bids
        FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds')
        GROUP BY auction, window_start, window_end
    ) AS each
    GROUP BY window_start
) AS best ON counts.window_start = best.window_start AND counts.bids = best.most
EMIT ON WINDOW CLOSE
WITH (connector = 'file', path = :'out') FORMAT PLAIN ENCODE JSON;
