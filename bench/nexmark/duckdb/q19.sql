COPY (
    WITH bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'}))
    SELECT auction, bidder, price, channel, url, date_time, extra, place
    FROM (
        SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, date_time, bidder, extra) AS place
        FROM bid
    ) AS bids
    WHERE place <= 10
) TO '${out}' (FORMAT json);
