//! The add-ip function: wiring only.

mod after;

use std::process::ExitCode;
use std::sync::Arc;

use add_ip::{Deps, handle};
use after::AfterResponse;
use allowlist::AddConfig;
use allowlist::aws::Aws;
use allowlist::aws::sdk::{self, SdkConfig};
use allowlist::config::check_runtime;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let config = match AddConfig::read(variable).and_then(|config| check_runtime(variable).map(|()| config)) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("add-ip: {mistakes}");
            return ExitCode::FAILURE;
        }
    };
    allowlist::log::init(variable);
    let sdk = match sdk::load(variable).await {
        Ok(sdk) => sdk,
        Err(mistake) => {
            eprintln!("add-ip: {mistake}");
            return ExitCode::FAILURE;
        }
    };
    match run(config, &sdk).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("add-ip: the Lambda runtime ended: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: AddConfig, sdk: &SdkConfig) -> Result<(), Error> {
    let aws = Aws::new(sdk, &config.config);
    let deps = Arc::new(Deps { config, aws });
    let after = AfterResponse::default();
    let left = after.clone();
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let (deps, left) = (deps.clone(), left.clone());
        Box::pin(async move {
            let (response, finish) = handle(event, &deps).await;
            left.leave(finish);
            Ok::<_, Error>(response)
        })
    });
    Runtime::new(handler).layer(TracingLayer::new()).layer(after).run().await
}
