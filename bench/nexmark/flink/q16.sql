CREATE TABLE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP_LTZ(3), extra STRING,
    WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${bids}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

CREATE TABLE sink (
    channel STRING, `day` STRING, `minute` STRING, bids BIGINT, low BIGINT, middle BIGINT, high BIGINT, bidders BIGINT,
    low_bidders BIGINT, middle_bidders BIGINT, high_bidders BIGINT, auctions BIGINT, low_auctions BIGINT,
    middle_auctions BIGINT, high_auctions BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${out}', 'format' = 'debezium-json',
    'debezium-json.timestamp-format.standard' = 'ISO-8601');

INSERT INTO sink
SELECT channel, DATE_FORMAT(date_time, 'yyyy-MM-dd'), MAX(DATE_FORMAT(date_time, 'HH:mm')), COUNT(*),
    COUNT(*) FILTER (WHERE price < 10000),
    COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000), COUNT(*) FILTER (WHERE price >= 1000000),
    COUNT(DISTINCT bidder), COUNT(DISTINCT bidder) FILTER (WHERE price < 10000),
    COUNT(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000),
    COUNT(DISTINCT bidder) FILTER (WHERE price >= 1000000),
    COUNT(DISTINCT auction), COUNT(DISTINCT auction) FILTER (WHERE price < 10000),
    COUNT(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000),
    COUNT(DISTINCT auction) FILTER (WHERE price >= 1000000)
FROM bid
GROUP BY channel, DATE_FORMAT(date_time, 'yyyy-MM-dd');
