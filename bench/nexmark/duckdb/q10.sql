COPY (
    WITH bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'}))
    SELECT auction, bidder, price, date_time, extra, strftime(date_time, '%Y-%m-%d') AS day, strftime(date_time, '%H:%M') AS minute
    FROM bid
) TO '${out}' (FORMAT json);
