-- q13: bids beside a small table.
-- bids, out: set with -v. The watermark allows twice the disorder that the bench generates.
CREATE SOURCE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel TEXT, url TEXT, date_time TIMESTAMP, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'bids') FORMAT PLAIN ENCODE JSON;

CREATE SINK out AS
SELECT b.auction, b.bidder, b.price, b.date_time, s.value
FROM bid AS b JOIN (VALUES (0, 'none'), (1, 'one'), (2, 'two'), (3, 'three')) AS s (key, value) ON b.auction % 5 = s.key
WITH (connector = 'file', path = :'out') FORMAT PLAIN ENCODE JSON;
