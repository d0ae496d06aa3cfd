-- Beside the live pipeline: a count for each of many keys, most of which a made-up past fills and the live bids go on changing.
-- events, keys: set with -v.
CREATE SOURCE past (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP)
WITH (connector = 'generator', kind = 'nexmark', stream = 'bid', events = :'events') FORMAT PLAIN ENCODE JSON;

CREATE MATERIALIZED VIEW held AS
SELECT key, count(*) AS bids, sum(price) AS total, max(price) AS highest
FROM (
  SELECT (auction * 1000003 + bidder * 7919 + price) % :keys AS key, price FROM past
  UNION ALL
  SELECT (auction * 1000003 + bidder * 7919 + price) % :keys AS key, price FROM bids
) AS each
GROUP BY key;
