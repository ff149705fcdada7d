//! The protocols of IAM and SNS (Query) and S3 (REST), as far as the functions speak them.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::HashMap;

use crate::world::{Condition, EPOCH, Op, Reply};

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
    let path = percent_decode_str(uri.path())
        .decode_utf8()
        .unwrap()
        .into_owned();
    let key = path
        .trim_start_matches('/')
        .strip_prefix(BUCKET)
        .unwrap()
        .trim_start_matches('/')
        .to_owned();
    let query: HashMap<String, String> =
        form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    match request.method() {
        "GET" if key.is_empty() => Op::List(query.get("prefix").cloned().unwrap_or_default()),
        "GET" => Op::Get(key),
        "DELETE" => Op::Remove(key),
        "PUT" => {
            let header = |name: &str| request.headers().get(name).map(str::to_owned);
            let condition = header("if-match")
                .map(Condition::Etag)
                .or_else(|| header("if-none-match").map(|_| Condition::Absent));
            Op::Put {
                key,
                body,
                condition,
            }
        }
        other => panic!("the fakes know no {other} {}", request.uri()),
    }
}

fn read_query(body: &str) -> Op {
    let form: HashMap<String, String> = form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let id = || field("VersionId").trim_start_matches('v').parse().unwrap();
    match field("Action").as_str() {
        "ListPolicyVersions" => Op::ListVersions(field("PolicyArn")),
        "GetPolicyVersion" => Op::GetVersion(field("PolicyArn"), id()),
        "CreatePolicyVersion" => {
            assert_eq!(field("SetAsDefault"), "true");
            Op::Create(field("PolicyArn"), field("PolicyDocument"))
        }
        "DeletePolicyVersion" => Op::Delete(field("PolicyArn"), id()),
        "GetRole" => Op::GetRole(field("RoleName")),
        "UpdateAssumeRolePolicy" => Op::UpdateTrust(field("RoleName"), field("PolicyDocument")),
        "Publish" => Op::Publish {
            topic: field("TopicArn"),
            subject: field("Subject"),
            message: field("Message"),
        },
        other => panic!("the fakes know no {other}"),
    }
}

/// When a version was created: later ones later.
fn created_at(id: u64) -> String {
    DateTime::from_secs(EPOCH + i64::try_from(id).unwrap())
        .fmt(Format::DateTime)
        .unwrap()
}

/// The answer as it goes over the wire; `now` is the service's clock.
pub fn write(op: &Op, reply: &Reply, now: i64) -> HttpResponse {
    let date = |seconds: i64, format| DateTime::from_secs(seconds).fmt(format).unwrap();
    let mut headers = vec![("date".to_owned(), date(now, Format::HttpDate))];
    let iam = |name: &str, content: String| {
        format!(
            r#"<{name}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><{name}Result>{content}</{name}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{name}Response>"#
        )
    };
    let (status, body) = match reply {
        Reply::Versions { ids, default } => {
            let member = |id: &u64| {
                format!(
                    "<member><VersionId>v{id}</VersionId><IsDefaultVersion>{}</IsDefaultVersion><CreateDate>{}</CreateDate></member>",
                    id == default,
                    created_at(*id)
                )
            };
            let versions: String = ids.iter().map(member).collect();
            (
                200,
                iam(
                    "ListPolicyVersions",
                    format!("<IsTruncated>false</IsTruncated><Versions>{versions}</Versions>"),
                ),
            )
        }
        Reply::Document(document) => {
            let encoded = utf8_percent_encode(document, NON_ALPHANUMERIC);
            let content = match op {
                Op::GetRole(name) => format!(
                    "<Role><Path>/</Path><RoleName>{name}</RoleName><RoleId>AROA</RoleId><Arn>arn:aws:iam::111122223333:role/{name}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{encoded}</AssumeRolePolicyDocument></Role>"
                ),
                _ => format!(
                    "<PolicyVersion><Document>{encoded}</Document><VersionId>v0</VersionId><IsDefaultVersion>true</IsDefaultVersion></PolicyVersion>"
                ),
            };
            (
                200,
                iam(
                    if matches!(op, Op::GetRole(_)) {
                        "GetRole"
                    } else {
                        "GetPolicyVersion"
                    },
                    content,
                ),
            )
        }
        Reply::Created(id) => (
            200,
            iam(
                "CreatePolicyVersion",
                format!(
                    "<PolicyVersion><VersionId>v{id}</VersionId><IsDefaultVersion>true</IsDefaultVersion><CreateDate>{}</CreateDate></PolicyVersion>",
                    created_at(*id)
                ),
            ),
        ),
        Reply::Object {
            etag,
            body,
            modified,
        } => {
            headers.push(("etag".to_owned(), etag.clone()));
            headers.push((
                "last-modified".to_owned(),
                date(*modified, Format::HttpDate),
            ));
            (200, body.clone())
        }
        Reply::Stored(etag) => {
            headers.push(("etag".to_owned(), etag.clone()));
            (200, String::new())
        }
        Reply::Listing(objects) => {
            let contents: String = objects
                .iter()
                .map(|(key, modified)| {
                    format!(
                        "<Contents><Key>{key}</Key><LastModified>{}</LastModified><Size>1</Size></Contents>",
                        date(*modified, Format::DateTime)
                    )
                })
                .collect();
            (
                200,
                format!(
                    r#"<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"#
                ),
            )
        }
        Reply::Done if matches!(op, Op::Remove(_)) => (204, String::new()),
        Reply::Done => (200, "<R/>".to_owned()),
        Reply::Error(status, code) if op.is_iam() => (
            *status,
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>fake</Message></Error><RequestId>r</RequestId></ErrorResponse>"
            ),
        ),
        Reply::Error(status, code) => (
            *status,
            format!("<Error><Code>{code}</Code><Message>fake</Message></Error>"),
        ),
    };
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    for (name, value) in headers {
        response.headers_mut().insert(name, value);
    }
    response
}
