//! The reset-policy function: wiring only.

use std::process::ExitCode;
use std::sync::Arc;

use allowlist::Config;
use allowlist::config::check_runtime;
use allowlist_aws::aws::{Aws, sdk};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use reset_policy::{Deps, handle};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(|name| std::env::var(name).ok()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("reset-policy: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run(variable: fn(&str) -> Option<String>) -> Result<(), Error> {
    let config = Config::read(variable)?;
    check_runtime(variable)?;
    allowlist_aws::log::init(variable);
    let aws = Aws::new(&sdk::load(variable).await?, &config);
    let deps = Arc::new(Deps { config, aws });
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let deps = deps.clone();
        Box::pin(async move { handle(event, &deps).await })
    });
    lambda_runtime::run(handler).await.map_err(ended)
}

fn ended(e: Error) -> Error {
    format!("the Lambda runtime ended: {e}").into()
}
