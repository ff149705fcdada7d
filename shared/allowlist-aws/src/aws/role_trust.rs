//! The trust policy of a role in IAM: one document, no versions.

use super::Iam;
use super::error_kind::ErrorKind;
use allowlist::document::{Document, deleted_principals};
use allowlist::error::Error;
use allowlist::target::Target;

/// The result of an attempt to write a trust policy.
#[derive(Debug)]
pub enum Update {
    /// IAM took it.
    Written,
    /// Not done; try again a little later.
    Throttled(Error),
    /// Perhaps done, or still to be done: it may land later.
    Unanswered(Error),
    /// Not done, and repeating it would not help.
    Refused(Error),
}

impl Iam {
    /// The trust policy of a role. IAM is eventually consistent: it may be some writes old.
    ///
    /// # Errors
    /// [`Error::MalformedDocument`], [`Error::Aws`], [`Error::Throttled`].
    pub async fn trust_policy(&self, role: &Target) -> Result<Document, Error> {
        let answer = self.client.get_role().role_name(role.name()).send().await;
        let answer = answer.map_err(|e| ErrorKind::report(e, "iam:GetRole", role.arn()))?;
        let answered = answer.role();
        if let Some(arn) = answered.map(|role| role.arn()).filter(|arn| *arn != role.arn()) {
            return Err(Error::Aws {
                operation: "iam:GetRole",
                resource: role.arn().to_owned(),
                advice: format!("the role of that name is `{arn}`: name it so in ROLE_ARNS"),
                source: "the ARNs differ".into(),
            });
        }
        let text = answered.and_then(|role| role.assume_role_policy_document());
        Document::from_iam(text.unwrap_or_default())
    }

    /// Writes the trust policy of a role, in one attempt.
    pub async fn update_trust_policy(&self, role: &Target, document: &Document) -> Update {
        let request = self
            .client
            .update_assume_role_policy()
            .role_name(role.name())
            .policy_document(document.render());
        match request.customize().config_override(Self::once()).send().await {
            Ok(_) => Update::Written,
            Err(e) => {
                let kind = ErrorKind::of(&e);
                let deleted = deleted_principals(document);
                let error = if kind == ErrorKind::Malformed && !deleted.is_empty() {
                    Error::MalformedDocument(format!(
                        "it names principals that were deleted (`{}`): take them out of the trust policy in the console",
                        deleted.join("`, `")
                    ))
                } else {
                    ErrorKind::report(e, "iam:UpdateAssumeRolePolicy", role.arn())
                };
                match kind {
                    ErrorKind::Throttled => Update::Throttled(error),
                    ErrorKind::Unanswered => Update::Unanswered(error),
                    _ => Update::Refused(error),
                }
            }
        }
    }
}
