"""An ordinary Lambda function: counts the visit and says how many there were, in PostgreSQL, through a proxy, with a token in
place of a password. It knows nothing of Forebay."""

import json
import os

import boto3
import psycopg

HOST = os.environ["DB_HOST"]  # the proxy's endpoint
PORT = int(os.environ.get("DB_PORT", "5432"))
USER = os.environ["DB_USER"]
CA = os.environ["DB_CA"]  # the proxy's certificate authority: Forebay's is ca.pem in its data folder

# Outside the handler: Lambda keeps the process for the next invocation, and with it the connection.
rds = boto3.client("rds")
connection = None


def connected():
    global connection
    if connection is None or connection.closed:
        # Signed here, without a call: good for log-ins within 15 minutes.
        token = rds.generate_db_auth_token(DBHostname=HOST, Port=PORT, DBUsername=USER)
        connection = psycopg.connect(
            host=HOST, port=PORT, user=USER, password=token, dbname=os.environ["DB_NAME"],
            sslmode="verify-full", sslrootcert=CA, autocommit=True,
        )
    return connection


def handler(event, context):
    db = connected()
    db.execute("INSERT INTO visits (path) VALUES (%s)", [event.get("rawPath", "/")])
    (visits,) = db.execute("SELECT count(*) FROM visits").fetchone()
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps({"visits": visits})}


if __name__ == "__main__":  # python handler.py: a deployment and two invocations
    connected().execute("CREATE TABLE IF NOT EXISTS visits (id serial PRIMARY KEY, path text NOT NULL)")
    for _ in range(2):
        print(handler({"rawPath": "/"}, None))
