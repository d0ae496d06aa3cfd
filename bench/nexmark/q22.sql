-- q22: the folders in the addresses of bids.
-- bids, out: set with -v. The watermark allows twice the disorder that the bench generates.
CREATE SOURCE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel TEXT, url TEXT, date_time TIMESTAMP, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'bids') FORMAT PLAIN ENCODE JSON;

CREATE SINK out AS
SELECT auction, bidder, price, channel,
    split_part(url, '/', 4) AS folder1, split_part(url, '/', 5) AS folder2, split_part(url, '/', 6) AS folder3
FROM bid
WITH (connector = 'file', path = :'out') FORMAT PLAIN ENCODE JSON;
