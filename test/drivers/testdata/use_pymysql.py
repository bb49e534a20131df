"""Uses PyMySQL, and prints what it sees: the same through Forebay as directly. The connection is in the environment."""
import datetime
import decimal
import hashlib
import os
import ssl
import tempfile
import threading

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor, SSCursor

env = os.environ


def connect(**more):
    return pymysql.connect(host=env["DB_HOST"], port=int(env["DB_PORT"]), user=env["DB_USER"], password=env["DB_PASSWORD"],
                           database=env["DB_NAME"], charset="utf8mb4", **more)


def show(what, *values):
    print(what + ":", *(repr(v) for v in values), flush=True)


def ask(conn, sql, *args):
    with conn.cursor() as cur:
        cur.execute(sql, *args)
        return cur.fetchall()


def do(conn, sql, *args):
    """Prints all that a statement leaves."""
    with conn.cursor() as cur:
        try:
            n = cur.execute(sql, *args)
            show(sql[:60], n, cur.fetchall(), cur.lastrowid, cur.rowcount, conn.show_warnings())
            while cur.nextset():
                show("  more", cur.fetchall(), cur.rowcount, cur.lastrowid, [d[:2] for d in cur.description or ()])
        except pymysql.MySQLError as e:
            # How the connection was lost is up to the system.
            show(sql[:60], type(e).__name__, e.args[:1] if e.args[0] == 2013 else e.args)


conn = connect(client_flag=CLIENT.MULTI_STATEMENTS, local_infile=True, autocommit=True)
with conn.cursor() as cur:
    cur.execute("DROP TABLE IF EXISTS py_item")
    cur.execute("DROP PROCEDURE IF EXISTS py_two")
show("server", conn.get_server_info(), conn.get_proto_info())
show("database", ask(conn, "SELECT DATABASE(), USER() LIKE %s, @@autocommit", (env["DB_USER"] + "@%",)))

# Values of several types.
do(conn, "CREATE TABLE py_item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) UNIQUE, n BIGINT UNSIGNED, d DECIMAL(20, 5),"
         " f DOUBLE, at DATETIME(6), day DATE, took TIME, b LONGBLOB, small TINYINT NOT NULL DEFAULT 7) CHARACTER SET utf8mb4")
row = ("it's \"ü€😀\\\n", 2**64 - 1, decimal.Decimal("-12345678.12345"), 1.5e300, datetime.datetime(2024, 2, 29, 23, 59, 59, 123456),
       datetime.date(1999, 12, 31), datetime.timedelta(hours=-30, seconds=5), bytes(range(256)))
do(conn, "INSERT INTO py_item (name, n, d, f, at, day, took, b) VALUES (%s, %s, %s, %s, %s, %s, %s, _binary %s)", row)
do(conn, "INSERT INTO py_item (name, n) VALUES (%s, %s), (%s, %s), (%s, NULL)", ("a", 1, "b", None, "c"))
do(conn, "SELECT * FROM py_item ORDER BY id")
with conn.cursor() as cur:
    show("executemany", cur.executemany("INSERT INTO py_item (name, n) VALUES (%s, %s)", [("m%d" % i, i) for i in range(500)]), cur.lastrowid)
    cur.execute("SELECT n, b FROM py_item LIMIT 1")
    show("description", cur.description)
with conn.cursor(DictCursor) as cur:
    cur.execute("SELECT id, name FROM py_item WHERE id < %(max)s", {"max": 4})
    show("dict", cur.fetchall())
with conn.cursor(SSCursor) as cur:
    cur.execute("SELECT id FROM py_item ORDER BY id")
    show("unbuffered", cur.fetchone(), cur.fetchmany(3), sum(r[0] for r in cur))
do(conn, "UPDATE py_item SET n = 5 WHERE n < 10")
do(conn, "UPDATE py_item SET n = 5 WHERE n < 10")
do(conn, "DELETE FROM py_item WHERE name LIKE 'm4%'")
do(conn, "SELECT LAST_INSERT_ID(), ROW_COUNT()")
do(conn, "SELECT SQL_CALC_FOUND_ROWS id FROM py_item LIMIT 2")
do(conn, "SELECT FOUND_ROWS()")
do(conn, "REPLACE INTO py_item (id, name) VALUES (2, 'replaced')")
do(conn, "INSERT INTO py_item (name) VALUES ('b') ON DUPLICATE KEY UPDATE n = 77, id = LAST_INSERT_ID(id)")

