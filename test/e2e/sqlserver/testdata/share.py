"""Two connections of a driver share what stands between them and the server: share.py MODULE HOST PORT USER DATABASE VERSION
ENCRYPTION DRIVER SLOW, the password in TDS_PASSWORD; MODULE is pymssql or pyodbc. SLOW is a statement that takes long. Prints ok at
the end."""
import os
import sys

module, host, port, user, database, version, encryption, driver, slow = sys.argv[1:10]
password = os.environ["TDS_PASSWORD"]
if module == "pymssql":
    import pymssql as db
    mark = "%s"

    def connect(timeout=0):
        return db.connect(server=host, port=port, user=user, password=password, database=database, tds_version=version,
                          login_timeout=60, timeout=timeout, autocommit=True)
else:
    import pyodbc as db
    db.pooling = False
    mark = "?"

    def connect(timeout=0):
        c = db.connect(f"DRIVER={driver};SERVER={host};PORT={port};UID={user};PWD={{{password}}};DATABASE={database};"
                       f"TDS_Version={version};ENCRYPTION={encryption};ClientCharset=UTF-8", timeout=60, autocommit=True)
        c.timeout = timeout
        return c

def auto(c, on):
    """Without autocommit the drivers begin a transaction at once, and again behind each."""
    if module == "pymssql":
        c.autocommit(on)
    else:
        c.autocommit = on


a, b = connect(), connect()
ca, cb = a.cursor(), b.cursor()


def one(cur, text, *args):
    cur.execute(text, args) if args else cur.execute(text)
    return cur.fetchall()[0][0]


def fails(cur, text):
    try:
        cur.execute(text)
    except db.Error:
        return
    raise AssertionError("no error: " + text)


ca.execute("CREATE TABLE dbo.shared (id int NOT NULL PRIMARY KEY, s varchar(50) NULL)")

# Parameters: prepared statements, or a text.
for i in range(4):
    for n, cur in enumerate((ca, cb)):
        got = one(cur, f"SELECT {mark} + {n}", i)
        assert got == i + n, (got, i, n)

# Transactions, one after the other.
for n, (c, cur) in enumerate(((a, ca), (b, cb))):
    auto(c, False)
    cur.execute(f"INSERT INTO dbo.shared VALUES ({mark}, {mark})", (n, "rolled back"))
    c.rollback()
    cur.execute(f"INSERT INTO dbo.shared VALUES ({mark}, {mark})", (n, "committed"))
    c.commit()
    auto(c, True)
for cur in (ca, cb):
    assert one(cur, "SELECT COUNT(*) FROM dbo.shared WHERE s = 'committed'") == 2

# Settings of each.
ca.execute("SET LOCK_TIMEOUT 1234")
for cur, want in ((cb, -1), (ca, 1234), (cb, -1)):
    assert one(cur, "SELECT @@LOCK_TIMEOUT") == want

# Errors.
fails(ca, "INSERT INTO dbo.shared VALUES (1, 'twice')")
fails(cb, "SELECT * FROM dbo.nowhere")
fails(ca, "SELECT 1/0")
assert one(cb, "SELECT @@TRANCOUNT") == 0

# A large result.
assert len(one(cb, "SELECT REPLICATE(CAST('x' AS varchar(max)), 200000)")) in (200000, 4096)  # as far as TEXTSIZE goes

# A time limit is an attention. The server may be done before it sees that.
c = connect(timeout=1)
try:
    c.cursor().execute(slow)
except db.Error:
    pass
c.close()
assert one(ca, "SELECT COUNT(*) FROM dbo.shared") == 2
a.close()
assert one(cb, "SELECT COUNT(*) FROM dbo.shared") == 2
b.close()
print("ok")
