"""Does with pyodbc and FreeTDS's ODBC driver what applications do with them: use_pyodbc.py DRIVER HOST PORT USER DATABASE VERSION
ENCRYPTION, the password in TDS_PASSWORD. Prints ok at the end."""
import datetime
import decimal
import os
import sys

import pyodbc

driver, host, port, user, database, version, encryption = sys.argv[1:8]
pyodbc.pooling = False


def connect():
    return pyodbc.connect(f"DRIVER={driver};SERVER={host};PORT={port};UID={user};PWD={{{os.environ['TDS_PASSWORD']}}};DATABASE={database};"
                          f"TDS_Version={version};ENCRYPTION={encryption};ClientCharset=UTF-8", timeout=20)


def fails(number, f, *args):
    try:
        f(*args)
    except pyodbc.Error as e:
        assert f"({number})" in str(e), (number, e)
        return
    raise AssertionError(f"no error; want {number}")


c = connect()
cur = c.cursor()

# Types that pyodbc knows.
cur.execute("SELECT id, c_bit, c_bigint, c_float, c_decimal, c_datetime, c_nvarchar, c_varchar, c_varcharmax, c_binary, c_text, c_money "
            "FROM dbo.alltypes ORDER BY id")
rows = cur.fetchall()
assert len(rows) == 3
one = rows[0]
assert one.c_bit is True and one.c_bigint == -9223372036854775808 and one.c_decimal == decimal.Decimal("-1234567890.1234"), one
assert one.c_datetime == datetime.datetime(2024, 2, 29, 13, 14, 15, 123000), one
assert one.c_nvarchar == "nvarchar 水𝄞" and len(one.c_varcharmax) == 20000 and one.c_text == "text é", one
assert all(v is None for v in rows[1][1:]), rows[1]

# Parameters: sp_prepexec, sp_execute, sp_unprepare.
for n in range(4):
    cur.execute("SELECT ? + 1, ?, ?", n, "süß", None)
    got = cur.fetchone()
    assert (got[0], got[1], got[2]) == (n + 1, "süß", None), got
cur.execute("{CALL toy_echo (?, ?)}", 1, "x")
assert [tuple(r) for r in cur.fetchall()] == [(1, "x")]

# Transactions: the driver has implicit ones when autocommit is off.
cur.execute("CREATE TABLE dbo.pyo (id int IDENTITY PRIMARY KEY, s nvarchar(20) UNIQUE)")
c.commit()
cur.execute("INSERT INTO dbo.pyo (s) VALUES (?)", "a")
assert cur.rowcount == 1
c.rollback()
assert cur.execute("SELECT COUNT(*) FROM dbo.pyo").fetchval() == 0
cur.execute("INSERT INTO dbo.pyo (s) VALUES (?)", "b")
c.commit()
assert cur.execute("SELECT COUNT(*) FROM dbo.pyo").fetchval() == 1
cur.executemany("INSERT INTO dbo.pyo (s) VALUES (?)", [("c",), ("d",)])
c.commit()

# Errors.
fails(2627, cur.execute, "INSERT INTO dbo.pyo (s) VALUES ('b')")
c.rollback()
fails(208, cur.execute, "SELECT * FROM nowhere")
fails(8134, cur.execute, "SELECT 1/0")
fails(102, cur.execute, "SELECT FROM")
c.rollback()

# Several results.
cur.execute("SELECT 1; SELECT 2")
assert [tuple(r) for r in cur.fetchall()] == [(1,)] and cur.nextset()
assert [tuple(r) for r in cur.fetchall()] == [(2,)] and not cur.nextset()

# A time limit is an attention.
c.timeout = 1
try:
    c.cursor().execute("WAITFOR DELAY '01:00:00'")
    raise AssertionError("an hour passed")
except pyodbc.OperationalError as e:
    assert e.args[0] in ("HYT00", "S1T00"), e
c.timeout = 0
assert c.cursor().execute("SELECT 6").fetchval() == 6
c.close()
print("ok")
