//! Invoking the real handlers on a fake account: events in, answers out.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use allowlist::{AddConfig, Config};
use allowlist_aws::aws::Aws;
use allowlist_aws::flow::holder::Finish;
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
    format!("key-of-{name}")
}

/// Where the file of a member is.
pub fn member(name: &str) -> (String, String) {
    (
        allowlist::grant::member_object(&key(name)),
        json!({ "name": name }).to_string(),
    )
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

/// The SDK's settings on a fake account.
pub fn sdk(author: Arc<AtomicUsize>, director: Arc<dyn Director>) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKID", "secret", None, None, "fake",
        )))
        .endpoint_url(ENDPOINT)
        .sleep_impl(TokioSleep::new())
        .http_client(Connection::new(author, director))
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
}

impl Caller {
    pub fn new(author: usize, director: Arc<dyn Director>) -> Self {
        Self { author, director }
    }

    /// Sends an event to add-ip, in a process of its own; its work after the response is done too.
    pub async fn event(&self, config: AddConfig, event: Value) -> Answer {
        Box::pin(self.function(config).await.event(event)).await
    }

    /// A process of add-ip, which keeps what it knows from one event to the next.
    pub async fn function(&self, config: AddConfig) -> Function {
        let aws = Aws::new(&self.sdk(), &config.config);
        Function {
            deps: add_ip::Deps { config, aws },
            request_id: format!("add-{}", self.author),
        }
    }

    fn sdk(&self) -> SdkConfig {
        sdk(
            Arc::new(AtomicUsize::new(self.author)),
            self.director.clone(),
        )
    }

    /// `GET /add` from an address, by a member.
    pub async fn add(&self, name: &str, address: &str) -> Answer {
        self.event(add_config(&[]), add_event(name, address)).await
    }

    /// Invokes reset-policy.
    pub async fn reset(
        &self,
        config: Config,
        event: Value,
    ) -> Result<Value, lambda_runtime::Diagnostic> {
        let aws = Aws::new(&self.sdk(), &config);
        let deps = reset_policy::Deps { config, aws };
        let request_id = format!("reset-{}", self.author);
        Box::pin(reset_policy::handle(
            LambdaEvent::new(event, context(&request_id)),
            &deps,
        ))
        .await
    }
}

/// A process of add-ip.
pub struct Function {
    deps: add_ip::Deps,
    request_id: String,
}

impl Function {
    /// Handles an event, and does the work after the response.
    pub async fn event(&self, event: Value) -> Answer {
        let (answer, finish) = self.answer(event).await;
        if let Some(finish) = finish {
            finish.run_and_log().await;
        }
        answer
    }

    /// Handles an event; -> the answer, and what is left to do after it.
    pub async fn answer(&self, event: Value) -> (Answer, Option<Box<Finish>>) {
        let event = LambdaEvent::new(event, context(&self.request_id));
        let (response, finish) = add_ip::handle(event, &self.deps).await;
        let response = serde_json::to_value(response).unwrap();
        let body = response["body"].as_str().unwrap();
        let answer = Answer {
            status: u16::try_from(response["statusCode"].as_u64().unwrap()).unwrap(),
            headers: response["headers"].clone(),
            body: serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)),
        };
        (answer, finish)
    }
}

/// The event of `GET /add` from an address, by a member.
pub fn add_event(name: &str, address: &str) -> Value {
    json!({
        "resource": "/add", "path": "/add", "httpMethod": "GET",
        "headers": { "Authorization": format!("Bearer {}", key(name)) },
        "requestContext": { "identity": { "sourceIp": address } },
    })
}
