COPY (
    WITH bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'}))
    SELECT auction, strftime(date_time, '%Y-%m-%d') AS day, count(*) AS bids,
        count(*) FILTER (WHERE price < 10000) AS low, count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle,
        count(*) FILTER (WHERE price >= 1000000) AS high,
        min(price) AS least, max(price) AS most, CAST(avg(price) AS DOUBLE PRECISION) AS average, CAST(sum(price) AS BIGINT) AS total
    FROM bid
    GROUP BY ALL
) TO '${out}' (FORMAT json);
