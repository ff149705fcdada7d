//! IAM and S3: the only modules that name the AWS SDK.
//!
//! They know operations, their errors, time-outs and retries; what to do with the answers is [`crate::flow`]'s business.

pub mod failure;
pub mod lease;
pub mod managed_policy;
pub mod role_trust;
pub mod state;

use std::collections::HashMap;
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use crate::config::Config;
use crate::target::Target;
use state::State;

/// How long an IAM write may take: short of what a lease has left when one is started.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(4);

/// IAM in one account, with retries for what may be repeated and without for what may not.
#[derive(Clone, Debug)]
pub struct Iam {
    /// Reads and deletions; retried by the SDK.
    pub(crate) patient: aws_sdk_iam::Client,
    /// `CreatePolicyVersion` and `UpdateAssumeRolePolicy`: one attempt each, the flows decide what comes next.
    pub(crate) once: aws_sdk_iam::Client,
}

/// The clients of one process.
#[derive(Clone, Debug)]
pub struct Aws {
    own_account: Iam,
    other_accounts: HashMap<String, Iam>,
    /// The state bucket.
    pub state: State,
}

/// Loads the process's AWS settings (region, credentials, `AWS_ENDPOINT_URL…`) with the one HTTP client of the project.
pub async fn load() -> SdkConfig {
    let http = Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await
}

fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(Duration::from_millis(1500)).operation_attempt_timeout(attempt).build()
}

fn patient() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(4)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(2))
}

impl Iam {
    fn new(sdk: &SdkConfig) -> Self {
        let client = |retry, timeout| {
            let config = aws_sdk_iam::config::Builder::from(sdk).retry_config(retry).timeout_config(timeouts(timeout));
            aws_sdk_iam::Client::from_conf(config.build())
        };
        Self { patient: client(patient(), Duration::from_secs(3)), once: client(RetryConfig::disabled(), WRITE_TIMEOUT) }
    }
}

impl Aws {
    /// Makes the clients. Where `config.assume_roles` names a role of a target's account, that role is assumed for
    /// it on first use and its credentials are kept as long as they last.
    pub async fn new(sdk: &SdkConfig, config: &Config) -> Self {
        let mut other_accounts = HashMap::new();
        for role in &config.assume_roles {
            let provider = AssumeRoleProvider::builder(role.arn()).session_name("ip-gate").configure(sdk).build().await;
            let credentials = aws_sdk_iam::config::SharedCredentialsProvider::new(provider);
            let sdk = sdk.to_builder().credentials_provider(credentials).build();
            other_accounts.insert(role.account().to_owned(), Iam::new(&sdk));
        }
        // Virtual-hosted addresses need DNS for every bucket, which a custom endpoint seldom has.
        let custom = sdk.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let client = |retry| {
            let config = aws_sdk_s3::config::Builder::from(sdk)
                .retry_config(retry)
                .timeout_config(timeouts(Duration::from_secs(3)))
                .force_path_style(custom)
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
            aws_sdk_s3::Client::from_conf(config.build())
        };
        let state = State::new(client(patient()), client(RetryConfig::disabled()), config.state_bucket.clone());
        Self { own_account: Iam::new(sdk), other_accounts, state }
    }

    /// IAM in the account of a target.
    #[must_use]
    pub fn iam(&self, target: &Target) -> &Iam {
        self.other_accounts.get(target.account()).unwrap_or(&self.own_account)
    }
}
