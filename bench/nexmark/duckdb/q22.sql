COPY (
    WITH bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'}))
    SELECT auction, bidder, price, channel,
        split_part(url, '/', 4) AS folder1, split_part(url, '/', 5) AS folder2, split_part(url, '/', 6) AS folder3
    FROM bid
) TO '${out}' (FORMAT json);
