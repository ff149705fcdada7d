//! A customer managed policy in IAM: its versions, and their documents.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::primitives::DateTime;

use super::Iam;
use super::failure::Failure;
use crate::planted::{Fault, planted};
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::versions::{VersionId, Versions};

/// What became of an attempt to create a version.
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

/// What became of an attempt to delete a version.
#[derive(Debug)]
pub enum Deletion {
    /// It is gone, by us or by somebody else.
    Gone,
    /// It has become the default version, which cannot be deleted.
    IsDefault,
    /// Perhaps not done; try again a little later.
    NotNow(Error),
    /// Not done, and repeating it would not help.
    Refused(Error),
}

/// The documents in force that this process has seen, by policy. A version's document never changes and ids are not
/// given out twice, so one is good as long as the list names its version as the default; the creation date is compared
/// as well, for emulators that reuse the id of a deleted version.
#[derive(Clone, Debug, Default)]
pub(super) struct Documents(Arc<Mutex<HashMap<String, Known>>>);

#[derive(Clone, Debug)]
struct Known {
    id: VersionId,
    created_at: DateTime,
    document: Document,
}

impl Documents {
    fn get(&self, arn: &str, id: VersionId, created_at: Option<DateTime>) -> Option<Document> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(arn)?;
        let current = (known.id == id && Some(known.created_at) == created_at)
            || planted(Fault::KeepOldDocument);
        current.then(|| known.document.clone())
    }

    fn keep(&self, arn: &str, id: VersionId, created_at: Option<DateTime>, document: &Document) {
        if let Some(created_at) = created_at {
            let known = Known {
                id,
                created_at,
                document: document.clone(),
            };
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(arn.to_owned(), known);
        }
    }
}

impl Iam {
    /// Lists the versions of a policy. IAM is eventually consistent: the list may be some writes old.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Throttled`].
    pub async fn versions(&self, arn: &str) -> Result<Versions, Error> {
        self.list(arn).await.map(|(versions, _)| versions)
    }

    /// The versions of a policy, and the document of the default one; `None` where that does not exist (any more).
    /// The document is asked for once in the life of a process, as long as the version stays the default.
    ///
    /// # Errors
    /// As [`Iam::versions`] and [`Iam::version_document`].
    pub async fn in_force(&self, arn: &str) -> Result<(Versions, Option<Document>), Error> {
        let (versions, created_at) = self.list(arn).await?;
        let id = versions.default;
        if let Some(document) = self.documents.get(arn, id, created_at) {
            return Ok((versions, Some(document)));
        }
        let document = self.version_document(arn, id).await?;
        if let Some(document) = &document {
            self.documents.keep(arn, id, created_at, document);
        }
        Ok((versions, document))
    }

    /// The versions, and when the default one was created.
    async fn list(&self, arn: &str) -> Result<(Versions, Option<DateTime>), Error> {
        let report = |e| Failure::report(e, "iam:ListPolicyVersions", arn);
        let mut pages = self
            .client
            .list_policy_versions()
            .policy_arn(arn)
            .into_paginator()
            .items()
            .send();
        let (mut ids, mut default) = (Vec::new(), None);
        while let Some(version) = pages.try_next().await.map_err(report)? {
            let id: VersionId = version.version_id().unwrap_or_default().parse()?;
            if version.is_default_version() {
                default = Some((id, version.create_date().copied()));
            }
            ids.push(id);
        }
        let (default, created_at) = default
            .ok_or_else(|| Error::MalformedDocument("IAM lists no default version".to_owned()))?;
        Ok((Versions { ids, default }, created_at))
    }

    /// The document of a version; `None` where it does not exist (any more, or yet for this reader).
    /// A version's document never changes.
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
            Err(e) if Failure::of(&e) == Failure::NotFound => Ok(None),
            Err(e) => Err(Failure::report(e, "iam:GetPolicyVersion", arn)),
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
        match request
            .customize()
            .config_override(Self::once())
            .send()
            .await
        {
            Ok(answer) => {
                let version = answer.policy_version();
                match version
                    .and_then(|version| version.version_id())
                    .unwrap_or_default()
                    .parse()
                {
                    Ok(id) => {
                        self.documents.keep(
                            arn,
                            id,
                            version.and_then(|version| version.create_date()).copied(),
                            document,
                        );
                        Creation::Created(id)
                    }
                    Err(e) => Creation::Unanswered(e),
                }
            }
            Err(e) => {
                let failure = Failure::of(&e);
                // Both kinds of overrun have the same code; the size was checked before, so it is the versions'
                // unless IAM counts differently, which its message then says.
                let size = e
                    .message()
                    .is_some_and(|message| message.to_ascii_lowercase().contains("size"));
                let error = Failure::report(e, "iam:CreatePolicyVersion", arn);
                match failure {
                    Failure::LimitExceeded if !size => Creation::VersionsFull,
                    Failure::Throttled => Creation::Throttled(error),
                    Failure::Unanswered => Creation::Unanswered(error),
                    _ => Creation::Refused(error),
                }
            }
        }
    }

    /// Deletes a version, in one attempt.
    pub async fn delete_version(&self, arn: &str, id: VersionId) -> Deletion {
        let request = self
            .client
            .delete_policy_version()
            .policy_arn(arn)
            .version_id(id.to_string());
        match request
            .customize()
            .config_override(Self::once())
            .send()
            .await
        {
            Ok(_) => Deletion::Gone,
            Err(e) => match Failure::of(&e) {
                Failure::NotFound => Deletion::Gone,
                Failure::DeleteConflict => Deletion::IsDefault,
                Failure::Throttled | Failure::Unanswered => {
                    Deletion::NotNow(Failure::report(e, "iam:DeletePolicyVersion", arn))
                }
                _ => Deletion::Refused(Failure::report(e, "iam:DeletePolicyVersion", arn)),
            },
        }
    }
}
