-- q3: who sells in three states, and what, of one category.
-- auctions, persons, out: set with -v. The watermark allows twice the disorder that the bench generates.
CREATE SOURCE auction (
    id BIGINT, item_name TEXT, description TEXT, initial_bid BIGINT, reserve BIGINT, date_time TIMESTAMP, expires TIMESTAMP,
    seller BIGINT, category BIGINT, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'auctions') FORMAT PLAIN ENCODE JSON;

CREATE SOURCE person (
    id BIGINT, name TEXT, email_address TEXT, credit_card TEXT, city TEXT, state TEXT, date_time TIMESTAMP, extra TEXT,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (connector = 'file', path = :'persons') FORMAT PLAIN ENCODE JSON;

CREATE SINK out AS
SELECT p.name, p.city, p.state, a.id
FROM auction AS a JOIN person AS p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')
WITH (connector = 'file', path = :'out') FORMAT PLAIN ENCODE JSON;
