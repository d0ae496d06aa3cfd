CREATE TABLE bid (
    auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP_LTZ(3), extra STRING,
    WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${bids}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

CREATE TABLE sink (
    auction BIGINT, window_start TIMESTAMP(3), bids BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${out}', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

INSERT INTO sink
SELECT counts.auction, counts.window_start, counts.bids
FROM (
    SELECT auction, window_start, window_end, COUNT(*) AS bids
    FROM TABLE(HOP(TABLE bid, DESCRIPTOR(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
    GROUP BY auction, window_start, window_end
) AS counts
JOIN (
    SELECT window_start, window_end, MAX(bids) AS most
    FROM (
        SELECT auction, window_start, window_end, COUNT(*) AS bids
        FROM TABLE(HOP(TABLE bid, DESCRIPTOR(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
        GROUP BY auction, window_start, window_end
    ) AS each_auction
    GROUP BY window_start, window_end
) AS best
ON counts.window_start = best.window_start AND counts.window_end = best.window_end AND counts.bids = best.most;
