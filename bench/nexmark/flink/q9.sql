CREATE TABLE auction (
    id BIGINT, item_name STRING, description STRING, initial_bid BIGINT, reserve BIGINT, date_time TIMESTAMP_LTZ(3),
    expires TIMESTAMP_LTZ(3), seller BIGINT, category BIGINT, extra STRING,
    WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${auctions}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

CREATE TABLE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP_LTZ(3), extra STRING,
    WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${bids}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

CREATE TABLE sink (
    id BIGINT, item_name STRING, seller BIGINT, category BIGINT, auction BIGINT, bidder BIGINT, price BIGINT,
    bid_at TIMESTAMP_LTZ(3)
) WITH ('connector' = 'filesystem', 'path' = '${out}', 'format' = 'debezium-json',
    'debezium-json.timestamp-format.standard' = 'ISO-8601');

INSERT INTO sink
SELECT id, item_name, seller, category, auction, bidder, price, bid_at
FROM (
    SELECT a.id, a.item_name, a.seller, a.category, b.auction, b.bidder, b.price, b.date_time AS bid_at,
        ROW_NUMBER() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.bidder) AS place
    FROM (SELECT id, item_name, seller, category, date_time, expires FROM auction) AS a
    JOIN (SELECT auction, bidder, price, date_time FROM bid) AS b ON a.id = b.auction
    WHERE b.date_time BETWEEN a.date_time AND a.expires
) AS bids
WHERE place = 1;
