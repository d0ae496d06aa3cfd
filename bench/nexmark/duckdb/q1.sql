COPY (
    WITH bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'}))
    SELECT auction, bidder, CAST(0.908 * price AS DOUBLE PRECISION) AS price, date_time, extra
    FROM bid
) TO '${out}' (FORMAT json);
