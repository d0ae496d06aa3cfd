CREATE TABLE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP_LTZ(3), extra STRING,
    WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${bids}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

CREATE TABLE sink (
    auction BIGINT, price BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${out}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

INSERT INTO sink SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0;
