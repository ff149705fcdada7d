//! The state bucket: members, grants and baselines. S3 is strongly consistent, and no two writers share an object.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_smithy_runtime_api::http::Response;
use futures_util::future::try_join_all;
use serde::Deserialize;

use super::OnFirstUse;
use super::failure::Failure;
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::grant::{GRANTS, Grant, Member};
use allowlist::network::Network;
use allowlist::target::Target;

/// The state bucket.
#[derive(Clone, Debug)]
pub struct State {
    /// Retries, but for the lease.
    pub(super) client: OnFirstUse<aws_sdk_s3::Client>,
    pub(super) bucket: String,
}

#[derive(Deserialize)]
struct MemberFile {
    name: Member,
}

impl State {
    pub(super) fn new(client: OnFirstUse<aws_sdk_s3::Client>, bucket: String) -> Self {
        Self { client, bucket }
    }

    pub(super) fn location(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    async fn text(&self, key: &str) -> Result<Option<String>, Error> {
        let answer = match self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await
        {
            Ok(answer) => answer,
            Err(e) if is_missing(&e) => return Ok(None),
            Err(e) => return Err(Failure::report(e, "s3:GetObject", &self.location(key))),
        };
        self.body(key, answer.body).await.map(Some)
    }

    pub(super) async fn body(&self, key: &str, body: ByteStream) -> Result<String, Error> {
        let unread = |reason: String| Error::State {
            key: key.to_owned(),
            reason,
        };
        let bytes = body
            .collect()
            .await
            .map_err(|e| unread(format!("its transfer broke off ({e}), try again")))?;
        String::from_utf8(bytes.to_vec())
            .map_err(|_| unread("it is not UTF-8, replace it".to_owned()))
    }

    /// Whose key it is, by the object that [`allowlist::grant::member_object`] names; `None` for nobody's.
    ///
    /// # Errors
    /// [`Error::State`] when the file is not `{"name":"…"}`; [`Error::Aws`], [`Error::Throttled`].
    pub async fn member(&self, object: &str) -> Result<Option<Member>, Error> {
        let Some(text) = self.text(object).await? else {
            return Ok(None);
        };
        let unread = |e: serde_json::Error| Error::State {
            key: object.to_owned(),
            reason: format!("it should be like {{\"name\":\"alice\"}} ({e})"),
        };
        serde_json::from_str(&text)
            .map(|file: MemberFile| Some(file.name))
            .map_err(unread)
    }

    /// Every grant there is.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Throttled`].
    pub async fn grants(&self) -> Result<Vec<Grant>, Error> {
        let report = |e| Failure::report(e, "s3:ListBucket", &self.location(GRANTS));
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(GRANTS)
            .into_paginator()
            .send();
        let mut grants = Vec::new();
        while let Some(page) = pages.try_next().await.map_err(report)? {
            for object in page.contents() {
                let granted_at = object.last_modified().map_or(0, |time| time.secs());
                grants.extend(
                    object
                        .key()
                        .and_then(|key| Grant::from_listing(key, granted_at)),
                );
            }
        }
        Ok(grants)
    }

    /// Puts a grant; putting it again makes it young again.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Throttled`].
    pub async fn put_grant(
        &self,
        network: &Network,
        member: Option<&Member>,
        request_id: &str,
    ) -> Result<(), Error> {
        let key = Grant::object(network, member);
        let body =
            serde_json::json!({ "network": network, "member": member, "request": request_id })
                .to_string();
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(&key)
            .content_type("application/json");
        let answer = put.body(ByteStream::from(body.into_bytes())).send().await;
        answer
            .map(drop)
            .map_err(|e| Failure::report(e, "s3:PutObject", &self.location(&key)))
    }

    /// Deletes grants; deleting one that is gone is no error.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Throttled`].
    pub async fn delete_grants(&self, grants: &[Grant]) -> Result<(), Error> {
        let delete = async |grant: &Grant| {
            let key = Grant::object(&grant.network, grant.member.as_ref());
            let answer = self
                .client
                .delete_object()
                .bucket(&self.bucket)
                .key(&key)
                .send()
                .await;
            answer
                .map(drop)
                .map_err(|e| Failure::report(e, "s3:DeleteObject", &self.location(&key)))
        };
        for some in grants.chunks(16) {
            try_join_all(some.iter().map(delete)).await?;
        }
        Ok(())
    }

    /// The text of a target's baseline, unchecked; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Throttled`].
    pub async fn baseline(&self, target: &Target) -> Result<Option<String>, Error> {
        self.text(&target.baseline_object()).await
    }

    /// Saves a baseline where there is none. `false` when there is one already: it stays as it is.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Throttled`].
    pub async fn create_baseline(
        &self,
        target: &Target,
        document: &Document,
    ) -> Result<bool, Error> {
        let key = target.baseline_object();
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(&key)
            .content_type("application/json")
            .if_none_match("*");
        match put
            .body(ByteStream::from(document.render().into_bytes()))
            .send()
            .await
        {
            Ok(_) => Ok(true),
            Err(e) if Failure::of(&e) == Failure::Precondition => Ok(false),
            Err(e) => Err(Failure::report(e, "s3:PutObject", &self.location(&key))),
        }
    }
}

/// A time in seconds since 1970 as RFC 3339 writes it.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    DateTime::from_secs(seconds)
        .fmt(DateTimeFormat::DateTime)
        .unwrap_or_default()
}

/// Whether there is no such object. A 404 that names the bucket is a mistake in the settings.
pub(super) fn is_missing(error: &SdkError<GetObjectError, Response>) -> bool {
    Failure::of(error) == Failure::NotFound && error.code() != Some("NoSuchBucket")
}
