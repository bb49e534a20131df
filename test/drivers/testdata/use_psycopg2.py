"""Uses psycopg 2 (libpq's simple protocol) through Forebay. The connection is in libpq's environment variables."""
import io
import select
import threading

import psycopg2
import psycopg2.errors
import psycopg2.extras


def connect(**more):
    return psycopg2.connect("", **more)


def raises(error, cursor, sql, *args):
    try:
        cursor.execute(sql, *args)
    except error:
        return
    raise AssertionError("%s: no %s" % (sql, error.__name__))


setup = connect()
with setup, setup.cursor() as cur:
    cur.execute("CREATE TABLE psycopg_item (id int PRIMARY KEY, name text)")
    psycopg2.extras.execute_values(cur, "INSERT INTO psycopg_item VALUES %s", [(i, "n%d" % i) for i in range(1000)])

# COPY in both directions.
with setup, setup.cursor() as cur:
    cur.copy_from(io.StringIO("".join("%d\tcopied\n" % i for i in range(1000, 6000))), "psycopg_item")
    out = io.StringIO()
    cur.copy_to(out, "psycopg_item")
    assert out.getvalue().count("\n") == 6000
with setup.cursor() as cur:
    try:
        cur.copy_from(io.StringIO("x\ty\n"), "psycopg_item")
        raise AssertionError("COPY of a wrong value went through")
    except psycopg2.errors.InvalidTextRepresentation:
        setup.rollback()

# An error fails the transaction until it is ended; what was done in it is gone.
with setup.cursor() as cur:
    cur.execute("DELETE FROM psycopg_item")
    raises(psycopg2.errors.DivisionByZero, cur, "SELECT 1/0")
    raises(psycopg2.errors.InFailedSqlTransaction, cur, "SELECT 1")
    setup.rollback()
    cur.execute("SELECT count(*) FROM psycopg_item")
    assert cur.fetchone() == (6000,)
setup.commit()

# A server-side cursor inside a transaction, and one that outlives it.
with setup:
    with setup.cursor("walk") as cur:
        cur.itersize = 100
        cur.execute("SELECT id FROM psycopg_item ORDER BY id")
        assert sum(1 for _ in cur) == 6000
hold = setup.cursor("hold", withhold=True)
hold.execute("SELECT id FROM psycopg_item ORDER BY id")
setup.commit()
assert hold.fetchone() == (0,)
hold.close()
setup.commit()

# Settings belong to their session, on fewer server connections than sessions.
failures = []


def settle(i):
    try:
        conn = connect(application_name="py-%d" % i, options="-c search_path=s%d" % i)
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute("SET work_mem = %s", ("%dkB" % (1000 + i),))
            for _ in range(20):
                cur.execute("SELECT current_setting('application_name'), current_setting('search_path'), current_setting('work_mem')")
                got = cur.fetchone()
                assert got == ("py-%d" % i, "s%d" % i, "%dkB" % (1000 + i)), got
        conn.close()
    except BaseException as e:
        failures.append(e)


threads = [threading.Thread(target=settle, args=(i,)) for i in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not failures, failures

# LISTEN and NOTIFY.
listener = connect()
listener.autocommit = True
listener.cursor().execute("LISTEN psycopg_channel")
with setup, setup.cursor() as cur:
    cur.execute("NOTIFY psycopg_channel, 'hello'")
while not listener.notifies:
    assert select.select([listener], [], [], 30)[0], "no notification"
    listener.poll()
assert listener.notifies[0].payload == "hello"
listener.close()

# Cancelling a statement from another thread.
conn = connect()
started = threading.Event()


def cancel():
    started.wait()
    # Sent again until it meets the statement.
    while not done.wait(0.2):
        conn.cancel()


done = threading.Event()
canceler = threading.Thread(target=cancel)
canceler.start()
with conn.cursor() as cur:
    started.set()
    raises(psycopg2.errors.QueryCanceled, cur, "SELECT pg_sleep(60)")
    done.set()
    canceler.join()
    conn.rollback()
    cur.execute("SELECT 1")
    assert cur.fetchone() == (1,)
conn.close()

# TLS.
conn = connect(sslmode="require")
with conn.cursor() as cur:
    cur.execute("SELECT repeat('x', 1000000)")
    assert len(cur.fetchone()[0]) == 1000000
conn.close()
setup.close()
print("ok")
