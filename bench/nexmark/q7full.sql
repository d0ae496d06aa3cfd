-- q7full: the bids that are the highest of their ten seconds.
-- bids, out: set with -v. The watermark allows twice the disorder that the bench generates.
CREATE SOURCE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel TEXT, url TEXT, date_time TIMESTAMP, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'bids') FORMAT PLAIN ENCODE JSON;

CREATE SINK out AS
SELECT b.auction, b.price, b.bidder, b.date_time
FROM bid b JOIN (
    SELECT window_end, max(price) AS highest
    FROM TUMBLE(bid, date_time, INTERVAL '10 seconds')
    GROUP BY window_start, window_end
) w ON b.price = w.highest AND b.date_time BETWEEN w.window_end - INTERVAL '10 seconds' AND w.window_end
EMIT ON WINDOW CLOSE
WITH (connector = 'file', path = :'out') FORMAT PLAIN ENCODE JSON;
