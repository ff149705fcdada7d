//! IAM, S3 and SNS: the only modules that name the AWS SDK.
//!
//! They know operations, their errors, time-outs and retries. [`crate::flow`] decides what to do
//! with the answers.

mod assumed_role;
pub mod error_kind;
pub mod lease;
pub mod managed_policy;
pub mod role_trust;
pub mod sdk;
pub mod state_bucket;
pub mod topic;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use allowlist::config::Config;
use allowlist::target::Target;
use assumed_role::AssumedRole;
use state_bucket::StateBucket;
use topic::Topic;

/// How long an IAM write may take: less than a lease has left when the write starts.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(4);

/// How long one attempt at anything else may take.
const ATTEMPT: Duration = Duration::from_secs(3);

/// A client that is made when it is first needed: the page needs none, and a refusal needs none of IAM's. Making both
/// was a third of a cold start (the SDK parses its tables of regions and compiles expressions).
type OnFirstUse<C> = Arc<LazyLock<C, Box<dyn FnOnce() -> C + Send>>>;

fn on_first_use<C>(make: impl FnOnce() -> C + Send + 'static) -> OnFirstUse<C> {
    Arc::new(LazyLock::new(Box::new(make)))
}

/// IAM in one account: a client with retries, and one without for calls that must not be repeated.
#[derive(Clone, Debug)]
pub struct Iam {
    /// Retries; see [`Iam::once`].
    client: OnFirstUse<aws_sdk_iam::Client>,
}

/// The clients of one process.
#[derive(Clone, Debug)]
pub struct Aws {
    own_account: Iam,
    other_accounts: HashMap<String, Iam>,
    /// The state bucket.
    pub state: StateBucket,
    /// The topic that is told of changes.
    pub topic: Option<Topic>,
}

fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(1500))
        .operation_attempt_timeout(attempt)
        .build()
}

fn standard_retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(4)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(2))
}

impl Iam {
    fn new(sdk: SdkConfig) -> Self {
        Self { client: on_first_use(move || aws_sdk_iam::Client::new(&sdk)) }
    }

    /// For calls that must not be repeated blindly: one attempt each, the flows decide what comes next.
    fn once() -> aws_sdk_iam::config::Builder {
        aws_sdk_iam::Config::builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts(WRITE_TIMEOUT))
    }
}

impl Aws {
    /// Makes the clients. If `config.assume_roles` names a role of a target's account, the client
    /// assumes that role on first use and keeps its credentials as long as they last.
    pub fn new(sdk: &SdkConfig, config: &Config) -> Self {
        let sdk = sdk
            .to_builder()
            .retry_config(standard_retries())
            .timeout_config(timeouts(ATTEMPT))
            .build();
        let assumed = |role: &Target| {
            let own = |target: &&Target| target.account() == role.account();
            let targets: Vec<&Target> = config.targets.iter().filter(own).collect();
            let provider = AssumedRole::new(sdk.clone(), role.arn(), &targets);
            let credentials = aws_sdk_iam::config::SharedCredentialsProvider::new(provider);
            (
                role.account().to_owned(),
                Iam::new(sdk.to_builder().credentials_provider(credentials).build()),
            )
        };
        // Virtual-hosted addresses need DNS for every bucket, which a custom endpoint seldom has.
        let custom = sdk::endpoint(&sdk, "S3").is_some();
        let s3 = aws_sdk_s3::config::Builder::from(&sdk)
            .force_path_style(custom)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self {
            other_accounts: config.assume_roles.iter().map(assumed).collect(),
            state: StateBucket::new(
                on_first_use(|| aws_sdk_s3::Client::from_conf(s3)),
                config.state_bucket.clone(),
                config.any_address,
            ),
            topic: config.notify_topic.clone().map(|arn| Topic::new(sdk.clone(), arn)),
            own_account: Iam::new(sdk),
        }
    }

    /// IAM in the account of a target.
    #[must_use]
    pub fn iam(&self, target: &Target) -> &Iam {
        self.other_accounts.get(target.account()).unwrap_or(&self.own_account)
    }
}
