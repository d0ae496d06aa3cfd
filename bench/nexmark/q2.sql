-- q2: the bids on every 123rd auction.
-- bids, out: set with -v. The watermark allows twice the disorder that the bench generates.
CREATE SOURCE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel TEXT, url TEXT, date_time TIMESTAMP, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'bids') FORMAT PLAIN ENCODE JSON;

CREATE SINK out AS
SELECT auction, price FROM bid WHERE auction % 123 = 0
WITH (connector = 'file', path = :'out') FORMAT PLAIN ENCODE JSON;
