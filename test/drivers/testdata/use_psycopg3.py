"""Uses psycopg 3 (the extended protocol, prepared statements, pipelines) through Forebay, by libpq's variables."""
import threading

import psycopg
from psycopg import errors


def connect(**more):
    return psycopg.connect("", **more)


setup = connect(autocommit=True)
setup.execute("CREATE TABLE psycopg3_item (id int PRIMARY KEY, name text)")

# COPY.
with setup.cursor() as cur:
    with cur.copy("COPY psycopg3_item FROM STDIN") as copy:
        for i in range(5000):
            copy.write_row((i, "n%d" % i))
    with cur.copy("COPY psycopg3_item TO STDOUT") as copy:
        assert sum(1 for _ in copy.rows()) == 5000

# Statements that the driver prepares after a few executions, on fewer server connections than sessions.
failures = []


def work(i):
    try:
        with connect(autocommit=True, application_name="py3-%d" % i, prepare_threshold=2) as conn:
            for n in range(40):
                assert conn.execute("SELECT name FROM psycopg3_item WHERE id = %s", (n,)).fetchone() == ("n%d" % n,)
                assert conn.execute("SELECT current_setting('application_name')").fetchone() == ("py3-%d" % i,)
            with conn.transaction():
                conn.execute("UPDATE psycopg3_item SET name = name WHERE id = %s", (i,))
                try:
                    with conn.transaction():
                        conn.execute("UPDATE psycopg3_item SET name = 'lost' WHERE id = %s", (i,))
                        conn.execute("SELECT 1/0")
                except errors.DivisionByZero:
                    pass
            assert conn.execute("SELECT name FROM psycopg3_item WHERE id = %s", (i,)).fetchone() == ("n%d" % i,)
    except BaseException as e:
        failures.append(e)


threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not failures, failures

# A pipeline, and one with an error in the middle.
if psycopg.Pipeline.is_supported():
    with setup.pipeline():
        cursors = [setup.execute("SELECT %s::int", (i,)) for i in range(100)]
        assert [c.fetchone()[0] for c in cursors] == list(range(100))
    try:
        with setup.pipeline():
            setup.execute("SELECT 1")
            setup.execute("SELECT 1/0")
            setup.execute("SELECT 2")
        raise AssertionError("an error in a pipeline was lost")
    except errors.DivisionByZero:
        pass
assert setup.execute("SELECT 3").fetchone() == (3,)

# A prepared statement survives a change of its table.
for _ in range(3):
    setup.execute("SELECT * FROM psycopg3_item WHERE id = %s", (1,), prepare=True)
setup.execute("ALTER TABLE psycopg3_item ADD COLUMN more int DEFAULT 5")
try:
    setup.execute("SELECT * FROM psycopg3_item WHERE id = %s", (1,), prepare=True)
except errors.FeatureNotSupported:  # "cached plan must not change result type": as without Forebay
    pass

# A server-side cursor, and a binary one.
with setup.transaction(), setup.cursor(name="walk", binary=True) as cur:
    cur.execute("SELECT id FROM psycopg3_item")
    assert len(cur.fetchmany(100)) == 100

# TLS.
with connect(sslmode="require") as conn:
    assert conn.execute("SELECT %s::text", ("x" * 100000,)).fetchone() == ("x" * 100000,)
setup.close()
print("ok")
