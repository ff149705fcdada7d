//! Invoking the real handlers on a fake account: events in, answers out. No other test calls a handler, so that a
//! handler's signature changes here alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use allowlist::{AddConfig, Config};
use allowlist_aws::aws::Aws;
use allowlist_aws::flow::lease::Release;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_iam::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};

use crate::connection::{Connection, Director};
use crate::wire::{BUCKET, ENDPOINT};
use crate::world::POLICY;

/// The key of the member `alice`, and of everybody whom [`member`] names.
pub fn key(name: &str) -> String {
    format!("{:-<40}", format!("key-of-{name}"))
}

/// Where the file of a member is, and what is in it.
pub fn member(name: &str) -> (String, String) {
    member_with_key(&key(name), name)
}

/// The file of a member who has this key.
pub fn member_with_key(key: &str, name: &str) -> (String, String) {
    (allowlist::grant::member_object(key), json!({ "name": name }).to_string())
}

/// The file of a member whose key is good until then.
pub fn member_until(name: &str, expires: &str) -> (String, String) {
    let (object, _) = member(name);
    (object, json!({ "name": name, "expires": expires }).to_string())
}

/// The settings of add-ip for [`POLICY`], with these variables set as well.
pub fn add_config(variables: &[(&str, &str)]) -> AddConfig {
    AddConfig::read(|name| read(variables, name)).unwrap()
}

/// The settings of reset-policy for [`POLICY`], with these variables set as well.
pub fn reset_config(variables: &[(&str, &str)]) -> Config {
    Config::read(|name| read(variables, name)).unwrap()
}

fn read(variables: &[(&str, &str)], name: &str) -> Option<String> {
    let set = variables
        .iter()
        .find(|(candidate, _)| *candidate == name)
        .map(|(_, value)| (*value).to_owned());
    set.or_else(|| match name {
        "POLICY_ARNS" => Some(POLICY.to_owned()),
        "STATE_BUCKET" => Some(BUCKET.to_owned()),
        _ => None,
    })
}

/// The SDK's settings on a fake account; without credentials every call ends before it is sent.
fn sdk(author: Arc<AtomicUsize>, director: Arc<dyn Director>, credentials: bool) -> SdkConfig {
    let builder = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(ENDPOINT)
        .sleep_impl(TokioSleep::new())
        .http_client(Connection::new(author, director));
    let given = Credentials::new("AKID", "secret", None, None, "fake");
    match credentials {
        true => builder.credentials_provider(SharedCredentialsProvider::new(given)),
        false => builder,
    }
    .build()
}

/// A deadline that has passed counts as none: the functions then take their longest time, to the millisecond.
fn context(request_id: &str) -> Context {
    let mut context = Context::default();
    context.request_id = request_id.to_owned();
    context
}

/// The answer of add-ip.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: Value,
    pub body: Value,
}

