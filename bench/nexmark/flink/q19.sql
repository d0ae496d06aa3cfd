CREATE TABLE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP_LTZ(3), extra STRING,
    WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${bids}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

CREATE TABLE sink (
    auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP_LTZ(3), extra STRING,
    place BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${out}', 'format' = 'debezium-json',
    'debezium-json.timestamp-format.standard' = 'ISO-8601');

INSERT INTO sink
SELECT auction, bidder, price, channel, url, date_time, extra, place
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC, date_time, bidder, extra) AS place
    FROM bid
) AS bids
WHERE place <= 10;