# Warnings and errors, after which the connection is as before.
do(conn, "SELECT CAST('12abc' AS SIGNED)")
do(conn, "INSERT IGNORE INTO py_item (name, small) VALUES ('clipped', 1000)")
for sql in ("SELECT 1/0", "SELEC 1", "SELECT * FROM py_nothing", "INSERT INTO py_item (name) VALUES ('b')", "SIGNAL SQLSTATE '45123' SET MYSQL_ERRNO = 31000, MESSAGE_TEXT = 'mine'",
            "INSERT INTO py_item (name) VALUES (REPEAT('x', 101))", "USE mysql_not_there", "SELECT 1 FROM mysql.user"):
    do(conn, sql)
do(conn, "SHOW WARNINGS")

# Transactions.
conn.autocommit(False)
conn.begin()
with conn.cursor() as cur:
    cur.execute("INSERT INTO py_item (name) VALUES ('kept')")
conn.commit()
with conn.cursor() as cur:
    cur.execute("INSERT INTO py_item (name) VALUES ('lost')")
    cur.execute("SAVEPOINT s")
    cur.execute("UPDATE py_item SET n = 0")
    cur.execute("ROLLBACK TO s")
    cur.execute("SELECT COUNT(*), SUM(n = 0) FROM py_item")
    show("inside", cur.fetchall(), conn.get_autocommit())
conn.rollback()
show("after", ask(conn, "SELECT name FROM py_item WHERE name IN ('kept', 'lost')"), ask(conn, "SELECT @@autocommit, @@in_transaction"))
conn.rollback()
conn.autocommit(True)
for sql in ("START TRANSACTION READ ONLY", "DELETE FROM py_item", "COMMIT", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "START TRANSACTION",
            "SELECT @@tx_isolation", "COMMIT AND CHAIN", "SELECT @@in_transaction", "ROLLBACK RELEASE"):
    do(conn, sql)
conn.ping(reconnect=True)
do(conn, "SELECT 'back'")

# Several results.
do(conn, "SELECT 1; SELECT 2, 'b'; UPDATE py_item SET n = 9 WHERE id = 2; SELECT n FROM py_item WHERE id = 2")
do(conn, "SELECT 1; SELECT * FROM py_nothing; SELECT 3")
do(conn, "CREATE PROCEDURE py_two (IN a INT, OUT b INT) BEGIN SELECT a; SELECT a + 1, 'x'; SET b = a + 2; END")
do(conn, "CALL py_two(%s, @b)", (5,))
do(conn, "SELECT @b")
with conn.cursor() as cur:
    show("callproc", cur.callproc("py_two", (7, 0)), cur.fetchall(), cur.nextset(), cur.fetchall(), cur.nextset(), cur.rowcount)
    cur.execute("SELECT @_py_two_0, @_py_two_1")
    show("out", cur.fetchall())

# State that lasts.
do(conn, "SET NAMES latin1")
do(conn, "SET @mine = 'ab', @n = 5, @x = NULL, @d = 1.50")
do(conn, "SET time_zone = '+05:30', sql_mode = 'ANSI_QUOTES', SESSION group_concat_max_len = 5000")
do(conn, "SELECT @@character_set_client, @@collation_connection, @mine, @n, @x, @d, @@time_zone, @@sql_mode, @@group_concat_max_len")
do(conn, "SELECT FROM_UNIXTIME(0), \"id\" FROM py_item LIMIT 1")
conn.set_charset("utf8mb4")
conn.select_db("information_schema")
do(conn, "SELECT DATABASE(), @@character_set_results")
conn.select_db(env["DB_NAME"])
do(conn, "PREPARE s FROM 'SELECT ? + 1'")
do(conn, "EXECUTE s USING @n")
do(conn, "DEALLOCATE PREPARE s")
do(conn, "EXECUTE s USING @n")
do(conn, "SELECT GET_LOCK('py_lock', 5)")
do(conn, "SELECT IS_USED_LOCK('py_lock') = CONNECTION_ID(), RELEASE_LOCK('py_lock')")
do(conn, "CREATE TEMPORARY TABLE py_scratch AS SELECT 1 AS a UNION SELECT 2")
do(conn, "SELECT SUM(a) FROM py_scratch")
do(conn, "DROP TEMPORARY TABLE py_scratch")
do(conn, "LOCK TABLES py_item READ")
do(conn, "DELETE FROM py_item")
do(conn, "UNLOCK TABLES")

