CREATE SOURCE bid (auction BIGINT, price NUMERIC(10, 2), date_time TIMESTAMP,
    WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds')
WITH (connector = 'file', path = 'x', late_table = 'bid_late') FORMAT PLAIN ENCODE JSON;
