COPY (
    WITH auction AS (
        SELECT * FROM read_json('${auctions}', format = 'newline_delimited', columns = {
            id: 'BIGINT', item_name: 'VARCHAR', description: 'VARCHAR', initial_bid: 'BIGINT', reserve: 'BIGINT',
            date_time: 'TIMESTAMP', expires: 'TIMESTAMP', seller: 'BIGINT', category: 'BIGINT', extra: 'VARCHAR'})),
    bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'}))
    SELECT seller, CAST(average AS DOUBLE PRECISION) AS average
    FROM (
        SELECT seller, avg(final) OVER (PARTITION BY seller ORDER BY closed, id ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS average
        FROM (
            SELECT a.id, a.seller, b.price AS final, b.date_time AS closed,
                row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.bidder) AS place
            FROM auction AS a JOIN bid AS b ON a.id = b.auction
            WHERE b.date_time BETWEEN a.date_time AND a.expires
        ) AS bids
        WHERE place = 1
    ) AS averages
) TO '${out}' (FORMAT json);
