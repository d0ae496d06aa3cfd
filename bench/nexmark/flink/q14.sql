CREATE TABLE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP_LTZ(3), extra STRING,
    WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${bids}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

CREATE TABLE sink (
    auction BIGINT, bidder BIGINT, price DOUBLE, kind STRING, date_time TIMESTAMP_LTZ(3), extra STRING, letters BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${out}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

INSERT INTO sink
SELECT auction, bidder, CAST(0.908 * price AS DOUBLE),
    CASE
        WHEN HOUR(date_time) >= 8 AND HOUR(date_time) <= 18 THEN 'dayTime'
        WHEN HOUR(date_time) <= 6 OR HOUR(date_time) >= 20 THEN 'nightTime'
        ELSE 'otherTime'
    END,
    date_time, extra, CHAR_LENGTH(extra) - CHAR_LENGTH(REPLACE(extra, 'c', ''))
FROM bid
WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000;
