COPY (
    WITH bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'}))
    SELECT b.auction, b.price, b.bidder, b.date_time
    FROM bid b JOIN (
        SELECT time_bucket(INTERVAL '10 seconds', date_time) + INTERVAL '10 seconds' AS window_end, max(price) AS highest
        FROM bid
        GROUP BY ALL
    ) w ON b.price = w.highest AND b.date_time BETWEEN w.window_end - INTERVAL '10 seconds' AND w.window_end
) TO '${out}' (FORMAT json);
