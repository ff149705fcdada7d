//! A server that answers as the test says. It stands for AWS where nothing but the program's own reading is tested.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// What to answer: the status and the body.
pub type Answer = (u16, String);

/// Serves until the test ends; -> its URL. `answer` is given the body of each request.
pub fn serve(answer: impl Fn(&str) -> Answer + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // The program may have gone away.
            let _ = reply(connection, &answer);
        }
    });
    url
}

fn reply(connection: TcpStream, answer: &impl Fn(&str) -> Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(&connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, text) = answer(&String::from_utf8(body).unwrap());
    let length = text.len();
    write!(
        &connection,
        "HTTP/1.1 {status} x\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    )
}

/// An account with a stack that manages these roles, each with its trust policy; without one it may not be read.
pub fn account(roles: &[(&str, Option<&str>)]) -> String {
    let arn = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
    let arns: Vec<String> = roles.iter().map(|(name, _)| arn(name)).collect();
    let documents = owned(roles);
    stack(format!("RoleArns={}", arns.join(",")), move |fields| {
        let name = fields.get("RoleName")?;
        let document = percent_encoded(documents.get(name)?.as_ref()?);
        let arn = arn(name);
        (fields.get("Action")? == "GetRole").then(|| (
            200,
            format!(
                "<GetRoleResponse><GetRoleResult><Role><Path>/</Path><RoleName>{name}</RoleName><RoleId>AROA</RoleId><Arn>{arn}</Arn><CreateDate>2026-11-24T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{document}</AssumeRolePolicyDocument></Role></GetRoleResult></GetRoleResponse>"
            ),
        ))
    })
}

/// An account with a stack that manages one policy with these versions. One without a document is deleted after it was
/// listed; the last one is in force.
pub fn policy(versions: &[(&str, Option<&str>)]) -> String {
    let last = versions.last().map(|(id, _)| *id);
    let member = |(id, _): &(&str, Option<&str>)| {
        let is_default = Some(*id) == last;
        format!(
            "<member><VersionId>{id}</VersionId><IsDefaultVersion>{is_default}</IsDefaultVersion><CreateDate>2026-11-24T00:00:00Z</CreateDate></member>"
        )
    };
    let listed: String = versions.iter().map(member).collect();
    let documents = owned(versions);
    let arn = "arn:aws:iam::111122223333:policy/gate";
    stack(format!("PolicyArns={arn}"), move |fields| match fields.get("Action")?.as_str() {
        "ListPolicyVersions" => Some((
            200,
            format!(
                "<ListPolicyVersionsResponse><ListPolicyVersionsResult><Versions>{listed}</Versions></ListPolicyVersionsResult></ListPolicyVersionsResponse>"
            ),
        )),
        "GetPolicyVersion" => Some(match documents.get(fields.get("VersionId")?)? {
            Some(document) => (
                200,
                format!(
                    "<GetPolicyVersionResponse><GetPolicyVersionResult><PolicyVersion><Document>{}</Document></PolicyVersion></GetPolicyVersionResult></GetPolicyVersionResponse>",
                    percent_encoded(document)
                ),
            ),
            None => error(404, "NoSuchEntity"),
        }),
        _ => None,
    })
}

fn owned(documents: &[(&str, Option<&str>)]) -> BTreeMap<String, Option<String>> {
    let owned = documents.iter();
    owned.map(|(name, document)| ((*name).to_owned(), document.map(str::to_owned))).collect()
}

fn percent_encoded(document: &str) -> String {
    let text: String = form_urlencoded::byte_serialize(document.as_bytes()).collect();
    text.replace('+', "%20")
}

fn error(status: u16, code: &str) -> Answer {
    let text = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    );
    (status, text)
}

/// An account with a stack of one parameter, like `Name=value`. `answer` knows all other calls by their fields; what it
/// does not know is denied.
fn stack(
    parameter: String,
    answer: impl Fn(&BTreeMap<String, String>) -> Option<Answer> + Send + 'static,
) -> String {
    serve(move |body| {
        let fields: BTreeMap<String, String> =
            form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        if fields.get("Action").is_some_and(|action| action == "DescribeStacks") {
            let (name, value) = parameter.split_once('=').unwrap();
            return (
                200,
                format!(
                    "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>ip-gate</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-11-24T00:00:00Z</CreationTime><Parameters><member><ParameterKey>{name}</ParameterKey><ParameterValue>{value}</ParameterValue></member></Parameters></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
                ),
            );
        }
        answer(&fields).unwrap_or_else(|| error(403, "AccessDenied"))
    })
}
