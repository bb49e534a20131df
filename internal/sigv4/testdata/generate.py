"""Makes requests.json and tokens.json with botocore (1.43.11 then) and a stopped clock. Run it in this folder."""
import datetime, json
from urllib.parse import urlsplit
import boto3, botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 11, 26, 10, 20, 30, tzinfo=datetime.timezone.utc)
botocore.auth.get_current_datetime = lambda remove_tzinfo=True: NOW.replace(tzinfo=None) if remove_tzinfo else NOW
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQ+a/b=="

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
JSON = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
CASES = [  # name, service, method, url, headers, body, session token, presigned for so many seconds
    ("rds query", "rds", "POST", "https://rds.us-east-1.amazonaws.com/", FORM, "Action=DescribeDBProxies&Version=2014-10-31", None, 0),
    ("rds query at a port, session token", "rds", "POST", "http://127.0.0.1:8443/", FORM, "Action=DescribeDBProxies&Version=2014-10-31", TOKEN, 0),
    ("secretsmanager json", "secretsmanager", "POST", "https://secretsmanager.eu-central-1.amazonaws.com/", JSON, '{"SecretId":"s/\u00e9"}', None, 0),
    ("declared payload hash", "sts", "POST", "https://sts.amazonaws.com/", {**FORM, "X-Amz-Content-SHA256": "ab821ae955788b0e33ebd34c208442ccfc2d406e2edc5e7a39bd6458fbb4f843"}, "Action=GetCallerIdentity&Version=2011-06-15", None, 0),
    ("unsigned payload", "sts", "POST", "https://sts.amazonaws.com/", {**FORM, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}, "Action=GetCallerIdentity&Version=2011-06-15", None, 0),
    ("date header", "iam", "GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", {"Date": "x"}, "", None, 0),
    ("path encoded twice", "execute-api", "GET", "https://api.example.com/a%20b/%C3%A9/c:d/../e//f%2Fg/?q=%20x&q=a%2Bb&Z=&%C3%A9=1", {}, "", None, 0),
    ("spaces and case in headers", "rds", "GET", "https://rds.us-east-1.amazonaws.com/?Action=x", {"X-Amz-Meta": "  a   b  c ", "My-Header": "\"x   y\""}, "", None, 0),
    ("presigned rds", "rds", "GET", "https://rds.us-east-1.amazonaws.com/?Action=DescribeDBProxies&Version=2014-10-31", {}, "", None, 3600),
    ("presigned sts, session token", "sts", "GET", "https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15", {"x-k8s-aws-id": "cluster-1"}, "", TOKEN, 60),
    ("presigned for a week", "rds", "GET", "https://rds.us-east-1.amazonaws.com/?Action=x&Name=a%20b%2Fc", {}, "", None, 604800),
]

def sign(name, service, method, url, headers, body, token, expires):
    request = AWSRequest(method=method, url=url, headers=dict(headers), data=body.encode())
    creds = Credentials(KEY, SECRET, token)
    if expires:
        botocore.auth.SigV4QueryAuth(creds, service, "us-east-1", expires).add_auth(request)
    else:
        botocore.auth.SigV4Auth(creds, service, "us-east-1").add_auth(request)
    parts = urlsplit(request.url)
    target = parts.path + ("?" + parts.query if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{k}: {v}" for k, v in request.headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body.encode())}")
    return {"name": name, "service": service, "session_token": token or "", "expires": expires,
            "request": "\r\n".join(lines) + "\r\n\r\n" + body}

TOKENS = [  # name, host, port, user, session token, region
    ("postgres", "app.proxy-abcdefghijkl.us-east-1.rds.amazonaws.com", 5432, "app", None, "us-east-1"),
    ("mysql, session token", "app.proxy-abcdefghijkl.eu-central-1.rds.amazonaws.com", 3306, "app_user", TOKEN, "eu-central-1"),
    ("upper case in the host", "App.Proxy-ABC.example.COM", 5432, "App", None, "us-east-1"),
    ("port 443", "db.example.com", 443, "app", None, "us-east-1"),
    ("port 80", "db.example.com", 80, "app", None, "us-east-1"),
    ("user that needs encoding", "localhost", 15432, "a b+c/d@\u00e9~%", None, "us-east-1"),
    ("an IPv4 address", "127.0.0.1", 5432, "app", None, "us-east-1"),
    ("an IPv6 address", "::1", 5432, "app", None, "us-east-1"),
]

def token(name, host, port, user, session, region):
    client = boto3.client("rds", region_name=region, aws_access_key_id=KEY, aws_secret_access_key=SECRET, aws_session_token=session)
    h = f"[{host}]" if ":" in host else host
    return {"name": name, "host": host, "port": port, "user": user, "region": region, "session_token": session or "",
            "token": client.generate_db_auth_token(h, port, user)}

def write(name, cases):
    doc = {"now": NOW.strftime("%Y%m%dT%H%M%SZ"), "access_key_id": KEY, "secret_key": SECRET, "cases": cases}
    with open(name, "w") as f:
        json.dump(doc, f, indent=1, ensure_ascii=True)
        f.write("\n")

write("requests.json", [sign(*c) for c in CASES])
write("tokens.json", [token(*t) for t in TOKENS])
