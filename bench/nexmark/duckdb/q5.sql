COPY (
    WITH bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'})),
    counts AS (
        SELECT auction, time_bucket(INTERVAL '2 seconds', date_time) - to_seconds(2 * step) AS window_start, count(*) AS bids
        FROM bid, (SELECT unnest([0, 1, 2, 3, 4]) AS step)
        GROUP BY ALL)
    SELECT auction, window_start, bids
    FROM (SELECT *, max(bids) OVER (PARTITION BY window_start) AS most FROM counts)
    WHERE bids = most
) TO '${out}' (FORMAT json);