# A file of the client's.
with tempfile.TemporaryDirectory() as folder, open(folder + "/rows.csv", "w") as f:
    for i in range(5000):
        f.write("%d,loaded%d\n" % (10000 + i, i))
    f.write("x,wrong\n")
    f.flush()
    os.chdir(folder)  # its name is another each time
    do(conn, "LOAD DATA LOCAL INFILE 'rows.csv' INTO TABLE py_item FIELDS TERMINATED BY ',' (id, name)")
    os.chdir("/")
    do(conn, "SELECT COUNT(*), MAX(id) FROM py_item WHERE name LIKE 'loaded%'")
try:
    ask(conn, "LOAD DATA LOCAL INFILE '/not/there' INTO TABLE py_item")
except pymysql.MySQLError as e:
    show("no file", e.args)
do(conn, "SELECT 'still here'")
conn.close()

# A large value in both directions.
conn = connect(autocommit=True, max_allowed_packet=64 << 20)
big = bytes(range(256)) * (17 << 12)
do(conn, "SELECT LENGTH(_binary %s), MD5(_binary %s)", (big[:5 << 20], big[:5 << 20]))
with conn.cursor() as cur:
    show("large", cur.execute("INSERT INTO py_item (name, b) VALUES ('large', _binary %s)", (big,)))
    cur.execute("SELECT b, 'behind' FROM py_item WHERE name = 'large'")
    b, behind = cur.fetchone()
    show("large", len(b), hashlib.md5(b).hexdigest() == hashlib.md5(big).hexdigest(), behind)
do(conn, "SELECT 1")
conn.close()

# TLS.
ctx = ssl.create_default_context()
ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
with connect(ssl=ctx) as conn:
    show("tls", conn._secure, ask(conn, "SELECT REPEAT('x', 70000) = %s", ("x" * 70000,)))
with connect(ssl_disabled=True) as conn:
    show("plain", conn._secure, ask(conn, "SELECT 1"))
for more in ({"password": "wrong"}, {"user": "nobody"}, {"database": "not_there"}):
    args = dict(host=env["DB_HOST"], port=int(env["DB_PORT"]), user=env["DB_USER"], password=env["DB_PASSWORD"], database=env["DB_NAME"])
    args.update(more)
    try:
        pymysql.connect(**args)
        show("log-in", more, "no error")
    except pymysql.MySQLError as e:
        show("log-in", list(more), e.args)

# Many connections, each with a state of its own.
failures = []
start = threading.Barrier(20)


def work(i):
    try:
        conn = connect(autocommit=i % 2 == 0, init_command="SET SESSION group_concat_max_len = %d" % (1000 + i))
        start.wait()
        ask(conn, "SET @mine = %s, time_zone = %s", ("m%d" % i, "+%02d:00" % (i % 12)))
        for n in range(15):
            got = ask(conn, "SELECT @mine, @@time_zone, @@autocommit, @@group_concat_max_len, DATABASE()")
            assert got == (("m%d" % i, "+%02d:00" % (i % 12), int(i % 2 == 0), 1000 + i, env["DB_NAME"]),), got
            with conn.cursor() as cur:
                cur.execute("INSERT INTO py_item (name) VALUES (%s)", ("w%d-%d" % (i, n),))
                assert cur.rowcount == 1
                id = cur.lastrowid
            if i % 2:
                conn.commit()
            assert ask(conn, "SELECT LAST_INSERT_ID()") == ((id,),)
            assert ask(conn, "SELECT name FROM py_item WHERE id = %s", (id,)) == (("w%d-%d" % (i, n),),)
            conn.rollback()
        conn.close()
    except BaseException as e:
        start.abort()
        failures.append((i, e))


threads = [threading.Thread(target=work, args=(i,)) for i in range(20)]
for t in threads:
    t.start()
for t in threads:
    t.join()
show("concurrent", failures)
with connect() as conn:
    do(conn, "SELECT COUNT(*) FROM py_item WHERE name LIKE 'w%'")
print("ok")
