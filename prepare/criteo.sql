-- Criteo's display advertising challenge (train.txt: tab separated, without a header, in the order of time: label,
-- 13 counts I1 to I13, 26 hashed categories C1 to C26) to training files: data/criteo/train.parquet, the first six
-- sevenths (six days), shuffled, and data/criteo/test.parquet, the rest (the seventh), in order.
--
--   mkdir -p data/criteo && .venv/bin/duckdb -bail -batch -f prepare/criteo.sql     (from data/criteo_raw/train.txt)
--
-- Other places: -cmd "SET VARIABLE raw = 'train.txt.gz'; SET VARIABLE out = 'folder'". Files of other spelling
-- (CSV, a header) are for `trestle prepare import`.
--
-- A missing category is '?', an id like any other. A missing count stays empty: features.numeric.missing says what
-- it is to the model (-2 and -1 occur). Files are the same bytes each time: one thread, an explicit order. Sorting
-- goes to the disk beyond 4 GB of memory.
SET threads = 1;
SET memory_limit = '4GB';
SET preserve_insertion_order = true;

CREATE MACRO place(name) AS coalesce(getvariable('out'), 'data/criteo') || '/' || name;
CREATE VIEW lines AS
SELECT row_number() OVER () AS line, *
FROM read_csv(coalesce(getvariable('raw'), 'data/criteo_raw/train.txt'), header = false, auto_detect = false,
  delim = '\t', quote = '', escape = '', nullstr = '', columns = {'label': 'TINYINT',
  'I1': 'INTEGER', 'I2': 'INTEGER', 'I3': 'INTEGER', 'I4': 'INTEGER', 'I5': 'INTEGER', 'I6': 'INTEGER', 'I7': 'INTEGER',
  'I8': 'INTEGER', 'I9': 'INTEGER', 'I10': 'INTEGER', 'I11': 'INTEGER', 'I12': 'INTEGER', 'I13': 'INTEGER',
  'C1': 'VARCHAR', 'C2': 'VARCHAR', 'C3': 'VARCHAR', 'C4': 'VARCHAR', 'C5': 'VARCHAR', 'C6': 'VARCHAR', 'C7': 'VARCHAR',
  'C8': 'VARCHAR', 'C9': 'VARCHAR', 'C10': 'VARCHAR', 'C11': 'VARCHAR', 'C12': 'VARCHAR', 'C13': 'VARCHAR',
  'C14': 'VARCHAR', 'C15': 'VARCHAR', 'C16': 'VARCHAR', 'C17': 'VARCHAR', 'C18': 'VARCHAR', 'C19': 'VARCHAR',
  'C20': 'VARCHAR', 'C21': 'VARCHAR', 'C22': 'VARCHAR', 'C23': 'VARCHAR', 'C24': 'VARCHAR', 'C25': 'VARCHAR',
  'C26': 'VARCHAR'});
SET VARIABLE train_lines = (SELECT count(*) * 6 // 7 FROM lines);

CREATE VIEW samples AS
SELECT line, label, COLUMNS('^I\d+$'), coalesce(COLUMNS('^C\d+$'), '?') FROM lines;

COPY (SELECT * EXCLUDE (line) FROM samples WHERE line <= getvariable('train_lines')
      ORDER BY md5_number_lower(line::VARCHAR), line)
  TO (place('train.parquet')) (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 8192);
COPY (SELECT * EXCLUDE (line) FROM samples WHERE line > getvariable('train_lines') ORDER BY line)
  TO (place('test.parquet')) (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 8192);
