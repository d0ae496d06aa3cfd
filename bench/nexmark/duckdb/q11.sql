COPY (
    WITH bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'})),
    gaps AS (
        SELECT bidder, date_time,
            CASE WHEN date_time - lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time) <= INTERVAL '10 seconds' THEN 0 ELSE 1 END AS fresh
        FROM bid)
    SELECT bidder, count(*) AS bids, min(date_time) AS window_start, max(date_time) + INTERVAL '10 seconds' AS window_end
    FROM (SELECT *, sum(fresh) OVER (PARTITION BY bidder ORDER BY date_time ROWS UNBOUNDED PRECEDING) AS session FROM gaps)
    GROUP BY bidder, session
) TO '${out}' (FORMAT json);
