SELECT @mine, @@time_zone, @@group_concat_max_len;
INSERT INTO cli_many (name) VALUES (@mine);
SELECT name = @mine FROM cli_many WHERE id = LAST_INSERT_ID();
BEGIN;
UPDATE cli_many SET n = n + 1 WHERE id = LAST_INSERT_ID();
ROLLBACK;
SELECT n FROM cli_many WHERE id = LAST_INSERT_ID();
