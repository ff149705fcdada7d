//! The protocols of IAM, STS and SNS (Query) and S3 (REST), as far as the functions speak them.
//!
//! As the real services do: documents are percent-encoded in IAM's answers, keys XML-escaped in S3's, and every answer
//! carries the service's clock. A request that the functions should never make ends the test.

use std::collections::HashMap;
use std::time::SystemTime;

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::op::{Condition, Op, Reply};
use crate::world::EPOCH;

/// Where the SDK is told that AWS is.
pub const ENDPOINT: &str = "http://aws.test";

/// The bucket of every fake world.
pub const BUCKET: &str = "state";

/// Reads a request of the SDK.
pub fn read(request: &HttpRequest) -> Op {
    let uri: http::Uri = request.uri().parse().unwrap();
    let body = String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).unwrap();
    if uri.path() == "/" {
        return read_query(&body);
    }
    let path = percent_decode_str(uri.path()).decode_utf8().unwrap().into_owned();
    let key = path
        .trim_start_matches('/')
        .strip_prefix(BUCKET)
        .unwrap()
        .trim_start_matches('/')
        .to_owned();
    let query: HashMap<String, String> =
        form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    match request.method() {
        "GET" if key.is_empty() => {
            assert_eq!(query.get("list-type").map(String::as_str), Some("2"));
            let after = query.get("continuation-token").or_else(|| query.get("start-after"));
            Op::ListObjectsV2(query.get("prefix").cloned().unwrap_or_default(), after.cloned())
        }
        "GET" => Op::GetObject(key),
        "DELETE" => Op::DeleteObject(key),
        "PUT" => {
            let header = |name: &str| request.headers().get(name).map(str::to_owned);
            let condition = header("if-match")
                .map(Condition::Etag)
                .or_else(|| header("if-none-match").map(|_| Condition::Absent));
            Op::PutObject { key, body, condition }
        }
        other => panic!("the fakes know no {other} {}", request.uri()),
    }
}

/// Whose credentials a request is signed with: the access key id.
pub fn signer(request: &HttpRequest) -> Option<&str> {
    let header = request.headers().get("authorization")?;
    let (_, credential) = header.split_once("Credential=")?;
    credential.split('/').next()
}

fn read_query(body: &str) -> Op {
    let form: HashMap<String, String> =
        form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let id = || field("VersionId").trim_start_matches('v').parse().unwrap();
    match field("Action").as_str() {
        "ListPolicyVersions" => Op::ListPolicyVersions(field("PolicyArn")),
        "GetPolicyVersion" => Op::GetPolicyVersion(field("PolicyArn"), id()),
        "CreatePolicyVersion" => {
            assert_eq!(field("SetAsDefault"), "true");
            Op::CreatePolicyVersion(field("PolicyArn"), field("PolicyDocument"))
        }
        "DeletePolicyVersion" => Op::DeletePolicyVersion(field("PolicyArn"), id()),
        "GetRole" => Op::GetRole(field("RoleName")),
        "UpdateAssumeRolePolicy" => {
            Op::UpdateAssumeRolePolicy(field("RoleName"), field("PolicyDocument"))
        }
        "Publish" => Op::Publish {
            topic: field("TopicArn"),
            subject: field("Subject"),
            message: field("Message"),
        },
        "AssumeRole" => Op::AssumeRole {
            role: field("RoleArn"),
            session: field("RoleSessionName"),
            duration: form.get("DurationSeconds").map(|text| text.parse().unwrap()),
            policy: form.get("Policy").cloned(),
        },
        other => panic!("the fakes know no {other}"),
    }
}

fn date(seconds: i64, format: Format) -> String {
    DateTime::from_secs(seconds).fmt(format).unwrap()
}

