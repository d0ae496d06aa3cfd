COPY (
    WITH auction AS (
        SELECT * FROM read_json('${auctions}', format = 'newline_delimited', columns = {
            id: 'BIGINT', item_name: 'VARCHAR', description: 'VARCHAR', initial_bid: 'BIGINT', reserve: 'BIGINT',
            date_time: 'TIMESTAMP', expires: 'TIMESTAMP', seller: 'BIGINT', category: 'BIGINT', extra: 'VARCHAR'})),
    bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'}))
    SELECT category, CAST(avg(final) AS DOUBLE PRECISION) AS average
    FROM (
        SELECT max(b.price) AS final, a.category
        FROM auction AS a JOIN bid AS b ON a.id = b.auction
        WHERE b.date_time BETWEEN a.date_time AND a.expires
        GROUP BY a.id, a.category
    ) AS closed
    GROUP BY category
) TO '${out}' (FORMAT json);
