COPY (
    SELECT bidder, time_bucket(INTERVAL '10 seconds', date_time) AS window_start,
        window_start + INTERVAL '10 seconds' AS window_end,
        count(*) AS bids, CAST(sum(price) AS BIGINT) AS total, CAST(max(price) AS BIGINT) AS highest
    FROM read_json('${bids}', format = 'newline_delimited', columns = {
        auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
        extra: 'VARCHAR'})
    GROUP BY ALL
) TO '${out}' (FORMAT json);
