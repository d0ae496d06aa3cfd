SELECT 1 FROM p
SELECT 1.5 FROM p
SELECT 1e3 FROM p
SELECT 99999999999 FROM p
SELECT 99999999999999999999 FROM p
SELECT -2147483648 FROM p
SELECT -9223372036854775808 FROM p
SELECT 0x1F FROM p
SELECT n+1 FROM p
SELECT n+big FROM p
SELECT n/2 FROM p
SELECT n%3 FROM p
SELECT n*1.5 FROM p
SELECT n+d FROM p
SELECT amount*n FROM p
SELECT amount/3 FROM p
SELECT d/3 FROM p
SELECT sm+sm FROM p
SELECT sm+n FROM p
SELECT r+d FROM p
SELECT r*2 FROM p
SELECT r+1.5 FROM p
SELECT -n FROM p
SELECT +n FROM p
SELECT -d FROM p
SELECT n::bigint FROM p
SELECT n::text FROM p
SELECT '12'::int FROM p
SELECT cast('5' as numeric(5,2)) FROM p
SELECT amount::int FROM p
SELECT card||'x' FROM p
SELECT card||n FROM p
SELECT n||card FROM p
SELECT 'a'||'b' FROM p
SELECT n||n FROM p
SELECT upper(card) FROM p
SELECT lower('ABC') FROM p
SELECT length(card) FROM p
SELECT char_length(card) FROM p
SELECT substring(card from 2 for 3) FROM p
SELECT substring(card,2) FROM p
SELECT substr(card,2) FROM p
SELECT substring(card for 3) FROM p
SELECT position('a' in card) FROM p
SELECT strpos(card,'a') FROM p
SELECT trim(card) FROM p
SELECT trim(leading 'x' from card) FROM p
SELECT trim(both from card) FROM p
SELECT btrim(card,'x') FROM p
SELECT overlay(card placing 'zz' from 2 for 1) FROM p
SELECT replace(card,'a','b') FROM p
SELECT left(card,2) FROM p
SELECT right(card,2) FROM p
SELECT split_part(card,'-',1) FROM p
SELECT concat(card,n,'x') FROM p
SELECT concat_ws(',',card,n) FROM p
SELECT md5(card) FROM p
SELECT lpad(card,5) FROM p
SELECT lpad(card,5,'0') FROM p
SELECT abs(n) FROM p
SELECT abs(amount) FROM p
SELECT abs(-5) FROM p
SELECT ceil(d) FROM p
SELECT ceil(amount) FROM p
SELECT floor(n) FROM p
SELECT round(amount,1) FROM p
SELECT round(d) FROM p
SELECT round(n) FROM p
SELECT power(n,2) FROM p
SELECT n^2 FROM p
SELECT 2^3 FROM p
SELECT amount^2 FROM p
SELECT sqrt(n) FROM p
SELECT sqrt(amount) FROM p
SELECT mod(n,2) FROM p
SELECT greatest(n,1.5) FROM p
SELECT greatest(n,big,3) FROM p
SELECT least('a',card) FROM p
SELECT coalesce(n,0) FROM p
SELECT coalesce(n,1.5) FROM p
SELECT coalesce(null,card) FROM p
SELECT coalesce(card,'x') FROM p
SELECT nullif(n,0) FROM p
SELECT nullif(card,'x') FROM p
SELECT n=1 FROM p
SELECT n=1.5 FROM p
SELECT n='1' FROM p
SELECT card='x' FROM p
SELECT card=1 FROM p
SELECT n='abc' FROM p
SELECT card<'b' FROM p
SELECT n<>big FROM p
SELECT n between 1 and 5 FROM p
SELECT n not between 1 and 5 FROM p
SELECT card between 'a' and 'b' FROM p
SELECT n in (1,2,3) FROM p
SELECT n in (1,2.5) FROM p
SELECT n in ('1','2') FROM p
SELECT card in ('a','b') FROM p
SELECT card in (1,2) FROM p
SELECT n not in (1,null) FROM p
SELECT card like 'a%' FROM p
SELECT card ilike 'A%' FROM p
SELECT card not like 'a%' FROM p
SELECT card like 'a!%' escape '!' FROM p
SELECT n like 'a' FROM p
SELECT card is null FROM p
SELECT card is not null FROM p
SELECT n isnull FROM p
SELECT ok is true FROM p
SELECT ok is not true FROM p
SELECT ok is unknown FROM p
SELECT n is true FROM p
SELECT n is distinct from 1 FROM p
SELECT card is not distinct from null FROM p
SELECT not ok FROM p
SELECT not n FROM p
SELECT ok and n FROM p
SELECT ok and true FROM p
SELECT ok or null FROM p
SELECT case when ok then 1 else 2 end FROM p
SELECT case when ok then 1 else 2.5 end FROM p
SELECT case when ok then n end FROM p
SELECT case n when 1 then 'a' when 2 then 'b' else card end FROM p
SELECT case n when 'x' then 1 end FROM p
SELECT case when n then 1 end FROM p
SELECT case when ok then 1 else 'a' end FROM p
SELECT case when ok then card else n end FROM p
SELECT case when ok then ts else day end FROM p
SELECT extract(epoch from ts) FROM p
SELECT extract(year from day) FROM p
SELECT extract('hour' from tsn) FROM p
SELECT extract(foo from ts) FROM p
SELECT date_part('year',ts) FROM p
SELECT date_trunc('hour',ts) FROM p
SELECT date_trunc('hour',tsn) FROM p
SELECT date_trunc('day',day) FROM p
SELECT ts at time zone 'UTC' FROM p
SELECT tsn at time zone 'UTC' FROM p
SELECT ts+interval '1 day' FROM p
SELECT ts-ts FROM p
SELECT ts-interval '1 hour' FROM p
SELECT tsn-tsn FROM p
SELECT day+1 FROM p
SELECT day-day FROM p
SELECT day+interval '1 day' FROM p
SELECT day-1 FROM p
SELECT ts-day FROM p
SELECT interval '1 day'*2 FROM p
SELECT interval '1 day'/2 FROM p
SELECT 2*interval '1 hour' FROM p
SELECT interval '5' minute FROM p
SELECT interval '1-2' year to month FROM p
SELECT interval '1 day' + ts FROM p
SELECT date '2026-01-01' FROM p
SELECT timestamp '2026-01-01 00:00' FROM p
SELECT timestamptz '2026-01-01 00:00+02' FROM p
SELECT time '12:00' FROM p
SELECT date '2026-13-01' FROM p
SELECT '2026-01-01'::date FROM p
SELECT day='2026-01-01' FROM p
SELECT ts>'2026-01-01' FROM p
SELECT ts>day FROM p
SELECT ts>tsn FROM p
SELECT day>tsn FROM p
SELECT doc->'a' FROM p
SELECT doc->>'a' FROM p
SELECT doc->0 FROM p
SELECT doc->>0 FROM p
SELECT doc#>'{a,b}' FROM p
SELECT doc#>>'{a,b}' FROM p
SELECT doc->'a'->>'b' FROM p
SELECT doc @> '{"a":1}' FROM p
SELECT doc ? 'a' FROM p
SELECT doc - 'a' FROM p
SELECT doc='{}' FROM p
SELECT doc='{bad' FROM p
SELECT (doc->>'a')::int FROM p
SELECT jsonb '{"a":1}' FROM p
SELECT to_jsonb(n) FROM p
SELECT jsonb_typeof(doc) FROM p
SELECT jsonb_build_object('a',n) FROM p
SELECT 'a' FROM p
SELECT null FROM p
SELECT true FROM p
SELECT foo(n) FROM p
SELECT uper(card) FROM p
SELECT n+card FROM p
SELECT n+'1' FROM p
SELECT n+'x' FROM p
SELECT card+1 FROM p
SELECT card*card FROM p
SELECT ok+1 FROM p
SELECT 1/0 FROM p
SELECT amount/0 FROM p
SELECT 'abc'::int FROM p
SELECT '99999999999'::int FROM p
SELECT 99999999999::int FROM p
SELECT 2147483647+1 FROM p
SELECT n+2147483648 FROM p
SELECT nope FROM p
SELECT p.n FROM p
SELECT q.n FROM p
SELECT p.nope FROM p
SELECT count(*) FROM p
SELECT count(n) FROM p
SELECT sum(n) FROM p
SELECT sum(big) FROM p
SELECT sum(sm) FROM p
SELECT sum(amount) FROM p
SELECT sum(d) FROM p
SELECT sum(r) FROM p
SELECT sum(card) FROM p
SELECT avg(n) FROM p
SELECT avg(d) FROM p
SELECT avg(r) FROM p
SELECT avg(amount) FROM p
SELECT avg(ok) FROM p
SELECT min(n) FROM p
SELECT min(card) FROM p
SELECT min(ok) FROM p
SELECT max(ts) FROM p
SELECT max(day) FROM p
SELECT max(doc) FROM p
SELECT min(amount) FROM p
SELECT sum(n)+1 FROM p
SELECT sum(n)/count(*) FROM p
SELECT sum(n) filter (where ok) FROM p
SELECT sum(n) filter (where n) FROM p
SELECT count(*) filter (where ok) FROM p
SELECT sum(sum(n)) FROM p
SELECT sum(1) FROM p
SELECT sum('1') FROM p
SELECT count() FROM p
SELECT count('x') FROM p
SELECT min('x') FROM p
SELECT n+count(*) FROM p
SELECT abs(sum(n)) FROM p
SELECT row_number() over (order by n) FROM p
SELECT sum(n) over (order by ts rows unbounded preceding) FROM p
SELECT count(*) over (order by ts) FROM p
SELECT lag(n) over (order by ts) FROM p
SELECT lag(n,1,0) over (order by ts) FROM p
SELECT lag(n,1,0.5) over (order by ts) FROM p
SELECT lag(card,2,'x') over (partition by n order by ts) FROM p
SELECT lag(n,1,'x') over (order by ts) FROM p
SELECT row_number() FROM p
SELECT lag(n) FROM p
SELECT lag(sum(n)) over (order by count(*)) FROM p
SELECT sum(lag(n) over (order by ts)) FROM p
SELECT upper(card) over () FROM p
SELECT sum(n) over w FROM p
SELECT E'a\tb' FROM p
SELECT $$abc$$ FROM p
SELECT U&'\0041' FROM p
SELECT 'a' 'b' FROM p
SELECT 1 <> 2 = true FROM p
SELECT 1 < 2 < 3 FROM p
SELECT n is null is null FROM p
SELECT - - n FROM p
SELECT ~n FROM p
SELECT n & 3 FROM p
SELECT n # 1 FROM p
SELECT n << 2 FROM p
SELECT n !! 2 FROM p
SELECT n @@ 2 FROM p
SELECT "n" FROM p
SELECT "N" FROM p
SELECT N FROM p
SELECT (n) FROM p
SELECT ((n)) FROM p
SELECT (n,card) FROM p
SELECT n::foo FROM p
SELECT n::varchar FROM p
SELECT n::varchar(3) FROM p
SELECT n::numeric(3) FROM p
SELECT n::numeric(50,2) FROM p
SELECT n::interval FROM p
SELECT ok::int FROM p
SELECT n::boolean FROM p
SELECT card::boolean FROM p
SELECT d::int FROM p
SELECT 'NaN'::float8 FROM p
SELECT 'inf'::float8 FROM p
SELECT b FROM p
SELECT b||b FROM p
SELECT length(b) FROM p
SELECT encode(b,'hex') FROM p
SELECT b='\x41' FROM p
SELECT '\xzz'::bytea FROM p
SELECT u FROM p
SELECT u='00000000-0000-0000-0000-000000000000' FROM p
SELECT u='x' FROM p
SELECT tm FROM p
SELECT tm+interval '1 hour' FROM p
SELECT tm-tm FROM p
SELECT iv FROM p
SELECT iv>'1 hour' FROM p
SELECT extract(epoch from iv) FROM p
SELECT text 'x' FROM p
SELECT int '5' FROM p
SELECT float8 '1.5' FROM p
SELECT numeric(5,2) '1.555' FROM p
SELECT double precision '1.5' FROM p
SELECT timestamp with time zone '2026-01-01' FROM p
SELECT text(n) FROM p
SELECT int4(d) FROM p
SELECT date(ts) FROM p
SELECT to_char(ts,'YYYY') FROM p
SELECT to_timestamp(0) FROM p
SELECT make_date(2026,1,1) FROM p
SELECT age(ts,ts) FROM p
SELECT initcap(card) FROM p
SELECT repeat(card,2) FROM p
SELECT reverse(card) FROM p
SELECT ascii(card) FROM p
SELECT chr(65) FROM p
SELECT starts_with(card,'a') FROM p
SELECT sign(n) FROM p
SELECT trunc(amount,1) FROM p
SELECT log(amount) FROM p
SELECT ln(d) FROM p
SELECT exp(1) FROM p
SELECT pi() FROM p
SELECT div(n,2) FROM p
SELECT gcd(n,4) FROM p
SELECT card, count(*) FROM p GROUP BY card
SELECT card, n FROM p GROUP BY card
SELECT card, sum(n) AS s FROM p GROUP BY 1
SELECT card, sum(n) AS s FROM p GROUP BY 3
SELECT card, sum(n) AS s FROM p GROUP BY 2
SELECT card, sum(n) AS s FROM p GROUP BY s
SELECT upper(card) AS u, count(*) FROM p GROUP BY u
SELECT upper(card), count(*) FROM p GROUP BY upper(card)
SELECT upper(card)||'x', count(*) FROM p GROUP BY upper(card)
SELECT lower(card), count(*) FROM p GROUP BY upper(card)
SELECT upper(card) AS n FROM p GROUP BY n
SELECT count(*) FROM p HAVING n > 1
SELECT count(*) FROM p HAVING count(*) > 1
SELECT n FROM p HAVING true
SELECT count(*) FROM p WHERE count(*) > 1
SELECT n FROM p WHERE n
SELECT n FROM p WHERE row_number() over (order by n) = 1
SELECT n, count(*) FROM p GROUP BY 'x'
SELECT n FROM p GROUP BY count(*)
SELECT * FROM nope
SELECT * FROM p AS q WHERE p.n = 1
SELECT q.* FROM p
SELECT * FROM p q, nope
SELECT *
SELECT * FROM (SELECT 1 AS a, 'x' AS b) s
SELECT * FROM (SELECT 1 AS a, 'x') s
SELECT a FROM (SELECT 1 AS a) s(b)
SELECT b FROM (SELECT 1 AS a) s(b)
SELECT b FROM (SELECT 1 AS a) s(b,c)
SELECT a FROM (SELECT 1 AS a, 2 AS a) s
SELECT DISTINCT n, card FROM p
SELECT 1 UNION ALL SELECT 2
SELECT 1 UNION ALL SELECT 2.5
SELECT 1 AS x UNION ALL SELECT null
SELECT null UNION ALL SELECT 1
SELECT null UNION ALL SELECT null
SELECT 'a' UNION ALL SELECT 1
SELECT card FROM p UNION ALL SELECT n FROM p
SELECT 1,2 UNION ALL SELECT 1
SELECT n FROM p UNION SELECT sm FROM p
VALUES (1,'a'),(2.5,null)
VALUES (1),('x')
VALUES (1,2),(1)
WITH a AS (SELECT 1 AS x) SELECT x FROM a
WITH a AS (SELECT 1 AS x), a AS (SELECT 2) SELECT 1
WITH a(y) AS (SELECT 1 AS x) SELECT y FROM a
WITH a(y,z) AS (SELECT 1 AS x) SELECT y FROM a
WITH a AS (SELECT 1 AS x), b AS (SELECT x+1 AS y FROM a) SELECT * FROM b
SELECT n AS a, a+1 FROM p
SELECT CASE WHEN n > 0 THEN 1/0 ELSE 1 END FROM p
SELECT 1 WHERE false
SELECT count(*) WHERE false
SELECT sum(n) OVER (PARTITION BY card ORDER BY ts) FROM p
SELECT card, sum(count(*)) OVER (ORDER BY card) FROM p GROUP BY card
SELECT card, sum(n) OVER (ORDER BY card) FROM p GROUP BY card
SELECT sum(n) OVER w FROM p WINDOW w AS (ORDER BY ts)
SELECT sum(n) OVER x FROM p WINDOW w AS (ORDER BY ts)
SELECT n FROM p GROUP BY n HAVING sum(n) > 'x'
SELECT FROM
SELECT n, FROM p
SELECT n FROM p WHERE
SELECT n FROM p GROUP n
SELEC 1
SELECT 1 1
SELECT n FROM p WHERE n = = 1
SELECT (1
SELECT 1)
SELECT 1 FROM p WHERE n IN ()
SELECT 1a
SELECT a.b.c.d.e
SELECT CAST(1 AS)
SELECT CASE END
SELECT count(DISTINCT) FROM p
SELECT n AS select FROM p
SELECT n select FROM p
SELECT n "select" FROM p
SELECT n day FROM p
SELECT n AS day FROM p
SELECT * FROM p p1 WHERE p1.n = 1
SELECT public.p.n FROM public.p
SELECT * FROM nosuch.p
SELECT n FROM p LIMIT
SELECT EXTRACT(year FROM) FROM p
SELECT pg_catalog.upper(card) FROM p
SELECT x.upper(card) FROM p
SELECT n::int::text::int FROM p
SELECT -n::text FROM p
SELECT -'5' FROM p
SELECT +n, - n FROM p
SELECT not true = false
SELECT 1 = 1 is true
SELECT 2 ^ 3 ^ 2
SELECT -2 ^ 2
SELECT 1 - -1
SELECT 5 % 3 * 2
SELECT 'a' || 1 + 2
SELECT 1 + 2 || 'a'
SELECT true and false or true
SELECT 1 between 0 and 2 and true
SELECT 1 between 0 and 2 between 1 and 2
SELECT 'a' like 'b' like 'c'
SELECT 1 in (1) in (true)
SELECT n > 1 is not null FROM p
SELECT min(n), max(n) FROM p GROUP BY ()
SELECT coalesce() FROM p
SELECT nullif(1) FROM p
SELECT greatest() FROM p
SELECT upper() FROM p
SELECT upper(card, card) FROM p
SELECT upper(n) FROM p
SELECT upper(*) FROM p
SELECT upper(DISTINCT card) FROM p
SELECT upper(card) FILTER (WHERE ok) FROM p
SELECT sum(n, n) FROM p
SELECT sum(*) FROM p
SELECT sum(p) FROM p
SELECT p FROM p
SELECT (p).n FROM p
SELECT p.* FROM p GROUP BY card
SELECT card FROM p GROUP BY p.card
SELECT p.card FROM p GROUP BY card
SELECT 1+2*3
SELECT 7/2
SELECT -7/2
SELECT -7%3
SELECT 7.0/2
SELECT 1e0/3
SELECT 0.1+0.2
SELECT 2^10
SELECT 2^0.5
SELECT 1/3.0
SELECT round(2.5)
SELECT round(-2.5)
SELECT round(2.5::float8)
SELECT 'abc'||'def'
SELECT 'a'||1.50
SELECT upper('abc')
SELECT length('äö')
SELECT substring('hello' from 2 for 3)
SELECT position('l' in 'hello')
SELECT trim('  x ')
SELECT trim(both 'xy' from 'xyaxy')
SELECT '5'::int+1
SELECT '1.10'::numeric
SELECT 1.10::text
SELECT 12345678901234567890123456789012345678
SELECT 1::numeric(5,2)
SELECT true and null
SELECT false and null
SELECT true or null
SELECT not null
SELECT null is null
SELECT 1 is null
SELECT 1=null
SELECT 1 is distinct from null
SELECT null is not distinct from null
SELECT 1 in (1,null)
SELECT 2 in (1,null)
SELECT 2 not in (1,null)
SELECT 2 between 1 and 3
SELECT 2 between 3 and 1
SELECT 2 between symmetric 3 and 1
SELECT 2 not between symmetric 3 and 1
SELECT case when null then 1 else 2 end
SELECT case 2 when 1 then 'a' when 2 then 'b' end
SELECT case when false then 1/0 else 2 end
SELECT coalesce(null,null,3)
SELECT coalesce(1,1/0)
SELECT nullif(1,1)
SELECT greatest(1,null,3)
SELECT least('b','a')
SELECT 'abc' like 'a%'
SELECT 'abc' like 'a_c'
SELECT 'a%c' like 'a\%c'
SELECT 'a%c' like 'a!%c' escape '!'
SELECT 'ABC' ilike 'a%'
SELECT extract(epoch from timestamptz '2026-01-01 00:00:00+00')
SELECT extract(year from date '2026-03-04')
SELECT date_trunc('hour', timestamp '2026-01-01 12:34:56')
SELECT date '2026-01-31' + interval '1 month'
SELECT timestamp '2026-01-01' - timestamp '2025-12-31 12:00'
SELECT interval '1 day' * 1.5
SELECT interval '90 minutes'
SELECT interval '5' minute
SELECT date '2026-03-01' - date '2026-02-01'
SELECT timestamptz '2026-01-01 00:00+00' at time zone 'UTC'
SELECT '{"b":1,"a":[1,2]}'::jsonb
SELECT '{"b":1,"a":[1,2]}'::jsonb->'a'->0
SELECT '{"a":{"b":"x"}}'::jsonb->'a'->>'b'
SELECT E'a\tb'
SELECT U&'\00e4'
SELECT $$it's$$
SELECT $a$it's $$ here$a$
SELECT 'a''b'
SELECT 't'::boolean
SELECT 'yes'::boolean
SELECT 1::boolean
SELECT true::int
SELECT '2026-01-01T00:00:00Z'::timestamptz
SELECT 1.5::int
SELECT 2.5::int
SELECT -1.5::int
SELECT '1e3'::float8
SELECT 1e3::int
SELECT 'NaN'::float8 = 'NaN'::float8
SELECT 1::smallint + 1::smallint
SELECT 32767::smallint + 1::smallint
SELECT 2147483647 + 1
SELECT 9223372036854775807 + 1
SELECT 1/0
SELECT 1%0
SELECT 1.0/0
SELECT 1e0/0
SELECT 'x'::int
SELECT '9999999999'::int
SELECT sqrt(-1)
SELECT ln(0)
SELECT '2026-02-30'::date
SELECT interval 'x'
SELECT chr(0)
SELECT repeat('ab',3)
SELECT lpad('x',3,'ab')
SELECT left('hello',-2)
SELECT split_part('a,b,c',',',2)
SELECT md5('a')
SELECT to_hex(255)
SELECT concat('a',null,1)
SELECT concat_ws('-','a',null,'b')
SELECT initcap('hello world')
SELECT replace('aaa','a','b')
SELECT abs(-5)
SELECT sign(-2.5)
SELECT mod(-7,3)
SELECT gcd(12,18)
SELECT power(2,3)
SELECT div(7,2)
SELECT trunc(2.567,1)
SELECT ceil(1.2)
SELECT floor(-1.2)
SELECT 100 - -1
SELECT - 2 ^ 2
SELECT 1 < 2 = true
SELECT 'a' < 'b'
SELECT 'a' = 'A'
SELECT 5 & 3
SELECT 5 # 3
SELECT 1 << 4
SELECT ~5
SELECT (1, 2) is null
SELECT 1 is true
SELECT 'abc' is null
SELECT 'a' 'b'
SELECT 1 in ('1', '2')
SELECT 1 in ('x')
SELECT '1' in (1, 2)
SELECT 1.5 in (1, 2)
SELECT null in (1)
SELECT null
SELECT 'x'
SELECT 'x' || null
SELECT -'5'
SELECT +'5'
SELECT - - 5
SELECT 5 ! = 6
SELECT ARRAY[1, 2, NULL], ARRAY['a', 'b']
SELECT ARRAY[[1, 2], [3, 4]], ARRAY[ARRAY[1], ARRAY[2]]
SELECT ARRAY[1, 2.5], ARRAY[1, 'x']
SELECT ARRAY[]
SELECT ARRAY[]::integer[], ARRAY[]::text[] || 'a'
SELECT (ARRAY[1, 2, 3])[2], (ARRAY[1, 2, 3])[2:], (ARRAY[1, 2, 3])[:2], (ARRAY[1, 2, 3])[2:9], (ARRAY[1, 2, 3])[9]
SELECT ('{{1,2},{3,4}}'::int[])[2][1], ('{{1,2},{3,4}}'::int[])[1:1][2:2], ('{{1,2},{3,4}}'::int[])[1:2][1], ('{{1,2},{3,4}}'::int[])[1]
SELECT (ARRAY[1, 2])['x']
SELECT n[1] FROM p
SELECT 2 = ANY (ARRAY[1, 2, 3]), 4 = ANY (ARRAY[1, 2, NULL]), 2 <> ALL (ARRAY[1, 3]), 2 < ALL ('{3,4}'), NULL = ANY ('{}'::int[])
SELECT 'abc' LIKE ANY (ARRAY['x%', 'a%']), 'abc' NOT LIKE ALL (ARRAY['x%', 'a%']), 'abc' ~ ANY (ARRAY['^b', 'c$'])
SELECT n = ANY (ARRAY[1, 2]) FROM p
SELECT 1 = ANY (5)
SELECT 1 + ANY (ARRAY[1])
SELECT ARRAY[1, 2] || 3, 0 || ARRAY[1, 2], ARRAY[1] || ARRAY[2, 3], ARRAY[1, 2] || '{3}', '{a}'::text[] || 'b'::text
SELECT ARRAY[1, 2] @> ARRAY[2], ARRAY[1, 2] && ARRAY[3], ARRAY[1, 2] = ARRAY[1, 2], ARRAY[1, 2] < ARRAY[1, 3]
SELECT ARRAY[1, 2] = ARRAY['a']
SELECT '{1,2}'::int[] @> '{1}', array_length('{1,2}'::int[], 1), cardinality(ARRAY[[1], [2]])
SELECT array_append(ARRAY[1], 2), array_prepend(0, ARRAY[1]), array_cat(ARRAY[1], ARRAY[2]), array_position(ARRAY['a', 'b'], 'b')
SELECT array_to_string(ARRAY[1, NULL, 3], ',', '*'), string_to_array('a,b', ','), array_remove(ARRAY[1, 2, 1], 1)
SELECT ARRAY[1, 2]::text, '{1,2}'::text::int[], ARRAY['1', '2']::int[], ARRAY[1.5, 2.5]::int[]
SELECT ROW(1, 'a', NULL), (1, 2), ROW(), ROW('a b', 'c"d')
SELECT (p).n, (p.doc).a FROM p
SELECT ('{"a": [1, {"b": 2}]}'::jsonb)['a'][1]['b'], ('{"a": 1}'::jsonb)['x'], ('[1,2]'::jsonb)[0]
SELECT doc['a'] FROM p
SELECT 'abc' ~ 'b+', 'abc' !~* 'B', 'abc' SIMILAR TO 'a%', 'abc' NOT SIMILAR TO '(a|b)%', 'a%c' SIMILAR TO 'a#%c' ESCAPE '#'
SELECT substring('foobar' from 'o(.)b'), regexp_replace('foobar', 'o+', 'x'), regexp_match('foobar', '(o)(b)'), regexp_split_to_array('a1b2', '\d')
SELECT card ~ '(' FROM p
SELECT '(' ~ '('
SELECT doc @? '$.a', doc #- '{a}', doc ?| ARRAY['a'], jsonb_set(doc, '{a}', '1') FROM p
SELECT jsonb_path_query_first('{"a": [1, 2]}', '$.a[*] ? (@ > 1)'), jsonb_path_exists('{"a": 1}', '$.b')
SELECT format('%s %I %L', 'a', 'B c', 'd''e'), num_nulls(1, NULL, 'x'), quote_nullable(NULL), to_number('1,234.5', '9,999.9')
SELECT string_agg(card, ','), array_agg(n), bool_and(ok), every(ok), stddev(n), var_pop(d), corr(d, r) FROM p
SELECT array_agg(n ORDER BY d DESC, card), string_agg(DISTINCT card, ',' ORDER BY card), count(DISTINCT n) FROM p
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n), percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY card), mode() WITHIN GROUP (ORDER BY ok) FROM p
SELECT jsonb_agg(n), jsonb_object_agg(card, n), jsonb_agg(ts ORDER BY ts), array_agg(ARRAY[n, n]) FROM p
SELECT string_agg(n, ',') FROM p
SELECT string_agg(card) FROM p
SELECT bool_and(n) FROM p
SELECT percentile_cont(0.5) FROM p
SELECT sum(n) WITHIN GROUP (ORDER BY n) FROM p
SELECT mode(n) FROM p
SELECT string_agg(DISTINCT card, ',' ORDER BY n) FROM p
SELECT bit_and(sm), bit_or(n), bit_xor(big), regr_count(d, d), regr_slope(n, big) FROM p
SELECT stddev(card) FROM p
SELECT sum(DISTINCT n), avg(DISTINCT amount), min(DISTINCT card) FROM p GROUP BY ok HAVING count(DISTINCT card) > 1
SELECT array_agg(n) FILTER (WHERE ok) FROM p
