COPY (
    WITH bid AS (
        SELECT * FROM read_json('${bids}', format = 'newline_delimited', columns = {
            auction: 'BIGINT', bidder: 'BIGINT', price: 'BIGINT', channel: 'VARCHAR', url: 'VARCHAR', date_time: 'TIMESTAMP',
            extra: 'VARCHAR'})),
    auction AS (
        SELECT * FROM read_json('${auctions}', format = 'newline_delimited', columns = {
            id: 'BIGINT', item_name: 'VARCHAR', description: 'VARCHAR', initial_bid: 'BIGINT', reserve: 'BIGINT',
            date_time: 'TIMESTAMP', expires: 'TIMESTAMP', seller: 'BIGINT', category: 'BIGINT', extra: 'VARCHAR'}))
    SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.date_time, a.item_name, a.seller, a.category
    FROM bid AS b JOIN auction AS a ON b.auction = a.id
    WHERE a.category = 10
) TO '${out}' (FORMAT json);
