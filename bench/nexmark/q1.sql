-- q1: prices in another currency.
-- bids, out: set with -v. The watermark allows twice the disorder that the bench generates.
CREATE SOURCE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel TEXT, url TEXT, date_time TIMESTAMP, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'bids') FORMAT PLAIN ENCODE JSON;

CREATE SINK out AS
SELECT auction, bidder, CAST(0.908 * price AS DOUBLE PRECISION) AS price, date_time, extra
FROM bid
WITH (connector = 'file', path = :'out') FORMAT PLAIN ENCODE JSON;
