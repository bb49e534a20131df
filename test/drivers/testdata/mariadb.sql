CREATE OR REPLACE TABLE cli_item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) UNIQUE, n BIGINT UNSIGNED, d DECIMAL(20, 5), at DATETIME(6), b LONGBLOB, small TINYINT NOT NULL DEFAULT 7) CHARACTER SET utf8mb4;
INSERT INTO cli_item (name, n, d, at) VALUES ('a', 18446744073709551615, -1.5, '2024-02-29 23:59:59.123456'), ('ü€', NULL, NULL, NULL);
INSERT INTO cli_item (name, b) VALUES ('bytes', 0x00010203FF), ('c', NULL);
SELECT * FROM cli_item\G
SELECT id, name, n, d, at, HEX(b), small FROM cli_item ORDER BY id;
UPDATE cli_item SET n = 5 WHERE n IS NULL;
UPDATE cli_item SET n = 5 WHERE n = 5;
SELECT LAST_INSERT_ID(), ROW_COUNT();
SELECT SQL_CALC_FOUND_ROWS id FROM cli_item LIMIT 1;
SELECT FOUND_ROWS();
SELECT CAST('12abc' AS SIGNED);
SHOW WARNINGS;
INSERT IGNORE INTO cli_item (name, small) VALUES ('clipped', 1000);
SELECT @@warning_count;
DELETE FROM cli_item WHERE name = 'c';
SELEC 1;
SHOW ERRORS;
SELECT * FROM cli_nothing;
INSERT INTO cli_item (name) VALUES ('a');
SIGNAL SQLSTATE '45123' SET MYSQL_ERRNO = 31000, MESSAGE_TEXT = 'mine';
SELECT 1 FROM mysql.user;
BEGIN;
INSERT INTO cli_item (name) VALUES ('kept');
COMMIT;
SET autocommit = 0;
INSERT INTO cli_item (name) VALUES ('lost');
SAVEPOINT s;
DELETE FROM cli_item;
ROLLBACK TO s;
SELECT COUNT(*), @@in_transaction FROM cli_item;
ROLLBACK;
SET autocommit = 1;
SELECT name FROM cli_item WHERE name IN ('kept', 'lost');
DELIMITER //
CREATE OR REPLACE PROCEDURE cli_two (IN a INT, OUT b INT) BEGIN SELECT a; SELECT a + 1, 'x'; SET b = a + 2; END//
SELECT 1; SELECT 2, 'b'; UPDATE cli_item SET n = 9 WHERE id = 1; SELECT n FROM cli_item WHERE id = 1//
SELECT 1; SELECT * FROM cli_nothing; SELECT 3//
DELIMITER ;
CALL cli_two(5, @b);
SELECT @b;
charset latin1
SELECT @@character_set_client, @@character_set_connection, @@character_set_results;
SET NAMES utf8mb4;
SET @mine = 'ab', @n = 5, time_zone = '+05:30', sql_mode = 'ANSI_QUOTES';
SELECT @mine, @n, @@time_zone, @@sql_mode, FROM_UNIXTIME(0), "id" FROM cli_item LIMIT 1;
PREPARE s FROM 'SELECT ? + 1';
EXECUTE s USING @n;
EXECUTE s USING @b;
DEALLOCATE PREPARE s;
EXECUTE s USING @n;
CREATE TEMPORARY TABLE scratch (n INT);
INSERT INTO scratch VALUES (1), (2);
SELECT SUM(n) FROM scratch;
SHOW CREATE TABLE scratch;
DROP TEMPORARY TABLE scratch;
SELECT GET_LOCK('cli_lock', 1), RELEASE_LOCK('cli_lock');
HANDLER cli_item OPEN;
HANDLER cli_item READ FIRST;
HANDLER cli_item CLOSE;
LOCK TABLES cli_item WRITE;
INSERT INTO cli_item (name) VALUES ('locked');
SELECT * FROM mysql.db;
UNLOCK TABLES;
XA START 'x';
INSERT INTO cli_item (name) VALUES ('xa');
XA END 'x';
XA PREPARE 'x';
XA ROLLBACK 'x';
XA COMMIT 'x';
DESCRIBE cli_item;
EXPLAIN SELECT * FROM cli_item WHERE id = 1;
SHOW TABLES LIKE 'cli_item';
CHECK TABLE cli_item;
ANALYZE TABLE cli_item;
use information_schema
SELECT DATABASE();
use not_there
SELECT DATABASE();
SELECT SLEEP(0);
nopager
SELECT 'end' AS the;
