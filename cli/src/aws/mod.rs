//! The clients of AWS, set up as the AWS CLI is: profiles, SSO, roles, processes, and `AWS_ENDPOINT_URL`.

pub mod bucket;
pub mod failure;
pub mod function;
pub mod iam;
pub mod stack;

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};

use crate::args::Place;
use crate::http_client;

/// The clients.
#[derive(Clone, Debug)]
pub struct Aws {
    cloudformation: aws_sdk_cloudformation::Client,
    lambda: aws_sdk_lambda::Client,
    s3: aws_sdk_s3::Client,
    /// IAM.
    pub iam: iam::Iam,
    /// Where calls go; for messages.
    pub region: String,
    /// What `AWS_ENDPOINT_URL` or the profile names for all services.
    pub endpoint: Option<String>,
}

impl Aws {
    /// Reads the configuration of the machine. No call is made before the first command needs one.
    pub async fn load(place: &Place) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client::for_aws())
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts(Duration::from_secs(20)));
        if let Some(profile) = &place.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &place.region {
            loader = loader.region(aws_config::Region::new(region.clone()));
        }
        Self::new(&loader.load().await)
    }

    fn new(sdk: &SdkConfig) -> Self {
        let endpoint = sdk.endpoint_url().map(str::to_owned);
        // Virtual-hosted addresses need DNS for every bucket, which a custom endpoint seldom has.
        let custom = endpoint.is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let s3 = aws_sdk_s3::config::Builder::from(sdk)
            .force_path_style(custom)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        // One attempt, and as long as the function may take: its work must not be done twice.
        let lambda = aws_sdk_lambda::config::Builder::from(sdk)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts(Duration::from_secs(150)))
            .build();
        Self {
            cloudformation: aws_sdk_cloudformation::Client::new(sdk),
            lambda: aws_sdk_lambda::Client::from_conf(lambda),
            s3: aws_sdk_s3::Client::from_conf(s3),
            iam: iam::Iam::new(aws_sdk_iam::Client::new(sdk)),
            region: sdk
                .region()
                .map_or_else(|| "no region: set AWS_REGION".to_owned(), ToString::to_string),
            endpoint,
        }
    }
}

fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(attempt)
        .build()
}
