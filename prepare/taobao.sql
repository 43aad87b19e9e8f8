-- Alibaba's display advertising data (raw_sample.csv, ad_feature.csv, user_profile.csv, behavior_log.csv)
-- to training files: one row an impression, with its ad, the user's profile, and the user's last 50
-- behaviours strictly before it.
--
--   trestle prepare taobao RAW OUT        runs the steps below in DuckDB, each with its variables set
--
-- The logs do not fit memory, so they are cut twice. `spread` cuts all of them into buckets of users;
-- `join` makes the rows of one bucket and cuts them into slices, by a hash or by time; `order` sorts one
-- slice and writes it as one file. Each step takes memory for its bucket or slice, and every order is
-- explicit: the files are the same bytes at any number of buckets and any memory.
--
-- Missing values are explicit: -1 for numbers, '?' for text. Behaviours have kinds: 1 buy, 2 cart, 3 fav,
-- 4 pv (also spelled ipv), 0 any other. Behaviours of one second are in the order of category, brand, kind.

-- In every step --------------------------------------------------------------------------------------

-- Seven days to train from 2017-05-06 on, and the eighth to test. Days are Beijing's.
CREATE MACRO first_second() AS 1494000000;
CREATE MACRO test_second() AS first_second() + 7 * 86400;
CREATE MACRO last_second() AS first_second() + 8 * 86400 - 1;

CREATE MACRO number(value) AS coalesce(value, -1)::INTEGER;
CREATE MACRO bucket_of(user) AS abs(coalesce(user, 0)) % getvariable('buckets');
-- A place for an impression that has nothing to do with what it is: the same in every version of DuckDB.
CREATE MACRO place_of(user, time_stamp, adgroup_id, pid) AS
  md5_number_lower(concat_ws(',', user, time_stamp, adgroup_id, pid));

CREATE MACRO work(name) AS getvariable('work') || '/' || name;
-- The columns are given: nothing is guessed from the first lines of a file of 20 GB.
CREATE MACRO impressions() AS TABLE
  SELECT * FROM read_csv(getvariable('raw') || '/raw_sample.csv', header = true, auto_detect = false, delim = ',',
    quote = '', escape = '', columns = {'user': 'INTEGER', 'time_stamp': 'BIGINT', 'adgroup_id': 'INTEGER',
    'pid': 'VARCHAR', 'nonclk': 'TINYINT', 'clk': 'TINYINT'});

-- STEP count: rows to train and to test with, rows outside of the eight days -----------------------------

-- How many rows lie before each minute, for files in time order.
COPY (
  SELECT time_stamp // 60 AS minute, (sum(count(*)) OVER (ORDER BY minute) - count(*))::BIGINT AS rows_before
  FROM impressions()
  WHERE time_stamp BETWEEN first_second() AND last_second()
  GROUP BY minute
) TO (work('minutes.parquet')) (FORMAT parquet);

SELECT count(*) FILTER (time_stamp BETWEEN first_second() AND test_second() - 1),
       count(*) FILTER (time_stamp BETWEEN test_second() AND last_second()),
       count(*) FILTER (time_stamp NOT BETWEEN first_second() AND last_second()),
       count(*) FILTER (clk NOT IN (0, 1) OR clk + nonclk <> 1 OR clk + nonclk + user + time_stamp + adgroup_id IS NULL)
FROM impressions();

-- STEP spread: the logs into buckets of users ------------------------------------------------------------

CREATE VIEW bucket_impressions AS
SELECT *, bucket_of(user) AS bucket
FROM impressions()
WHERE time_stamp BETWEEN first_second() AND last_second();

CREATE VIEW bucket_behaviours AS
SELECT user, time_stamp, number(cate) AS cate, number(brand) AS brand,
       CASE btag WHEN 'buy' THEN 1 WHEN 'cart' THEN 2 WHEN 'fav' THEN 3 WHEN 'pv' THEN 4 WHEN 'ipv' THEN 4 ELSE 0
         END::TINYINT AS btag,
       bucket_of(user) AS bucket
