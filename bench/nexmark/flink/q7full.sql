CREATE TABLE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP_LTZ(3), extra STRING,
    WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${bids}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

CREATE TABLE sink (
    auction BIGINT, price BIGINT, bidder BIGINT, date_time TIMESTAMP_LTZ(3)
) WITH ('connector' = 'filesystem', 'path' = '${out}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

INSERT INTO sink
SELECT b.auction, b.price, b.bidder, b.date_time
FROM bid AS b JOIN (
    SELECT window_time, MAX(price) AS highest
    FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL '10' SECOND))
    GROUP BY window_start, window_end, window_time
) AS w
ON b.price = w.highest
    AND b.date_time BETWEEN w.window_time - INTERVAL '9.999' SECOND AND w.window_time + INTERVAL '0.001' SECOND;
