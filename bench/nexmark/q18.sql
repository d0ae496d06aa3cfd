-- q18: the last bid of each bidder on each auction.
-- bids, out: set with -v. The watermark allows twice the disorder that the bench generates.
CREATE SOURCE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel TEXT, url TEXT, date_time TIMESTAMP, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'bids') FORMAT PLAIN ENCODE JSON;

CREATE SINK out AS
SELECT auction, bidder, price, channel, url, date_time, extra
FROM (
    SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC, price DESC, extra) AS place
    FROM bid
) AS bids
WHERE place = 1
WITH (connector = 'file', path = :'out') FORMAT PLAIN ENCODE JSON;
