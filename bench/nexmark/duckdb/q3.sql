COPY (
    WITH auction AS (
        SELECT * FROM read_json('${auctions}', format = 'newline_delimited', columns = {
            id: 'BIGINT', item_name: 'VARCHAR', description: 'VARCHAR', initial_bid: 'BIGINT', reserve: 'BIGINT',
            date_time: 'TIMESTAMP', expires: 'TIMESTAMP', seller: 'BIGINT', category: 'BIGINT', extra: 'VARCHAR'})),
    person AS (
        SELECT * FROM read_json('${persons}', format = 'newline_delimited', columns = {
            id: 'BIGINT', name: 'VARCHAR', email_address: 'VARCHAR', credit_card: 'VARCHAR', city: 'VARCHAR', state: 'VARCHAR',
            date_time: 'TIMESTAMP', extra: 'VARCHAR'}))
    SELECT p.name, p.city, p.state, a.id
    FROM auction AS a JOIN person AS p ON a.seller = p.id
    WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')
) TO '${out}' (FORMAT json);
