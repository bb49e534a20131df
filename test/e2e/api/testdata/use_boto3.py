# Everything of the proxy API with boto3: made, described with paginators, modified, deleted, and what is refused.
# Arguments: the identifiers of two declared databases, of PostgreSQL and of MariaDB.
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

postgres, mariadb = sys.argv[1:]
config = Config(retries={"max_attempts": 0})
rds, sm, iam, sts = (boto3.client(s, config=config) for s in ("rds", "secretsmanager", "iam", "sts"))
unchecked = boto3.client("rds", config=Config(retries={"max_attempts": 0}, parameter_validation=False))


def refused(code, status, call, **kw):
    try:
        call(**kw)
    except ClientError as e:
        got = e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]
        assert got == (code, status), (got, code, status, e)
        assert e.response["ResponseMetadata"]["RequestId"]
        return
    raise AssertionError(f"{call.__name__} {kw} was not refused with {code}")


def every(operation, member, **kw):
    return [x for page in rds.get_paginator(operation).paginate(**kw) for x in page[member]]


account = sts.get_caller_identity()["Account"]
assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{account}:root"

# Secrets Manager
secret = sm.create_secret(Name="boto/app", SecretString=json.dumps({"username": "u", "password": "first"}), Tags=[{"Key": "a", "Value": "b"}])
arn = secret["ARN"]
refused("ResourceExistsException", 400, sm.create_secret, Name="boto/app", SecretString="{}")
first = sm.get_secret_value(SecretId="boto/app")
assert json.loads(first["SecretString"])["password"] == "first" and first["VersionStages"] == ["AWSCURRENT"]
second = sm.put_secret_value(SecretId=arn, SecretString="second")
assert sm.get_secret_value(SecretId=arn, VersionStage="AWSPREVIOUS")["VersionId"] == first["VersionId"]
assert sm.get_secret_value(SecretId=arn)["VersionId"] == second["VersionId"]
assert {v["VersionId"] for v in sm.list_secret_version_ids(SecretId=arn)["Versions"]} == {first["VersionId"], second["VersionId"]}
sm.update_secret(SecretId=arn, Description="words")
sm.tag_resource(SecretId=arn, Tags=[{"Key": "c", "Value": "d"}])
sm.untag_resource(SecretId=arn, TagKeys=["a"])
described = sm.describe_secret(SecretId=arn)
assert described["Description"] == "words" and described["Tags"] == [{"Key": "c", "Value": "d"}], described
for i in range(5):
    sm.create_secret(Name=f"boto/{i}", SecretString="x")
pages = list(sm.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 2}))
assert [len(p["SecretList"]) for p in pages] == [2, 2, 2], pages
assert len(sm.get_random_password(PasswordLength=40)["RandomPassword"]) == 40
refused("ResourceNotFoundException", 400, sm.get_secret_value, SecretId="nothing")
for i in range(5):
    sm.delete_secret(SecretId=f"boto/{i}", ForceDeleteWithoutRecovery=True)
sm.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
refused("InvalidRequestException", 400, sm.get_secret_value, SecretId=arn)
sm.restore_secret(SecretId=arn)

# IAM and STS
role = iam.create_role(RoleName="boto", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:user/boto", "Service": "rds.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))["Role"]
refused("EntityAlreadyExists", 409, iam.create_role, RoleName="boto", AssumeRolePolicyDocument=json.dumps(role["AssumeRolePolicyDocument"]))
refused("NoSuchEntity", 404, iam.get_role, RoleName="nothing")
refused("MalformedPolicyDocument", 400, iam.put_role_policy, RoleName="boto", PolicyName="p", PolicyDocument="{")
iam.put_role_policy(RoleName="boto", PolicyName="reads", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn},
    {"Effect": "Allow", "Action": "rds:DescribeDBProxies", "Resource": "*"}]}))
