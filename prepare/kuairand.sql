-- KuaiRand-Pure (data/kuairand_pure) to training files (data/kuairand): one row an exposure, with the
-- user's profile, the video, and the user's last 50 long views strictly before it.
--
--   .venv/bin/duckdb -bail -f prepare/kuairand.sql     (scripts/prepare-kuairand does so)
--
-- A user's rows are ordered: train by pos, then val by time_ms, then test by time_ms. Rows that share a
-- time see none of each other. A history is read off three lists of the user's long views, oldest first:
-- it is their first `seen` items, of which the last 50 are kept.
--
-- Missing values are explicit: -1 for numbers, '?' for text. Files are the same bytes each time: one
-- thread, an explicit order, row groups of 4,096 rows. Takes 10 to 40 s and 700 MB on one core.
SET threads = 1;
SET preserve_insertion_order = true;

-- Numbers come as "9", "9.0" or nothing.
CREATE MACRO number(text) AS coalesce(try_cast(try_cast(text AS DOUBLE) AS BIGINT), -1);
CREATE MACRO word(text) AS coalesce(nullif(text, ''), '?');
CREATE MACRO gz(name) AS TABLE
  SELECT * FROM read_csv('data/kuairand_pure/' || name || '.csv.gz', header = true, all_varchar = true,
                         parallel = false);

CREATE TABLE users AS
SELECT
  user_id::BIGINT AS user_id,
  word(user_active_degree) AS user_active_degree,
  word(follow_user_num_range) AS follow_user_num_range,
  word(fans_user_num_range) AS fans_user_num_range,
  word(friend_user_num_range) AS friend_user_num_range,
  word(register_days_range) AS register_days_range,
  number(COLUMNS('^(is_.*|.*_user_num|register_days|onehot_feat\d+)$'))
FROM gz('users');

CREATE TABLE items AS
SELECT
  video_id::BIGINT AS video_id,
  number(author_id) AS author_id,
  number(split_part(tag, ',', 1)) AS tag,  -- the first; 'unknown' is -1
  number(music_id) AS music_id,
  word(video_type) AS video_type,
  word(upload_type) AS upload_type,
  number(music_type) AS music_type,
  floor(log2(coalesce(try_cast(video_duration AS DOUBLE), 0) / 1000 + 1))::BIGINT AS duration_bucket
FROM gz('items');

-- All exposures in one order: (part, t) is the time, line breaks ties between a user's long views.
CREATE TABLE exposures AS
SELECT *, row_number() OVER (ORDER BY part, line) AS id
FROM (
  SELECT 0 AS part, row_number() OVER () AS line, user_id::BIGINT AS user_id, pos::BIGINT AS t,
         video_id::BIGINT AS video_id, long_view::TINYINT AS long_view
  FROM gz('train')
  UNION ALL
  SELECT 1, row_number() OVER (), user_id::BIGINT, time_ms::BIGINT, video_id::BIGINT, long_view::TINYINT
  FROM gz('val')
  UNION ALL
  SELECT 2, row_number() OVER (), user_id::BIGINT, time_ms::BIGINT, video_id::BIGINT, long_view::TINYINT
  FROM gz('test')
);

CREATE TABLE long_views AS
SELECT
  user_id,
  list(video_id ORDER BY part, t, id) AS videos,
  list(author_id ORDER BY part, t, id) AS authors,
  list(tag ORDER BY part, t, id) AS tags
FROM exposures LEFT JOIN items USING (video_id)
WHERE long_view = 1
GROUP BY user_id;

-- How many of the user's long views lie strictly before each row: those of earlier times, a group of
-- equal times at once.
CREATE TABLE histories AS
SELECT
  *,
  coalesce(sum(long_view) OVER (PARTITION BY user_id ORDER BY part, t
                                GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::BIGINT AS seen
FROM exposures;

CREATE VIEW samples AS
SELECT
  h.part, h.id, h.user_id,
  u.* EXCLUDE (user_id),
  h.video_id,
  i.* EXCLUDE (video_id),
  coalesce(l.videos[greatest(1, h.seen - 49):h.seen], []) AS hist_video,
  coalesce(l.authors[greatest(1, h.seen - 49):h.seen], []) AS hist_author,
  coalesce(l.tags[greatest(1, h.seen - 49):h.seen], []) AS hist_tag,
  h.long_view
FROM histories h
LEFT JOIN users u USING (user_id)
LEFT JOIN items i ON i.video_id = h.video_id
LEFT JOIN long_views l USING (user_id);

-- Training rows are spread by a hash, since a user's rows follow each other in the log and a batch of few
-- users would be a bad sample; evaluation rows stay as the log has them.
COPY (SELECT * EXCLUDE (part, id) FROM samples WHERE part = 0 ORDER BY md5(id::VARCHAR), id)
  TO 'data/kuairand/train.parquet' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 4096);
COPY (SELECT * EXCLUDE (part, id) FROM samples WHERE part = 1 ORDER BY id)
  TO 'data/kuairand/val.parquet' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 4096);
COPY (SELECT * EXCLUDE (part, id) FROM samples WHERE part = 2 ORDER BY id)
  TO 'data/kuairand/test.parquet' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 4096);
