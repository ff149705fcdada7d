//! Credentials of a role in another account, assumed when they are first needed and again when they run out.
//!
//! `aws_config`'s own provider does the same, but brings every other source of credentials with it: profiles,
//! containers, instances, a tenth of the program.

use std::time::SystemTime;

use allowlist::target::{Target, TargetKind};
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use serde_json::json;

use super::{OnFirstUse, on_first_use};

/// The shortest session that STS gives, in seconds: longer than any invocation.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const SESSION_SECONDS: i32 = 900;

/// A role could not be assumed.
#[derive(Debug, thiserror::Error)]
#[error("`{role}` cannot be assumed")]
pub(super) struct AssumeRoleError {
    role: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl AssumeRoleError {
    pub(super) fn role(&self) -> &str {
        &self.role
    }
}

/// A role to assume. The client that is given this keeps the credentials as long as they last.
#[derive(Debug)]
pub(super) struct AssumedRole {
    sts: OnFirstUse<aws_sdk_sts::Client>,
    arn: String,
    /// What the session may do: change the targets of this account. The role itself may have more
    /// rights.
    session_policy: String,
}

impl AssumedRole {
    /// `targets` are those of the role's account.
    pub(super) fn new(sdk: SdkConfig, arn: &str, targets: &[&Target]) -> Self {
        Self {
            sts: on_first_use(move || aws_sdk_sts::Client::new(&sdk)),
            arn: arn.to_owned(),
            session_policy: session_policy(targets),
        }
    }

    async fn assume(&self) -> provider::Result {
        let request = self
            .sts
            .assume_role()
            .role_arn(&self.arn)
            .role_session_name("ip-gate")
            .duration_seconds(SESSION_SECONDS)
            .policy(&self.session_policy);
        let answer = request.send().await.map_err(|error| {
            let source = Box::new(error);
            CredentialsError::provider_error(AssumeRoleError { role: self.arn.clone(), source })
        })?;
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

fn session_policy(targets: &[&Target]) -> String {
    let statement = |kind: TargetKind, actions: &[&str]| {
        let arns: Vec<&str> =
            targets.iter().filter(|target| target.kind() == kind).map(|t| t.arn()).collect();
        (!arns.is_empty())
            .then(|| json!({ "Effect": "Allow", "Action": actions, "Resource": arns }))
    };
    let policies = [
        "iam:ListPolicyVersions",
        "iam:GetPolicyVersion",
        "iam:CreatePolicyVersion",
        "iam:DeletePolicyVersion",
    ];
    let roles = ["iam:GetRole", "iam:UpdateAssumeRolePolicy"];
    let statements: Vec<_> =
        [statement(TargetKind::Policy, &policies), statement(TargetKind::Role, &roles)]
            .into_iter()
            .flatten()
            .collect();
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}
