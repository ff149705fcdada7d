//! Credentials of a role in another account, assumed when they are first needed and again when they run out.
//!
//! `aws_config`'s own provider does the same, but brings every other source of credentials with it: profiles,
//! containers, instances, a tenth of the program.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};

use super::{OnFirstUse, on_first_use};

/// A role to assume. The client that is given this keeps the credentials as long as they last.
#[derive(Debug)]
pub(super) struct AssumedRole {
    sts: OnFirstUse<aws_sdk_sts::Client>,
    arn: String,
}

impl AssumedRole {
    pub(super) fn new(sdk: SdkConfig, arn: &str) -> Self {
        Self {
            sts: on_first_use(move || aws_sdk_sts::Client::new(&sdk)),
            arn: arn.to_owned(),
        }
    }

    async fn assume(&self) -> provider::Result {
        let request = self
            .sts
            .assume_role()
            .role_arn(&self.arn)
            .role_session_name("ip-gate");
        let answer = request
            .send()
            .await
            .map_err(CredentialsError::provider_error)?;
        let given = answer
            .credentials()
            .ok_or_else(|| CredentialsError::unhandled("STS answered without credentials"))?;
        let expiry =
            SystemTime::try_from(*given.expiration()).map_err(CredentialsError::unhandled)?;
        let builder = Credentials::builder()
            .access_key_id(given.access_key_id())
            .secret_access_key(given.secret_access_key())
            .session_token(given.session_token())
            .expiry(expiry)
            .provider_name("AssumedRole");
        Ok(builder.build())
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}
