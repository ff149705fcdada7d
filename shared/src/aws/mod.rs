//! IAM, S3 and SNS: the only modules that name the AWS SDK.
//!
//! They know operations, their errors, time-outs and retries; what to do with the answers is [`crate::flow`]'s business.

mod assumed_role;
pub mod failure;
pub mod lease;
pub mod managed_policy;
pub mod role_trust;
pub mod sdk;
pub mod state;
pub mod topic;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use crate::config::Config;
use crate::target::Target;
use assumed_role::AssumedRole;
use managed_policy::Documents;
use state::State;
use topic::Topic;

/// How long an IAM write may take: short of what a lease has left when one is started.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(4);

/// How long one attempt at anything else may take.
const ATTEMPT: Duration = Duration::from_secs(3);

/// A client that is made when it is first needed: the page needs none, and whoever is refused none of IAM's. Making both
/// was a third of a cold start (the SDK parses its tables of regions and compiles expressions).
type OnFirstUse<C> = Arc<LazyLock<C, Box<dyn FnOnce() -> C + Send>>>;

fn on_first_use<C>(make: impl FnOnce() -> C + Send + 'static) -> OnFirstUse<C> {
    Arc::new(LazyLock::new(Box::new(make)))
}

/// IAM in one account, with retries for what may be repeated and without for what may not.
#[derive(Clone, Debug)]
pub struct Iam {
    /// Retries; see [`Iam::once`].
    client: OnFirstUse<aws_sdk_iam::Client>,
    documents: Documents,
}

/// The clients of one process.
#[derive(Clone, Debug)]
pub struct Aws {
    own_account: Iam,
    other_accounts: HashMap<String, Iam>,
    /// The state bucket.
    pub state: State,
    /// Whom to tell of changes.
    pub topic: Option<Topic>,
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
        let config = aws_sdk_iam::config::Builder::from(sdk).retry_config(patient()).timeout_config(timeouts(ATTEMPT));
        let config = config.build();
        Self { client: on_first_use(|| aws_sdk_iam::Client::from_conf(config)), documents: Documents::default() }
    }

    /// For calls that must not be repeated blindly: one attempt each, the flows decide what comes next.
    fn once() -> aws_sdk_iam::config::Builder {
        aws_sdk_iam::Config::builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts(WRITE_TIMEOUT))
    }
}

impl Aws {
    /// Makes the clients. Where `config.assume_roles` names a role of a target's account, that role is assumed for
    /// it on first use and its credentials are kept as long as they last.
    pub fn new(sdk_config: &SdkConfig, config: &Config) -> Self {
        let mut other_accounts = HashMap::new();
        for role in &config.assume_roles {
            let sts = aws_sdk_sts::config::Builder::from(sdk_config).retry_config(patient()).timeout_config(timeouts(ATTEMPT));
            let provider = AssumedRole::new(aws_sdk_sts::Client::from_conf(sts.build()), role.arn());
            let credentials = aws_sdk_iam::config::SharedCredentialsProvider::new(provider);
            let sdk = sdk_config.to_builder().credentials_provider(credentials).build();
            other_accounts.insert(role.account().to_owned(), Iam::new(&sdk));
        }
        // Virtual-hosted addresses need DNS for every bucket, which a custom endpoint seldom has.
        let custom = sdk::endpoint(sdk_config, "S3").is_some();
        let s3 = aws_sdk_s3::config::Builder::from(sdk_config)
            .retry_config(patient())
            .timeout_config(timeouts(ATTEMPT))
            .force_path_style(custom)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        let s3 = s3.build();
        let state = State::new(on_first_use(|| aws_sdk_s3::Client::from_conf(s3)), config.state_bucket.clone());
        let topic = config.notify_topic.clone().map(|arn| {
            let config = aws_sdk_sns::config::Builder::from(sdk_config).retry_config(patient()).timeout_config(timeouts(ATTEMPT));
            Topic { client: aws_sdk_sns::Client::from_conf(config.build()), arn }
        });
        Self { own_account: Iam::new(sdk_config), other_accounts, state, topic }
    }

    /// IAM in the account of a target.
    #[must_use]
    pub fn iam(&self, target: &Target) -> &Iam {
        self.other_accounts.get(target.account()).unwrap_or(&self.own_account)
    }
}
