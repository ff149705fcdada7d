"""The job of add-ip as short as boto3 allows: a custom runtime that adds the caller's address to a policy.

It asks S3 nothing and checks nothing: no member key, no lease, no limit, no baseline. The benchmark compares
add-ip with it. Do not deploy it.
"""

import http.client
import json
import os

import boto3

POLICY = os.environ["POLICY_ARNS"]
# Made at start, as AWS advises: a warm function uses them again.
iam = boto3.client("iam")
lambda_api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def add(network):
    """Lists, reads, deletes the oldest of five, creates."""
    versions = iam.list_policy_versions(PolicyArn=POLICY)["Versions"]
    default = next(version["VersionId"] for version in versions if version["IsDefaultVersion"])
    document = iam.get_policy_version(PolicyArn=POLICY, VersionId=default)["PolicyVersion"]["Document"]
    networks = document["Statement"][0]["Condition"]["NotIpAddress"]["aws:SourceIp"]
    if network in networks:
        return "already_allowed"
    networks.append(network)
    if len(versions) == 5:
        others = [version["VersionId"] for version in versions if not version["IsDefaultVersion"]]
        oldest = min(others, key=lambda version: int(version[1:]))
        iam.delete_policy_version(PolicyArn=POLICY, VersionId=oldest)
    iam.create_policy_version(
        PolicyArn=POLICY, PolicyDocument=json.dumps(document, separators=(",", ":")), SetAsDefault=True
    )
    return "added"


def call_lambda(method, path, body=None):
    """One call of the Runtime API; -> the headers and the body of the answer."""
    lambda_api.request(method, f"/2018-06-01/runtime/invocation/{path}", body)
    answer = lambda_api.getresponse()
    return answer.headers, answer.read()


while True:
    headers, event = call_lambda("GET", "next")
    address = json.loads(event)["requestContext"]["identity"]["sourceIp"]
    status = add(f"{address}/32")
    result = {"statusCode": 200, "body": json.dumps({"status": status}, separators=(",", ":"))}
    call_lambda("POST", f"{headers['Lambda-Runtime-Aws-Request-Id']}/response", json.dumps(result))