assert iam.get_role_policy(RoleName="boto", PolicyName="reads")["PolicyDocument"]["Statement"][0]["Resource"] == arn
assert [r["RoleName"] for p in iam.get_paginator("list_roles").paginate() for r in p["Roles"]] == ["boto"]
iam.create_user(UserName="boto")
iam.put_user_policy(UserName="boto", PolicyName="assumes", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role["Arn"]}]}))
key = iam.create_access_key(UserName="boto")["AccessKey"]
user = boto3.Session(aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
refused("AccessDenied", 403, user.client("rds", config=config).describe_db_proxies)
refused("AccessDeniedException", 400, user.client("secretsmanager", config=config).get_secret_value, SecretId=arn)
taken = user.client("sts", config=config).assume_role(RoleArn=role["Arn"], RoleSessionName="session")["Credentials"]
assumed = boto3.Session(aws_access_key_id=taken["AccessKeyId"], aws_secret_access_key=taken["SecretAccessKey"], aws_session_token=taken["SessionToken"])
assert assumed.client("sts", config=config).get_caller_identity()["Arn"] == f"arn:aws:sts::{account}:assumed-role/boto/session"
assumed.client("rds", config=config).describe_db_proxies()
refused("AccessDenied", 403, assumed.client("rds", config=config).delete_db_proxy, DBProxyName="p-00")

# RDS: 21 proxies are two pages of 20
subnets = ["subnet-1", "subnet-2"]
auth = [{"AuthScheme": "SECRETS", "SecretArn": arn, "IAMAuth": "DISABLED"}]
made = {"EngineFamily": "POSTGRESQL", "Auth": auth, "RoleArn": role["Arn"], "VpcSubnetIds": subnets}
for i in range(21):
    p = rds.create_db_proxy(DBProxyName=f"p-{i:02}", Tags=[{"Key": "n", "Value": str(i)}], **made)["DBProxy"]
    assert p["Status"] == "creating" and p["Auth"][0]["SecretArn"] == arn, p
refused("DBProxyAlreadyExistsFault", 400, rds.create_db_proxy, DBProxyName="P-00", **made)
refused("DBProxyQuotaExceededFault", 400, rds.create_db_proxy, DBProxyName="p-21", **made)
refused("InvalidParameterValue", 400, rds.create_db_proxy, DBProxyName="-p", **made)
refused("InvalidSubnet", 400, rds.create_db_proxy, DBProxyName="q", **{**made, "VpcSubnetIds": ["subnet-1"]})
refused("DBProxyNotFoundFault", 404, rds.describe_db_proxies, DBProxyName="nothing")
refused("InvalidParameterValue", 400, unchecked.describe_db_proxies, MaxRecords=19)
pages = list(rds.get_paginator("describe_db_proxies").paginate(PaginationConfig={"PageSize": 20}))
assert [len(p["DBProxies"]) for p in pages] == [20, 1]
proxies = every("describe_db_proxies", "DBProxies")
assert [p["DBProxyName"] for p in proxies] == [f"p-{i:02}" for i in range(21)]
assert len({p["Endpoint"] for p in proxies}) == 21 and {p["Status"] for p in proxies} == {"available"}

p = rds.modify_db_proxy(DBProxyName="p-00", NewDBProxyName="renamed", RequireTLS=True, IdleClientTimeout=60, DebugLogging=True,
                        SecurityGroups=["sg-1"], Auth=[{**auth[0], "Description": "words", "IAMAuth": "REQUIRED"}])["DBProxy"]
p = rds.describe_db_proxies(DBProxyName="renamed")["DBProxies"][0]
assert (p["RequireTLS"], p["IdleClientTimeout"], p["DebugLogging"], p["VpcSecurityGroupIds"]) == (True, 60, True, ["sg-1"]), p
assert p["Auth"][0]["Description"] == "words" and p["Auth"][0]["IAMAuth"] == "REQUIRED" and p["DBProxyArn"] == proxies[0]["DBProxyArn"]
refused("DBProxyNotFoundFault", 404, rds.modify_db_proxy, DBProxyName="p-00", RequireTLS=False)
refused("DBProxyAlreadyExistsFault", 400, rds.modify_db_proxy, DBProxyName="renamed", NewDBProxyName="p-01")

group = rds.modify_db_proxy_target_group(DBProxyName="renamed", TargetGroupName="default", ConnectionPoolConfig={
    "MaxConnectionsPercent": 80, "MaxIdleConnectionsPercent": 10, "ConnectionBorrowTimeout": 5, "InitQuery": "SET x.y = 1"})["DBProxyTargetGroup"]
assert every("describe_db_proxy_target_groups", "TargetGroups", DBProxyName="renamed")[0]["ConnectionPoolConfig"]["MaxConnectionsPercent"] == 80
assert group["IsDefault"] and group["TargetGroupName"] == "default"
refused("InvalidParameterValue", 400, unchecked.modify_db_proxy_target_group, DBProxyName="renamed", TargetGroupName="default",
        ConnectionPoolConfig={"MaxConnectionsPercent": 101})
refused("DBProxyTargetGroupNotFoundFault", 404, rds.describe_db_proxy_target_groups, DBProxyName="renamed", TargetGroupName="other")

refused("DBInstanceNotFound", 404, rds.register_db_proxy_targets, DBProxyName="renamed", DBInstanceIdentifiers=["nothing"])
refused("InvalidParameterCombination", 400, rds.register_db_proxy_targets, DBProxyName="renamed", DBInstanceIdentifiers=[postgres], DBClusterIdentifiers=[postgres])
target = rds.register_db_proxy_targets(DBProxyName="renamed", DBInstanceIdentifiers=[postgres])["DBProxyTargets"][0]
assert target["RdsResourceId"] == postgres and target["Type"] == "RDS_INSTANCE", target
refused("DBProxyTargetAlreadyRegisteredFault", 400, rds.register_db_proxy_targets, DBProxyName="renamed", DBInstanceIdentifiers=[postgres])
assert len(every("describe_db_proxy_targets", "Targets", DBProxyName="renamed")) == 1
assert [d["DBInstanceIdentifier"] for d in every("describe_db_instances", "DBInstances")] == sorted([postgres, mariadb])
assert every("describe_db_instances", "DBInstances", Filters=[{"Name": "engine", "Values": ["mariadb"]}])[0]["DBInstanceIdentifier"] == mariadb

for i in range(3):
    e = rds.create_db_proxy_endpoint(DBProxyName="renamed", DBProxyEndpointName=f"e-{i}", VpcSubnetIds=subnets, Tags=[{"Key": "k", "Value": "v"}])["DBProxyEndpoint"]
    assert e["TargetRole"] == "READ_WRITE" and e["Endpoint"]
refused("DBProxyEndpointAlreadyExistsFault", 400, rds.create_db_proxy_endpoint, DBProxyName="renamed", DBProxyEndpointName="e-0", VpcSubnetIds=subnets)
rds.modify_db_proxy_endpoint(DBProxyEndpointName="e-0", NewDBProxyEndpointName="e-9", VpcSecurityGroupIds=["sg-9"])
assert [e["DBProxyEndpointName"] for e in every("describe_db_proxy_endpoints", "DBProxyEndpoints", DBProxyName="renamed")] == ["e-1", "e-2", "e-9"]
refused("DBProxyEndpointNotFoundFault", 404, rds.describe_db_proxy_endpoints, DBProxyEndpointName="e-0")
refused("DBProxyEndpointNotFoundFault", 404, rds.delete_db_proxy_endpoint, DBProxyEndpointName="e-0")
rds.delete_db_proxy_endpoint(DBProxyEndpointName="e-9")

rds.add_tags_to_resource(ResourceName=p["DBProxyArn"], Tags=[{"Key": "more", "Value": "x"}])
rds.remove_tags_from_resource(ResourceName=p["DBProxyArn"], TagKeys=["n"])
assert rds.list_tags_for_resource(ResourceName=p["DBProxyArn"])["TagList"] == [{"Key": "more", "Value": "x"}]
events = every("describe_events", "Events", SourceType="db-proxy", SourceIdentifier="renamed")
assert events and all(e["SourceType"] == "db-proxy" for e in events), events

rds.deregister_db_proxy_targets(DBProxyName="renamed", DBInstanceIdentifiers=[postgres])
refused("DBProxyTargetNotFoundFault", 404, rds.deregister_db_proxy_targets, DBProxyName="renamed", DBInstanceIdentifiers=[postgres])
for name in ["renamed"] + [f"p-{i:02}" for i in range(1, 21)]:
    assert rds.delete_db_proxy(DBProxyName=name)["DBProxy"]["Status"] == "deleting"
refused("DBProxyNotFoundFault", 404, rds.delete_db_proxy, DBProxyName="renamed")
assert not every("describe_db_proxies", "DBProxies") and not every("describe_db_proxy_endpoints", "DBProxyEndpoints")
refused("InvalidAction", 400, rds.describe_db_snapshots)

# What holds a key cannot be deleted; then all goes.
refused("DeleteConflict", 409, iam.delete_role, RoleName="boto")
iam.delete_role_policy(RoleName="boto", PolicyName="reads")
iam.delete_role(RoleName="boto")
iam.delete_access_key(UserName="boto", AccessKeyId=key["AccessKeyId"])
iam.delete_user_policy(UserName="boto", PolicyName="assumes")
iam.delete_user(UserName="boto")
refused("InvalidClientTokenId", 403, user.client("sts", config=config).get_caller_identity)
sm.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
print(taken["SecretAccessKey"], taken["SessionToken"], key["SecretAccessKey"], "ok")
