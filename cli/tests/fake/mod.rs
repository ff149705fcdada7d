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
    let arns = arns.join(",");
    let documents: BTreeMap<String, Option<String>> = roles
        .iter()
        .map(|(name, document)| ((*name).to_owned(), document.map(str::to_owned)))
        .collect();
    serve(move |body| {
        let fields: BTreeMap<String, String> =
            form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let name = field("RoleName");
        match (field("Action"), documents.get(name)) {
            ("DescribeStacks", _) => (
                200,
                format!(
                    "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>ip-gate</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-11-24T00:00:00Z</CreationTime><Parameters><member><ParameterKey>RoleArns</ParameterKey><ParameterValue>{arns}</ParameterValue></member></Parameters></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
                ),
            ),
            ("GetRole", Some(Some(document))) => {
                let document: String =
                    form_urlencoded::byte_serialize(document.as_bytes()).collect();
                let document = document.replace('+', "%20");
                let arn = arn(name);
                (
                    200,
                    format!(
                        "<GetRoleResponse><GetRoleResult><Role><Path>/</Path><RoleName>{name}</RoleName><RoleId>AROA</RoleId><Arn>{arn}</Arn><CreateDate>2026-11-24T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{document}</AssumeRolePolicyDocument></Role></GetRoleResult></GetRoleResponse>"
                    ),
                )
            }
            _ => (
                403,
                "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>".to_owned(),
            ),
        }
    })
}