impl Answer {
    /// The word for what happened: the status of a success, the kind of an error.
    pub fn word(&self) -> String {
        let word = self.body.get("error").or_else(|| self.body.get("status"));
        word.and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// Somebody who calls the functions.
#[derive(Clone)]
pub struct Caller {
    pub author: usize,
    pub director: Arc<dyn Director>,
    credentials: bool,
}

impl Caller {
    pub fn new(author: usize, director: Arc<dyn Director>) -> Self {
        Self { author, director, credentials: true }
    }

    /// The functions have no credentials to sign with.
    #[must_use]
    pub fn without_credentials(self) -> Self {
        Self { credentials: false, ..self }
    }

    /// Sends an event to add-ip, in a process of its own; its work after the response is done too.
    pub async fn event(&self, config: AddConfig, event: Value) -> Answer {
        Box::pin(self.function(config).await.event(event)).await
    }

    /// A process of add-ip, which keeps what it knows from one event to the next.
    pub async fn function(&self, config: AddConfig) -> Function {
        let author = Arc::new(AtomicUsize::new(self.author));
        let sdk = sdk(author.clone(), self.director.clone(), self.credentials);
        let aws = Aws::new(&sdk, &config.config);
        Function { deps: add_ip::Deps::new(config, aws, "us-east-1".to_owned()), author }
    }

    /// `GET /add` from an address, by a member.
    pub async fn add(&self, name: &str, address: &str) -> Answer {
        self.event(add_config(&[]), add_event(name, address)).await
    }

    /// Invokes reset-policy, in a process of its own.
    pub async fn reset(
        &self,
        config: Config,
        event: Value,
    ) -> Result<Value, lambda_runtime::Diagnostic> {
        let author = Arc::new(AtomicUsize::new(self.author));
        let sdk = sdk(author, self.director.clone(), self.credentials);
        let aws = Aws::new(&sdk, &config);
        let deps = reset_policy::Deps { config, aws };
        let request_id = format!("reset-{}", self.author);
        Box::pin(reset_policy::handle(LambdaEvent::new(event, context(&request_id)), &deps)).await
    }
}

/// A process of add-ip.
pub struct Function {
    deps: add_ip::Deps,
    author: Arc<AtomicUsize>,
}

/// What a process has left to do after its answer.
pub struct Rest(Option<Box<Release>>);

impl Rest {
    /// Does it.
    pub async fn run(self) {
        if let Some(release) = self.0 {
            release.run().await;
        }
    }
}

impl Function {
    /// From now on its calls are this author's: a process handles one request after the other.
    pub fn set_author(&self, author: usize) {
        self.author.store(author, Ordering::Relaxed);
    }

    /// Handles an event, and does the work after the response.
    pub async fn event(&self, event: Value) -> Answer {
        let (answer, rest) = self.answer(event).await;
        rest.run().await;
        answer
    }

    /// Handles an event; -> the answer, and what is left to do after it.
    pub async fn answer(&self, event: Value) -> (Answer, Rest) {
        self.payload(&event.to_string()).await
    }

    /// Handles an event as it comes over the wire, which may be anything.
    pub async fn payload(&self, payload: &str) -> (Answer, Rest) {
        let request_id = format!("add-{}", self.author.load(Ordering::Relaxed));
        let (response, release) = add_ip::handle(payload, &context(&request_id), &self.deps).await;
        let response = serde_json::to_value(response).unwrap();
        let body = response["body"].as_str().unwrap();
        let answer = Answer {
            status: u16::try_from(response["statusCode"].as_u64().unwrap()).unwrap(),
            headers: response["headers"].clone(),
            body: serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)),
        };
        (answer, Rest(release))
    }
}

/// The event of a request to add-ip, by a member from an address.
fn event(method: &str, resource: &str, name: &str, address: &str) -> Value {
    json!({
        "resource": resource, "path": resource, "httpMethod": method,
        "headers": { "Authorization": format!("Bearer {}", key(name)) },
        "requestContext": { "identity": { "sourceIp": address } },
    })
}

fn with_query(mut event: Value, query: &[(&str, &str)]) -> Value {
    for (name, value) in query {
        event["queryStringParameters"][*name] = (*value).into();
    }
    event
}

/// The event of `GET /add`.
pub fn add_event(name: &str, address: &str) -> Value {
    event("GET", "/add", name, address)
}

/// The event of `GET /add?for=…`: an entry that ends by itself.
pub fn add_event_for(name: &str, address: &str, length: &str) -> Value {
    with_query(add_event(name, address), &[("for", length)])
}

/// The event of `POST /remove`: the caller's own network, or with `("network", …)` or `("all", "true")` others.
pub fn remove_event(name: &str, address: &str, query: &[(&str, &str)]) -> Value {
    with_query(event("POST", "/remove", name, address), query)
}

/// The event of `GET /status`.
pub fn status_event(name: &str, address: &str) -> Value {
    event("GET", "/status", name, address)
}

/// The event that makes reset-policy end what is over.
pub fn expire_event() -> Value {
    json!({ "expire": true })
}

/// The event that makes reset-policy take all entries of a member away.
pub fn revoke_member_event(name: &str) -> Value {
    json!({ "revoke_member": name })
}

/// The event that makes reset-policy go back to a version.
pub fn rollback_event(arn: &str, version: &str) -> Value {
    json!({ "rollback": version, "arn": arn })
}
