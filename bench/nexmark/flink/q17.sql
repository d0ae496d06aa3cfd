CREATE TABLE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP_LTZ(3), extra STRING,
    WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${bids}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

CREATE TABLE sink (
    auction BIGINT, `day` STRING, bids BIGINT, low BIGINT, middle BIGINT, high BIGINT, least BIGINT, most BIGINT,
    average DOUBLE, total BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${out}', 'format' = 'debezium-json',
    'debezium-json.timestamp-format.standard' = 'ISO-8601');

INSERT INTO sink
SELECT auction, DATE_FORMAT(date_time, 'yyyy-MM-dd'), COUNT(*), COUNT(*) FILTER (WHERE price < 10000),
    COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000), COUNT(*) FILTER (WHERE price >= 1000000),
    MIN(price), MAX(price), AVG(CAST(price AS DOUBLE)), SUM(price)
FROM bid
GROUP BY auction, DATE_FORMAT(date_time, 'yyyy-MM-dd');
