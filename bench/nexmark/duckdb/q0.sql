COPY (
    SELECT auction, bidder, price, channel, date_time
    FROM read_json('${bids}', format = 'newline_delimited', columns = {
        auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
        extra: 'VARCHAR'})
) TO '${out}' (FORMAT json);
