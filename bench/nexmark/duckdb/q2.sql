COPY (
    SELECT auction, price
    FROM read_json('${bids}', format = 'newline_delimited', columns = {
        auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
        extra: 'VARCHAR'})
    WHERE auction % 123 = 0
) TO '${out}' (FORMAT json);
