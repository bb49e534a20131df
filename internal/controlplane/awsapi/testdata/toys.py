"""Talks to the toy services of botocore_test.go with botocore's own serializers and parsers, and checks what comes back.

usage: toys.py URL. Prints "ok" at the end; any difference is an exception.
"""

import datetime
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

UTC = datetime.timezone.utc
AT = datetime.datetime(2026, 11, 22, 10, 35, 54, 910000, tzinfo=UTC)


def client(service, region="eu-west-1"):
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=sys.argv[1],
        aws_access_key_id="AKIDX",
        aws_secret_access_key="x",
        config=Config(retries={"max_attempts": 0}, parameter_validation=False),  # the server is to judge
    )


def same(got, want):
    if isinstance(got, dict):
        got = {k: v for k, v in got.items() if k != "ResponseMetadata"}
    assert got == want, f"\ngot  {got!r}\nwant {want!r}"


def refused(code, status, message, call, **args):
    try:
        got = call(**args)
    except ClientError as e:
        r = e.response
        assert (r["Error"]["Code"], r["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), r
        assert message in r["Error"]["Message"], r
        assert len(r["ResponseMetadata"]["RequestId"]) == 36, r
        return e
    raise AssertionError(f"no error: {got}")


rds = client("rds")

# Lists of structures, tags, numbers, booleans, timestamps; an empty list is not an absent one.
made = dict(
    DBProxyName="p é&<>",
    EngineFamily="MYSQL",
    RoleArn="arn:aws:iam::123456789012:role/r",
    VpcSubnetIds=["subnet-1", "subnet-2"],
    Auth=[
        {"AuthScheme": "SECRETS", "SecretArn": "arn:aws:secretsmanager:a", "IAMAuth": "DISABLED"},
        {"Description": "line\r\nend\tx", "SecretArn": "arn:aws:secretsmanager:b"},
    ],
    RequireTLS=True,
    DebugLogging=False,
    IdleClientTimeout=1800,
    Tags=[{"Key": "k", "Value": "v w+x"}, {"Key": "empty", "Value": ""}],
)
proxy = rds.create_db_proxy(**made)["DBProxy"]
want = {k: v for k, v in made.items() if k != "Tags"}
same(proxy, want | {"CreatedDate": AT})
same(rds.list_tags_for_resource(ResourceName="p é&<>"), {"TagList": made["Tags"]})
same(rds.modify_db_proxy(DBProxyName="p", Auth=[])["DBProxy"], {"DBProxyName": "p", "Auth": []})
same(rds.modify_db_proxy(DBProxyName="p")["DBProxy"], {"DBProxyName": "p"})
got = rds.modify_db_proxy_target_group(
    DBProxyName="p",
    TargetGroupName="default",
    ConnectionPoolConfig={"MaxConnectionsPercent": 80, "SessionPinningFilters": ["EXCLUDE_VARIABLE_SETS"]},
)
same(
    got["DBProxyTargetGroup"]["ConnectionPoolConfig"],
    {"MaxConnectionsPercent": 80, "SessionPinningFilters": ["EXCLUDE_VARIABLE_SETS"]},
)

# An answer with an empty Result element, and one with none.
same(rds.deregister_db_proxy_targets(DBProxyName="p", DBInstanceIdentifiers=["i"]), {})
same(rds.add_tags_to_resource(ResourceName="r", Tags=[{"Key": "k"}]), {})

# Pagination and filters.
pages = list(rds.get_paginator("describe_db_proxies").paginate(PaginationConfig={"PageSize": 20}))
assert [len(p["DBProxies"]) for p in pages] == [20, 20, 10], pages
assert len({r["DBProxyName"] for p in pages for r in p["DBProxies"]}) == 50, pages
assert "Marker" not in pages[2], pages[2]
same(rds.describe_db_proxies(Filters=[{"Name": "n", "Values": ["a", "b"]}])["DBProxies"], [{"DBProxyName": "n=a,b"}])
refused("InvalidParameterValue", 400, "between 20 and 100", rds.describe_db_proxies, MaxRecords=5)
refused("InvalidParameterValue", 400, "Marker", rds.describe_db_proxies, Marker="nonsense")

# Errors, those of the model as exceptions of their own.
e = refused("DBProxyNotFoundFault", 404, "no <p>", rds.delete_db_proxy, DBProxyName="p")
assert isinstance(e, rds.exceptions.DBProxyNotFoundFault), type(e)
refused("MissingParameter", 400, "The parameter DBProxyName must be provided", rds.deregister_db_proxy_targets)
refused("ValidationError", 400, "Unknown parameter NewName", rds.modify_db_proxy_target_group, DBProxyName="p", TargetGroupName="default", NewName="n")
refused("InvalidAction", 400, "RebootDBInstance", rds.reboot_db_instance, DBInstanceIdentifier="i")
refused("SignatureDoesNotMatch", 403, "valid region", client("rds", "us-west-2").delete_db_proxy, DBProxyName="p")
refused("InvalidAction", 400, "ec2 is not served", client("ec2").describe_vpcs)
refused("InvalidAction", 400, "sns is not served", client("sns").list_topics)
refused("UnknownOperationException", 400, "kms is not served", client("kms").list_keys)

# JSON: blobs, timestamps, maps, an error of the model.
sm = client("secretsmanager")
same(sm.put_secret_value(SecretId="s", SecretBinary=b"\x00\x01\xff"), {"Name": "s"})
same(
    sm.get_secret_value(SecretId="s"),
    {"Name": "s", "SecretBinary": b"\x00\x01\xff", "SecretString": 'ü"\\\n\x01', "VersionStages": [], "CreatedDate": AT.astimezone()},
)
same(sm.describe_secret(SecretId="s"), {"VersionIdsToStages": {"v1": ["AWSCURRENT"], "v2": []}})
e = refused("ResourceNotFoundException", 400, "can't find", sm.delete_secret, SecretId="s")
assert isinstance(e, sm.exceptions.ResourceNotFoundException), type(e)
refused("ValidationException", 400, "Unknown parameter VersionId", sm.get_secret_value, SecretId="s", VersionId="v" * 32)
refused("ValidationException", 400, "Value null at 'secretId' failed to satisfy constraint", sm.get_secret_value)
refused("UnknownOperationException", 400, "ListSecrets", sm.list_secrets)

# A service with one endpoint for all regions, whatever botocore signs for.
same(client("sts").get_caller_identity(), {"Account": "123456789012"})
same(client("sts", "us-east-1").get_caller_identity(), {"Account": "123456789012"})

print("ok")
