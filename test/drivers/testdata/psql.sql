\set VERBOSITY verbose
\set SHOW_CONTEXT never
\set QUIET off
CREATE TABLE item (id int PRIMARY KEY, name text);
\copy item FROM pstdin
1	one
2	two
3	three
\.
INSERT INTO item SELECT n, 'n' || n FROM generate_series(4, 2000) AS n;
\copy (SELECT * FROM item WHERE id < 6 ORDER BY id) TO pstdout WITH CSV HEADER
SELECT id, name, now() AS at FROM item \gdesc
BEGIN;
UPDATE item SET name = 'changed' WHERE id = 1;
SELECT 1/0;
SELECT 1;
COMMIT;
SELECT name FROM item WHERE id = 1;
BEGIN;
SAVEPOINT s;
INSERT INTO item VALUES (1, 'again');
ROLLBACK TO s;
INSERT INTO item VALUES (0, 'zero');
COMMIT;
SELECT count(*) AS total, max(id) AS top FROM item \gset
\echo :total :top
\set FETCH_COUNT 100
SELECT sum(id), count(*) FROM item;
SELECT id FROM item WHERE id <= 250 ORDER BY id;
\unset FETCH_COUNT
SET search_path = pg_catalog;
SHOW search_path;
RESET search_path;
SHOW search_path;
SET statement_timeout = '30s';
SHOW statement_timeout;
PREPARE by_id (int) AS SELECT name FROM item WHERE id = $1;
EXECUTE by_id (2);
EXECUTE by_id (3);
DEALLOCATE by_id;
EXECUTE by_id (2);
CREATE TEMPORARY TABLE scratch (n int);
INSERT INTO scratch VALUES (1), (2);
SELECT count(*) FROM scratch;
DROP TABLE scratch;
SELECT 1 AS a\; SELECT 2 AS b;
BEGIN\; SELECT 3\; ROLLBACK;
COPY item FROM STDIN;
5000	bad	too many columns
\.
SELECT 'after' AS copy;
DO $$ BEGIN RAISE NOTICE 'noticed'; END $$;
LISTEN channel;
NOTIFY channel;
UNLISTEN *;
\d item
