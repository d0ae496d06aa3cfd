-- q17: the prices of each auction and day.
-- bids, out: set with -v. The watermark allows twice the disorder that the bench generates.
CREATE SOURCE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel TEXT, url TEXT, date_time TIMESTAMP, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'bids') FORMAT PLAIN ENCODE JSON;

CREATE SINK out AS
SELECT auction, to_char(date_time, 'YYYY-MM-DD') AS day, count(*) AS bids,
    count(*) FILTER (WHERE price < 10000) AS low, count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle,
    count(*) FILTER (WHERE price >= 1000000) AS high,
    min(price) AS least, max(price) AS most, CAST(avg(price) AS DOUBLE PRECISION) AS average, CAST(sum(price) AS BIGINT) AS total
FROM bid
GROUP BY auction, to_char(date_time, 'YYYY-MM-DD')
WITH (connector = 'file', path = :'out') FORMAT PLAIN ENCODE JSON;
