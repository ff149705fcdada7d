//! The add-ip function: wiring only.

mod after;

use std::process::ExitCode;
use std::sync::Arc;

use add_ip::{Deps, handle};
use after::AfterResponse;
use allowlist::AddConfig;
use allowlist::config::check_runtime;
use allowlist_aws::aws::{Aws, sdk};
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(|name| std::env::var(name).ok()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("add-ip: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run(variable: fn(&str) -> Option<String>) -> Result<(), Error> {
    let config = AddConfig::read(variable)?;
    check_runtime(variable)?;
    allowlist_aws::log::init(variable);
    let aws = Aws::new(&sdk::load(variable).await?, &config.config);
    let region = variable("AWS_REGION").unwrap_or_default();
    let deps = Arc::new(Deps::new(config, aws, region));
    let after = AfterResponse::default();
    let left = after.clone();
    // The text as it came. Whatever a stranger sends, the function answers; it never ends with an
    // error.
    let handler = service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let (deps, left) = (deps.clone(), left.clone());
        Box::pin(async move {
            let (response, release) = handle(event.payload.get(), &event.context, &deps).await;
            left.leave(release);
            Ok::<_, Error>(response)
        })
    });
    Runtime::new(handler).layer(TracingLayer::new()).layer(after).run().await.map_err(ended)
}

fn ended(e: Error) -> Error {
    format!("the Lambda runtime ended: {e}").into()
}
