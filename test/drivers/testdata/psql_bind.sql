\set VERBOSITY verbose
SELECT $1::int + $2::int AS sum \bind 1 2 \g
SELECT $1::text \bind 'it''s' \g
SELECT $1::int \bind x \g
BEGIN;
SELECT $1::int / $2::int \bind 1 0 \g
SELECT 1 \bind \g
ROLLBACK;
SELECT $1::int AS still \bind 3 \g
