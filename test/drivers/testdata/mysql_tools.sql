DROP TABLE IF EXISTS item, imported0, imported1, imported2, imported3, imported4, imported5;
DROP PROCEDURE IF EXISTS two;
CREATE TABLE item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) UNIQUE, n BIGINT UNSIGNED, d DECIMAL(20, 5), at DATETIME(6), b LONGBLOB, j JSON, e ENUM('x', 'y'), f BIT(9), small TINYINT NOT NULL DEFAULT 7, KEY (n)) CHARACTER SET utf8mb4;
INSERT INTO item (name, n, d, at, b) VALUES ('a', 18446744073709551615, -1.5, '2024-02-29 23:59:59.123456', 0x0001FF), ('ü€', NULL, NULL, NULL, NULL);
INSERT INTO item (name, j, e, f) VALUES ('c', '{"a": [1, null]}', 'y', b'101');
SELECT * FROM item;
SELECT * FROM item\G
SELECT LAST_INSERT_ID(), ROW_COUNT();
UPDATE item SET n = 5 WHERE n IS NULL;
UPDATE item SET n = 5 WHERE n = 5;
SELECT ROW_COUNT();
SELECT CAST('12abc' AS SIGNED);
SHOW WARNINGS;
INSERT IGNORE INTO item (name, small) VALUES ('clipped', 1000);
SHOW COUNT(*) WARNINGS;
SELEC 1;
SHOW ERRORS;
INSERT INTO item (name) VALUES ('a');
INSERT INTO item (name) VALUES ('d'), ('e');
SELECT LAST_INSERT_ID() > 3, ROW_COUNT();
SIGNAL SQLSTATE '45123' SET MYSQL_ERRNO = 31000, MESSAGE_TEXT = 'mine';
SELECT 1 FROM mysql.user WHERE 0;
DELETE FROM mysql.user;
BEGIN;
DELETE FROM item;
SAVEPOINT s;
INSERT INTO item (name) VALUES ('lost');
ROLLBACK TO s;
ROLLBACK;
SET autocommit = 0;
DELETE FROM item;
ROLLBACK;
SET autocommit = 1;
SELECT COUNT(*), @@autocommit FROM item;
DELIMITER //
CREATE PROCEDURE two (IN a INT, OUT b INT) BEGIN SELECT a; SELECT a + 1, 'x'; SET b = a + 2; END//
CREATE TRIGGER doubled BEFORE INSERT ON item FOR EACH ROW SET NEW.small = NEW.small * 2//
SELECT 1; SELECT 2, 'b'; UPDATE item SET n = 9 WHERE id = 1; SELECT n FROM item WHERE id = 1//
SELECT 1; SELECT * FROM nothing; SELECT 3//
DELIMITER ;
CALL two(5, @b);
SELECT @b;
INSERT INTO item (name) VALUES ('triggered');
SELECT small FROM item WHERE name = 'triggered';
SET NAMES latin1;
SELECT 'ü', @@character_set_client, @@collation_connection;
SET NAMES utf8mb4 COLLATE utf8mb4_bin;
SELECT 'ü', @@character_set_client, @@collation_connection;
charset latin2
SELECT @@character_set_client, @@character_set_results;
charset utf8mb4
SET @mine = 'ab', @n = 5, time_zone = '+05:30', sql_mode = 'ANSI_QUOTES';
SELECT @mine, @n, @@time_zone, @@sql_mode, FROM_UNIXTIME(0), "id" FROM item LIMIT 1;
PREPARE s FROM 'SELECT ? + 1';
EXECUTE s USING @n;
DEALLOCATE PREPARE s;
EXECUTE s USING @n;
CREATE TEMPORARY TABLE scratch (n INT);
INSERT INTO scratch VALUES (1), (2);
SELECT SUM(n) FROM scratch;
resetconnection
SELECT @@time_zone, @@sql_mode, @n IS NULL, DATABASE() IS NULL;
SELECT SUM(n) FROM scratch;
SELECT GET_LOCK('tools', 1), RELEASE_LOCK('tools');
HANDLER item OPEN;
HANDLER item READ FIRST;
HANDLER item CLOSE;
LOCK TABLES item WRITE;
INSERT INTO item (name) VALUES ('locked');
SELECT * FROM imported0;
UNLOCK TABLES;
query_attributes n1 v1
SELECT 1;
CREATE TABLE imported0 (id INT AUTO_INCREMENT PRIMARY KEY, n INT, v VARCHAR(20));
CREATE TABLE imported1 (id INT AUTO_INCREMENT PRIMARY KEY, n INT, v VARCHAR(20));
CREATE TABLE imported2 (id INT AUTO_INCREMENT PRIMARY KEY, n INT, v VARCHAR(20));
CREATE TABLE imported3 (id INT AUTO_INCREMENT PRIMARY KEY, n INT, v VARCHAR(20));
CREATE TABLE imported4 (id INT AUTO_INCREMENT PRIMARY KEY, n INT, v VARCHAR(20));
CREATE TABLE imported5 (id INT AUTO_INCREMENT PRIMARY KEY, n INT, v VARCHAR(20));
use information_schema
SELECT DATABASE();
use not_there
SELECT DATABASE();
connect
SELECT DATABASE(), @@autocommit;
SELECT SLEEP(0), 'end' AS the;
