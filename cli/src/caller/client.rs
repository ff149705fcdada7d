//! HTTP to the gate: one request, one answer, and never longer than its time.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;

use crate::http_client::{self, is_loopback};
use crate::problem::chain;

/// The gateway answers within 29 s.
const LONGEST: Duration = Duration::from_secs(35);

/// An answer that makes no call to AWS.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// An answer of the gate.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The JSON; `null` if there is none.
    pub body: Value,
    /// After how many seconds to try again.
    pub retry_after: Option<u64>,
    /// The origin of the other API, as this one names it.
    pub peer_origin: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(String);

/// The HTTP client.
#[derive(Debug)]
pub struct Client(Connector);

impl Client {
    /// A client for a page. It makes no connection yet.
    pub fn new(page: &str) -> Self {
        Self(http_client::connector(page))
    }

    /// `GET` of the page as JSON: without a key and without cost.
    pub async fn look(&self, page: &str) -> Result<Reply, Unreachable> {
        self.send("GET", page, None, SdkBody::empty(), LONGEST_LOOK).await
    }

    /// `POST` with a key and the fields of a form.
    pub async fn post(
        &self,
        url: &str,
        key: &str,
        fields: &[(&str, &str)],
    ) -> Result<Reply, Unreachable> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send("POST", url, Some(key), SdkBody::from(form), LONGEST).await
    }

    async fn send(
        &self,
        method: &str,
        url: &str,
        key: Option<&str>,
        body: SdkBody,
        longest: Duration,
    ) -> Result<Reply, Unreachable> {
        let request = request(method, url, key, body)
            .map_err(|_| Unreachable(format!("`{url}` cannot be called")))?;
        let answer = async {
            let response = self.0.call(request).await;
            let response = response.map_err(|error| Unreachable(chain(&error)))?;
            let header = |name: &str| response.headers().get(name).map(str::to_owned);
            let (retry_after, peer_origin) =
                (header("retry-after"), header("access-control-allow-origin"));
            let status = response.status().as_u16();
            let bytes = ByteStream::new(response.into_body()).collect().await;
            let bytes = bytes.map_err(|error| Unreachable(chain(&error)))?;
            Ok(Reply {
                status,
                body: serde_json::from_slice(&bytes.to_vec()).unwrap_or_default(),
                retry_after: retry_after.and_then(|seconds| seconds.parse().ok()),
                peer_origin,
            })
        };
        let seconds = longest.as_secs();
        let late = |_| Unreachable(format!("no answer within {seconds} s"));
        tokio::time::timeout(longest, answer).await.map_err(late)?
    }
}

fn request(
    method: &str,
    url: &str,
    key: Option<&str>,
    body: SdkBody,
) -> Result<HttpRequest, Box<dyn std::error::Error>> {
    let uri: http::Uri = url.parse()?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let mut request = HttpRequest::new(body);
    request.set_method(method)?;
    match uri.host() {
        // Not every resolver knows that names under `localhost` are this machine.
        Some(host) if is_loopback(host) && host.ends_with(".localhost") => {
            let port = uri.port_u16().unwrap_or(80);
            request.set_uri(format!("http://127.0.0.1:{port}{}", uri.path()))?;
        }
        _ => request.set_uri(url)?,
    }
    let headers = request.headers_mut();
    headers.try_insert("host", authority.to_owned())?;
    headers.try_insert("accept", "application/json")?;
    headers.try_insert("user-agent", concat!("ip-gate/", env!("CARGO_PKG_VERSION")))?;
    if let Some(key) = key {
        headers.try_insert("authorization", format!("Bearer {key}"))?;
        headers.try_insert("content-type", "application/x-www-form-urlencoded")?;
    }
    Ok(request)
}
