//! A customer managed policy in IAM: its versions, and their documents.

use aws_sdk_iam::error::ProvideErrorMetadata;

use super::Iam;
use super::error_kind::ErrorKind;
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::versions::{VersionId, VersionIdError, Versions};

/// The result of an attempt to create a version.
#[derive(Debug)]
pub enum Creation {
    /// The new default version.
    Created(VersionId),
    /// Five versions exist.
    VersionsFull,
    /// Not done; try again a little later.
    Throttled(Error),
    /// Not done, and repeating it would not help.
    Refused(Error),
    /// Perhaps done: look before trying again.
    Unanswered(Error),
}

/// The result of an attempt to delete a version.
#[derive(Debug)]
pub enum Deletion {
    /// It existed, and is gone now.
    Deleted,
    /// It was gone already.
    WasGone,
    /// It has become the default version, which cannot be deleted.
    IsDefault,
    /// Perhaps not done; try again a little later.
    NotNow(Error),
    /// Not done, and repeating it would not help.
    Refused(Error),
}

impl Iam {
    /// Lists the versions of a policy. IAM is eventually consistent: the list may be seconds old.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Throttled`], [`Error::MalformedDocument`] without a default version.
    pub async fn versions(&self, arn: &str) -> Result<Versions, Error> {
        let (mut ids, mut default, mut marker) = (Vec::new(), None, None);
        loop {
            let request = self.client.list_policy_versions().policy_arn(arn);
            let page = request.set_marker(marker.take()).send().await;
            let page = page.map_err(|e| ErrorKind::report(e, "iam:ListPolicyVersions", arn))?;
            for version in page.versions() {
                let id = version_id(version.version_id())?;
                if version.is_default_version() {
                    default = Some(id);
                }
                ids.push(id);
            }
            marker = page.marker().filter(|_| page.is_truncated()).map(str::to_owned);
            if marker.is_none() {
                break;
            }
        }
        let default = default
            .ok_or_else(|| Error::MalformedDocument("IAM lists no default version".to_owned()))?;
        Ok(Versions { ids, default })
    }

    /// The document of a version; `None` if it does not exist: it was deleted, or IAM does not show
    /// it yet. A version's document never changes.
    ///
    /// # Errors
    /// [`Error::MalformedDocument`], [`Error::Aws`], [`Error::Throttled`].
    pub async fn version_document(
        &self,
        arn: &str,
        id: VersionId,
    ) -> Result<Option<Document>, Error> {
        match self
            .client
            .get_policy_version()
            .policy_arn(arn)
            .version_id(id.to_string())
            .send()
            .await
        {
            Ok(answer) => {
                let text = answer
                    .policy_version()
                    .and_then(|version| version.document())
                    .unwrap_or_default();
                Document::from_iam(text).map(Some)
            }
            Err(e) if ErrorKind::of(&e) == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(ErrorKind::report(e, "iam:GetPolicyVersion", arn)),
        }
    }

    /// Creates the next version and makes it the default, in one attempt: the call is not idempotent.
    pub async fn create_version(&self, arn: &str, document: &Document) -> Creation {
        let request = self
            .client
            .create_policy_version()
            .policy_arn(arn)
            .policy_document(document.render())
            .set_as_default(true);
        match request.customize().config_override(Self::once()).send().await {
            Ok(answer) => {
                let version = answer.policy_version();
                match version_id(version.and_then(|version| version.version_id())) {
                    Ok(id) => Creation::Created(id),
                    Err(e) => Creation::Unanswered(e),
                }
            }
            Err(e) => {
                let kind = ErrorKind::of(&e);
                // Both kinds of overrun have the same code; the size was checked before, so it is the versions'
                // unless IAM counts differently, which its message then says.
                let size = e
                    .message()
                    .is_some_and(|message| message.to_ascii_lowercase().contains("size"));
                let error = ErrorKind::report(e, "iam:CreatePolicyVersion", arn);
                match kind {
                    ErrorKind::LimitExceeded if !size => Creation::VersionsFull,
                    ErrorKind::Throttled => Creation::Throttled(error),
                    ErrorKind::Unanswered => Creation::Unanswered(error),
                    _ => Creation::Refused(error),
                }
            }
        }
    }

    /// Deletes a version, in one attempt.
    pub async fn delete_version(&self, arn: &str, id: VersionId) -> Deletion {
        let request =
            self.client.delete_policy_version().policy_arn(arn).version_id(id.to_string());
        match request.customize().config_override(Self::once()).send().await {
            Ok(_) => Deletion::Deleted,
            Err(e) => match ErrorKind::of(&e) {
                ErrorKind::NotFound => Deletion::WasGone,
                ErrorKind::DeleteConflict => Deletion::IsDefault,
                ErrorKind::Throttled | ErrorKind::Unanswered => {
                    Deletion::NotNow(ErrorKind::report(e, "iam:DeletePolicyVersion", arn))
                }
                _ => Deletion::Refused(ErrorKind::report(e, "iam:DeletePolicyVersion", arn)),
            },
        }
    }
}

/// The id that IAM gives.
fn version_id(text: Option<&str>) -> Result<VersionId, Error> {
    text.unwrap_or_default()
        .parse()
        .map_err(|e: VersionIdError| Error::MalformedDocument(format!("IAM answers that {e}")))
}
