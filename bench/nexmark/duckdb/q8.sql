COPY (
    WITH person AS (
        SELECT * FROM read_json('${persons}', format = 'newline_delimited', columns = {
            id: 'BIGINT', name: 'VARCHAR', email_address: 'VARCHAR', credit_card: 'VARCHAR', city: 'VARCHAR', state: 'VARCHAR',
            date_time: 'TIMESTAMP', extra: 'VARCHAR'})),
    auction AS (
        SELECT * FROM read_json('${auctions}', format = 'newline_delimited', columns = {
            id: 'BIGINT', item_name: 'VARCHAR', description: 'VARCHAR', initial_bid: 'BIGINT', reserve: 'BIGINT',
            date_time: 'TIMESTAMP', expires: 'TIMESTAMP', seller: 'BIGINT', category: 'BIGINT', extra: 'VARCHAR'}))
    SELECT DISTINCT p.id, p.name, time_bucket(INTERVAL '10 seconds', p.date_time) AS window_start
    FROM person AS p JOIN auction AS a
        ON p.id = a.seller AND time_bucket(INTERVAL '10 seconds', p.date_time) = time_bucket(INTERVAL '10 seconds', a.date_time)
) TO '${out}' (FORMAT json);
