"""The account as an administrator sees it, and calls signed as a user from a chosen loopback address."""

import http.client
import json
import urllib.parse

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

REGION = "us-east-1"


class Account:
    def __init__(self, endpoint, root="test"):
        self.endpoint = endpoint
        options = {
            "endpoint_url": endpoint,
            "region_name": REGION,
            "aws_access_key_id": root,
            "aws_secret_access_key": "test",
            "config": Config(s3={"addressing_style": "path"}, retries={"mode": "standard"}),
        }
        self.iam, self.s3, self.lambda_, self.sns, self.sqs = (
            boto3.client(name, **options) for name in ("iam", "s3", "lambda", "sns", "sqs")
        )

    def empty_bucket(self, bucket):
        for item in self.s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            self.s3.delete_object(Bucket=bucket, Key=item["Key"])

    def start_over(self, arn, document):
        """Leaves one version with this document."""
        self.prune(arn)
        self.iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True)
        self.prune(arn)

    def prune(self, arn):
        for version in self.versions(arn):
            if not version["IsDefaultVersion"]:
                self.iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])

    def versions(self, arn):
        return self.iam.list_policy_versions(PolicyArn=arn)["Versions"]

    def default(self, arn):
        return next(version["VersionId"] for version in self.versions(arn) if version["IsDefaultVersion"])

    def document(self, arn):
        version = self.iam.get_policy_version(PolicyArn=arn, VersionId=self.default(arn))["PolicyVersion"]
        document = version["Document"]
        return document if isinstance(document, dict) else json.loads(urllib.parse.unquote(document))

    def entries(self, arn):
        return self.document(arn)["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"]

    def keys(self, bucket, prefix=""):
        return [
            item["Key"] for item in self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        ]

    def lease(self, bucket):
        return json.loads(self.s3.get_object(Bucket=bucket, Key="lease.json")["Body"].read())

    def invoke(self, function, event=None):
        answer = self.lambda_.invoke(FunctionName=function, Payload=json.dumps(event or {}).encode())
        return answer.get("FunctionError"), json.loads(answer["Payload"].read())

    def trust_entries(self, role, operator):
        """The list of a trust policy's last statement."""
        statement = self.iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"][-1]
        return statement["Condition"][operator]["aws:SourceIp"]

    def assume_status(self, user, source, role):
        """Assumes a role as a user, from a loopback address; -> HTTP status."""
        arguments = {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": "test",
        }
        return self.signed_status(user, source, "sts", urllib.parse.urlencode(arguments))

    def signed_status(self, user, source, service="iam", body="Action=ListUsers&Version=2010-05-08"):
        """A call signed by a user, from a loopback address; -> HTTP status."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = AWSRequest("POST", self.endpoint + "/", data=body, headers=headers)
        SigV4Auth(Credentials(*user), service, REGION).add_auth(request)
        parts = urllib.parse.urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(
            parts.hostname, parts.port, source_address=(source, 0), timeout=30
        )
        connection.request("POST", "/", body, dict(request.headers))
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status