FROM read_csv(getvariable('raw') || '/behavior_log.csv', header = true, auto_detect = false, delim = ',',
  quote = '', escape = '', nullstr = ['', 'NULL'], columns = {'user': 'INTEGER', 'time_stamp': 'BIGINT',
  'btag': 'VARCHAR', 'cate': 'INTEGER', 'brand': 'INTEGER'});

COPY bucket_impressions TO (work('impressions')) (FORMAT parquet, PARTITION_BY (bucket), ROW_GROUP_SIZE 16384);
COPY bucket_behaviours TO (work('behaviours')) (FORMAT parquet, PARTITION_BY (bucket), ROW_GROUP_SIZE 16384);
COPY (SELECT * EXCLUDE (bucket) FROM bucket_impressions LIMIT 0) TO (work('no_impressions.parquet')) (FORMAT parquet);
COPY (SELECT * EXCLUDE (bucket) FROM bucket_behaviours LIMIT 0) TO (work('no_behaviours.parquet')) (FORMAT parquet);

CREATE TABLE ads AS
SELECT adgroup_id, cate_id, campaign_id, customer, number(brand) AS brand, coalesce(price, -1)::FLOAT AS price
FROM read_csv(getvariable('raw') || '/ad_feature.csv', header = true, auto_detect = false, delim = ',', quote = '',
  escape = '', nullstr = ['', 'NULL'], columns = {'adgroup_id': 'INTEGER', 'cate_id': 'INTEGER',
  'campaign_id': 'INTEGER', 'customer': 'INTEGER', 'brand': 'INTEGER', 'price': 'DOUBLE'});
COPY ads TO (work('ads.parquet')) (FORMAT parquet);

-- The last header of the file ends in a blank.
CREATE TABLE profiles AS
SELECT userid, number(COLUMNS(* EXCLUDE (userid)))
FROM read_csv(getvariable('raw') || '/user_profile.csv', header = true, auto_detect = false, delim = ',', quote = '',
  escape = '', nullstr = ['', 'NULL'], columns = {'userid': 'INTEGER', 'cms_segid': 'INTEGER',
  'cms_group_id': 'INTEGER', 'final_gender_code': 'INTEGER', 'age_level': 'INTEGER', 'pvalue_level': 'INTEGER',
  'shopping_level': 'INTEGER', 'occupation': 'INTEGER', 'new_user_class_level': 'INTEGER'});
COPY profiles TO (work('profiles.parquet')) (FORMAT parquet);

SELECT (SELECT count(*) - count(DISTINCT adgroup_id) FROM ads),
       (SELECT count(*) - count(DISTINCT userid) FROM profiles);

-- STEP join: the rows of one bucket of users into slices -------------------------------------------------

-- The bucket's files. The first is one without rows, since a bucket may hold nothing.
CREATE MACRO bucket_files(files) AS TABLE SELECT * FROM read_parquet(files, hive_partitioning = false);

-- A user's behaviours, numbered from 1.
CREATE TABLE behaviours AS
SELECT user, time_stamp, cate, brand, btag,
       (row_number() OVER (PARTITION BY user ORDER BY time_stamp, cate, brand, btag))::INTEGER AS n
FROM bucket_files(getvariable('behaviours'))
WHERE time_stamp > 0;

-- How many of them lie strictly before each impression, and the piece that the last of these is in (see
-- below); NULL if none. Those of one second come together.
CREATE TABLE seen AS
SELECT i.*, b.n AS seen, (b.n - 1) // 50 AS piece
FROM bucket_files(getvariable('impressions')) i
ASOF LEFT JOIN (SELECT user, time_stamp, max(n) AS n FROM behaviours GROUP BY ALL) b
  ON i.user = b.user AND i.time_stamp > b.time_stamp;

