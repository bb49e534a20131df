\set VERBOSITY verbose
\startpipeline
SELECT $1::int \bind 1 \sendpipeline
SELECT $1::int \bind 2 \sendpipeline
\syncpipeline
SELECT 1/0 \bind \sendpipeline
SELECT 4 \bind \sendpipeline
\syncpipeline
SELECT 5 \bind \sendpipeline
\endpipeline
SELECT 6 AS after;
