COPY (
    WITH bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'}))
    SELECT b.auction, b.bidder, b.price, b.date_time, s.value
    FROM bid AS b JOIN (VALUES (0, 'none'), (1, 'one'), (2, 'two'), (3, 'three')) AS s (key, value) ON b.auction % 5 = s.key
) TO '${out}' (FORMAT json);
