COPY (
    WITH bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'}))
    SELECT auction, bidder, CAST(0.908 * price AS DOUBLE PRECISION) AS price,
        CASE
            WHEN extract(hour FROM date_time) >= 8 AND extract(hour FROM date_time) <= 18 THEN 'dayTime'
            WHEN extract(hour FROM date_time) <= 6 OR extract(hour FROM date_time) >= 20 THEN 'nightTime'
            ELSE 'otherTime'
        END AS kind,
        date_time, extra, length(extra) - length(replace(extra, 'c', '')) AS letters
    FROM bid
    WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000
) TO '${out}' (FORMAT json);