-- Pieces of 50 behaviours: the last 50 before an impression lie in two of them that follow each other,
-- however many behaviours the user has. (Sorting short lists of structs takes a tenth of the time and memory
-- that list(... ORDER BY n) does.)
CREATE TABLE pieces AS
SELECT user, piece, list_transform(items, lambda x: x.cate) AS cates,
       list_transform(items, lambda x: x.brand) AS brands, list_transform(items, lambda x: x.btag) AS btags
FROM (
  SELECT user, piece, list_sort(list({n: n, cate: cate, brand: brand, btag: btag})) AS items
  FROM (SELECT *, (n - 1) // 50 AS piece FROM behaviours)
  SEMI JOIN (SELECT user, unnest([piece, piece - 1]) AS piece FROM seen)
    USING (user, piece)
  GROUP BY user, piece
);

CREATE MACRO last_50(before, here, seen) AS
  coalesce(before[(seen - 1) % 50 + 2:], []) || coalesce(here[:(seen - 1) % 50 + 1], []);

CREATE VIEW samples AS
SELECT
  s.clk, s.user AS userid, s.adgroup_id, coalesce(s.pid, '?') AS pid, s.time_stamp,
  coalesce(COLUMNS(a.* EXCLUDE (adgroup_id)), -1),
  coalesce(COLUMNS(p.* EXCLUDE (userid)), -1),
  last_50(before.cates, here.cates, s.seen) AS hist_cate,
  last_50(before.brands, here.brands, s.seen) AS hist_brand,
  last_50(before.btags, here.btags, s.seen) AS hist_btag
FROM seen s
LEFT JOIN read_parquet(work('ads.parquet')) a USING (adgroup_id)
LEFT JOIN read_parquet(work('profiles.parquet')) p ON p.userid = s.user
LEFT JOIN pieces here ON here.user = s.user AND here.piece = s.piece
LEFT JOIN pieces before ON before.user = s.user AND before.piece = s.piece - 1;

-- Slices are numbered: those to train with, then those to test with.
CREATE MACRO cut(place, rows_before, rows, slices) AS
  CASE WHEN getvariable('in_time_order') THEN rows_before * slices // rows ELSE place % slices END;
CREATE MACRO slice_of(place, time_stamp, rows_before) AS
  CASE WHEN time_stamp < test_second()
    THEN cut(place, rows_before, getvariable('train_rows'), getvariable('train_slices'))
    ELSE getvariable('train_slices') +
         cut(place, rows_before - getvariable('train_rows'), getvariable('test_rows'), getvariable('test_slices'))
    END;

COPY (
  SELECT s.*, slice_of(place_of(userid, time_stamp, adgroup_id, pid), time_stamp, rows_before) AS slice
  FROM samples s JOIN read_parquet(work('minutes.parquet')) m ON m.minute = s.time_stamp // 60
) TO (work('slices/' || getvariable('bucket'))) (FORMAT parquet, PARTITION_BY (slice));

SELECT count(*), count(*) FILTER (seen IS NULL), (SELECT count(*) FROM behaviours),
       (SELECT count(*) FROM bucket_files(getvariable('behaviours')) WHERE (time_stamp > 0) IS NOT true),
       count(*) FILTER (user NOT IN (SELECT userid FROM read_parquet(work('profiles.parquet')))),
       count(*) FILTER (adgroup_id NOT IN (SELECT adgroup_id FROM read_parquet(work('ads.parquet'))))
FROM seen;

-- STEP order: one slice, sorted, is one file -------------------------------------------------------------

-- Two impressions that are equal in all that is compared here are equal in every column.
COPY (
  SELECT *
  FROM read_parquet(work('slices/*/slice=') || getvariable('slice') || '/*.parquet', hive_partitioning = false)
  ORDER BY CASE WHEN getvariable('in_time_order') THEN time_stamp ELSE 0 END,
           place_of(userid, time_stamp, adgroup_id, pid), userid, time_stamp, adgroup_id, pid, clk
) TO (getvariable('file')) (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 8192);

SELECT count(*), sum(clk)::BIGINT FROM read_parquet(getvariable('file'));
