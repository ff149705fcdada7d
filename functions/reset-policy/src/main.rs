//! The reset-policy function: wiring only.

use std::process::ExitCode;
use std::sync::Arc;

use allowlist::Config;
use allowlist::aws::Aws;
use allowlist::aws::sdk::{self, SdkConfig};
use allowlist::config::check_runtime;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use reset_policy::{Deps, handle};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let config = match Config::read(variable).and_then(|config| check_runtime(variable).map(|()| config)) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("reset-policy: {mistakes}");
            return ExitCode::FAILURE;
        }
    };
    allowlist::log::init(variable);
    let sdk = match sdk::load(variable).await {
        Ok(sdk) => sdk,
        Err(mistake) => {
            eprintln!("reset-policy: {mistake}");
            return ExitCode::FAILURE;
        }
    };
    match run(config, &sdk).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("reset-policy: the Lambda runtime ended: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config, sdk: &SdkConfig) -> Result<(), Error> {
    let aws = Aws::new(sdk, &config);
    let deps = Arc::new(Deps { config, aws });
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let deps = deps.clone();
        Box::pin(async move { handle(event, &deps).await })
    });
    lambda_runtime::run(handler).await
}
