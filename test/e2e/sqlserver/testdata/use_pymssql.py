"""Does with pymssql what applications do with it: use_pymssql.py HOST PORT USER DATABASE VERSION, the password in TDS_PASSWORD.
Prints ok at the end."""
import datetime
import decimal
import os
import sys
import uuid

import pymssql

host, port, user, database, version = sys.argv[1:6]


def connect(**more):
    return pymssql.connect(server=host, port=port, user=user, password=os.environ["TDS_PASSWORD"], database=database,
                           tds_version=version, login_timeout=20, **more)


def fails(number, f, *args):
    try:
        f(*args)
    except pymssql.Error as e:
        assert e.args[0] == number, (number, e)
        return
    raise AssertionError(f"no error; want {number}")


c = connect()
cur = c.cursor()

# Types.
cur.execute("SELECT * FROM dbo.alltypes ORDER BY id")
rows = cur.fetchall()
assert len(rows) == 3 and len(rows[0]) == 33, len(rows)
assert all(v is None for v in rows[1][1:]), rows[1]
by = dict(zip([d[0] for d in cur.description], rows[0]))
assert by["c_bit"] is True and by["c_bigint"] == -9223372036854775808 and by["c_float"] == 3.141592653589793, by
assert by["c_decimal"] == decimal.Decimal("-1234567890.1234") and by["c_money"] == decimal.Decimal("922337203685477.5807"), by
assert by["c_datetime"] == datetime.datetime(2024, 2, 29, 13, 14, 15, 123000), by
assert by["c_uniqueidentifier"] == uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), by
assert by["c_nvarchar"] == "nvarchar 水𝄞" and by["c_varchar"] == "varchar é", by
assert len(by["c_varcharmax"]) == 20000 and len(by["c_varbinarymax"]) == 20000, by
assert by["c_image"] == b"\xca\xfe" and by["c_xml"] == "<a>水</a>", by

# Parameters (the driver puts them into the text) and procedures.
cur.execute("SELECT %s, %d, %s", ("süß", 7, None))
assert cur.fetchone() == ("süß", 7, None)
cur.callproc("toy_echo", (1, "x"))
assert list(cur) == [(1, "x")]

# Transactions.
cur.execute("CREATE TABLE dbo.pym (id int IDENTITY PRIMARY KEY, s nvarchar(20) UNIQUE)")
c.commit()
cur.executemany("INSERT INTO dbo.pym (s) VALUES (%s)", [("a",), ("b",)])
assert cur.lastrowid == 2, cur.lastrowid
c.rollback()
cur.execute("SELECT COUNT(*) FROM dbo.pym")
assert cur.fetchone() == (0,)
cur.execute("INSERT INTO dbo.pym (s) VALUES ('c')")
c.commit()

# Errors.
fails(2627, cur.execute, "INSERT INTO dbo.pym (s) VALUES ('c')")
c.rollback()
fails(208, cur.execute, "SELECT * FROM nowhere")
fails(8134, cur.execute, "SELECT 1/0")
fails(102, cur.execute, "SELECT FROM")
c.rollback()

# Bulk load.
if hasattr(c, "bulk_copy"):
    cur.execute("CREATE TABLE dbo.pymload (n int, s varchar(20))")
    c.commit()
    c.bulk_copy("dbo.pymload", [(n, f"row {n}") for n in range(500)])
    c.commit()
    cur.execute("SELECT COUNT(*), MAX(n) FROM dbo.pymload")
    assert cur.fetchone() == (500, 499)

# A large result, and one that is given up in the middle.
cur.execute("SELECT n FROM dbo.numbers(30000)")
assert [r[0] for r in cur] == list(range(1, 30001))
cur.execute("SELECT n FROM dbo.numbers(100000)")
assert cur.fetchone() == (1,)
cur.execute("SELECT 5")
assert cur.fetchone() == (5,)
c.close()

# A time limit is an attention.
c = connect(timeout=1)
cur = c.cursor()
try:
    cur.execute("WAITFOR DELAY '01:00:00'")
    raise AssertionError("an hour passed")
except pymssql.Error:
    pass
c.close()
print("ok")
