-- q4: the average price at which auctions of each category close.
-- auctions, bids, out: set with -v. The watermark allows twice the disorder that the bench generates.
CREATE SOURCE auction (
    id BIGINT, item_name TEXT, description TEXT, initial_bid BIGINT, reserve BIGINT, date_time TIMESTAMP, expires TIMESTAMP,
    seller BIGINT, category BIGINT, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'auctions') FORMAT PLAIN ENCODE JSON;

CREATE SOURCE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel TEXT, url TEXT, date_time TIMESTAMP, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'bids') FORMAT PLAIN ENCODE JSON;

CREATE SINK out AS
SELECT category, CAST(avg(final) AS DOUBLE PRECISION) AS average
FROM (
    SELECT max(b.price) AS final, a.category
    FROM auction AS a JOIN bid AS b ON a.id = b.auction
    WHERE b.date_time BETWEEN a.date_time AND a.expires
    GROUP BY a.id, a.category
) AS closed
GROUP BY category
WITH (connector = 'file', path = :'out') FORMAT PLAIN ENCODE JSON;