/// When a version was created: later ones later.
fn created_at(id: u64) -> String {
    date(EPOCH + i64::try_from(id).unwrap(), Format::DateTime)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

fn encoded(document: &str) -> String {
    utf8_percent_encode(document, NON_ALPHANUMERIC).to_string()
}

/// A successful answer of a Query service.
fn answer(name: &str, content: &str) -> String {
    format!(
        r"<{name}Response><{name}Result>{content}</{name}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{name}Response>"
    )
}

/// The answer as it goes over the wire; `now` is the service's clock.
pub fn write(op: &Op, reply: &Reply, now: i64) -> HttpResponse {
    let mut headers = vec![("date", date(now, Format::HttpDate))];
    let (status, body) = match reply {
        Reply::Object { etag, body, modified } => {
            headers.push(("etag", etag.clone()));
            headers.push(("last-modified", date(*modified, Format::HttpDate)));
            (200, body.clone())
        }
        Reply::Stored(etag) => {
            headers.push(("etag", etag.clone()));
            (200, String::new())
        }
        Reply::Listing { objects, next } => (200, listing(objects, next.as_deref())),
        Reply::Done if matches!(op, Op::DeleteObject(_)) => (204, String::new()),
        Reply::Error(status, code) if op.is_s3() => {
            (*status, format!("<Error><Code>{code}</Code><Message>fake</Message></Error>"))
        }
        Reply::Error(status, code) => (
            *status,
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>fake</Message></Error><RequestId>r</RequestId></ErrorResponse>"
            ),
        ),
        other => (200, query_answer(op, other)),
    };
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    for (name, value) in headers {
        response.headers_mut().insert(name, value);
    }
    response
}

fn listing(objects: &[(String, i64)], next: Option<&str>) -> String {
    let object = |(key, modified): &(String, i64)| {
        format!(
            "<Contents><Key>{}</Key><LastModified>{}</LastModified><Size>1</Size></Contents>",
            escaped(key),
            date(*modified, Format::DateTime)
        )
    };
    let contents: String = objects.iter().map(object).collect();
    let token = next.map_or_else(String::new, |key| {
        format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(key))
    });
    format!(
        r#"<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>{}</IsTruncated>{token}{contents}</ListBucketResult>"#,
        next.is_some()
    )
}

fn query_answer(op: &Op, reply: &Reply) -> String {
    match (op, reply) {
        (_, Reply::Versions { ids, default }) => {
            let member = |id: &u64| {
                format!(
                    "<member><VersionId>v{id}</VersionId><IsDefaultVersion>{}</IsDefaultVersion><CreateDate>{}</CreateDate></member>",
                    id == default,
                    created_at(*id)
                )
            };
            let versions: String = ids.iter().map(member).collect();
            answer(
                "ListPolicyVersions",
                &format!("<IsTruncated>false</IsTruncated><Versions>{versions}</Versions>"),
            )
        }
        (Op::GetPolicyVersion(_, id), Reply::Document(document)) => answer(
            "GetPolicyVersion",
            &format!(
                "<PolicyVersion><Document>{}</Document><VersionId>v{id}</VersionId><IsDefaultVersion>false</IsDefaultVersion></PolicyVersion>",
                encoded(document)
            ),
        ),
        (_, Reply::Role { arn, trust_policy }) => {
            let (_, path_and_name) = arn.split_once(":role").unwrap();
            let (path, name) = path_and_name.rsplit_once('/').unwrap();
            answer(
                "GetRole",
                &format!(
                    "<Role><Path>{path}/</Path><RoleName>{name}</RoleName><RoleId>AROAFAKE</RoleId><Arn>{arn}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{}</AssumeRolePolicyDocument></Role>",
                    encoded(trust_policy)
                ),
            )
        }
        (_, Reply::Created(id)) => answer(
            "CreatePolicyVersion",
            &format!(
                "<PolicyVersion><VersionId>v{id}</VersionId><IsDefaultVersion>true</IsDefaultVersion><CreateDate>{}</CreateDate></PolicyVersion>",
                created_at(*id)
            ),
        ),
        (Op::AssumeRole { duration, .. }, Reply::Assumed(access_key)) => {
            // The SDK compares this with the machine's own clock.
            let now = DateTime::from(SystemTime::now()).secs();
            let ends = now + i64::try_from(duration.unwrap_or(3600)).unwrap();
            answer(
                "AssumeRole",
                &format!(
                    "<Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken><Expiration>{}</Expiration></Credentials>",
                    date(ends, Format::DateTime)
                ),
            )
        }
        (Op::Publish { .. }, _) => answer("Publish", "<MessageId>m</MessageId>"),
        (Op::DeletePolicyVersion(..), _) => answer("DeletePolicyVersion", ""),
        _ => answer("UpdateAssumeRolePolicy", ""),
    }
}
