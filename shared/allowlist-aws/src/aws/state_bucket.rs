//! The state bucket: members, grants and baselines. S3 is strongly consistent, and no two writers share an object.

use std::time::Duration;

use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::grant::{GRANTS, Grant, GrantKey, Member};
use allowlist::invariant::{Invariant, holds};
use allowlist::member_file::MemberFile;
use allowlist::target::Target;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::retry::RetryConfig;

use super::OnFirstUse;
use super::error_kind::ErrorKind;
use super::lease::{Clock, ServerDate};
use crate::join::join_all;

/// How often a delete that S3 throttles is tried.
const DELETE_TRIES: u32 = 4;

/// How many grants are deleted at the same time.
pub const DELETES_AT_ONCE: usize = 16;

/// The state bucket.
#[derive(Clone, Debug)]
pub struct StateBucket {
    /// Retries, except for the lease and for grants.
    pub(super) client: OnFirstUse<aws_sdk_s3::Client>,
    pub(super) bucket: String,
    any_address: bool,
}

/// What lies under `grants/`.
#[derive(Clone, Debug)]
pub struct GrantListing {
    /// The grants.
    pub grants: Vec<Grant>,
    /// Objects that are no grants.
    pub foreign: Vec<String>,
    /// S3's clock when they were listed.
    pub clock: Clock,
}

impl StateBucket {
    pub(super) fn new(
        client: OnFirstUse<aws_sdk_s3::Client>,
        bucket: String,
        any_address: bool,
    ) -> Self {
        Self { client, bucket, any_address }
    }

    pub(super) fn location(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    async fn text(&self, key: &str) -> Result<Option<String>, Error> {
        let answer = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => answer,
            Err(e) if is_missing(&e) => return Ok(None),
            Err(e) => return Err(ErrorKind::report(e, "s3:GetObject", &self.location(key))),
        };
        self.body(key, answer.body).await.map(Some)
    }

    pub(super) async fn body(&self, key: &str, body: ByteStream) -> Result<String, Error> {
        let unread = |reason: String| Error::State { key: key.to_owned(), reason };
        let bytes = body
            .collect()
            .await
            .map_err(|e| unread(format!("its transfer broke off ({e}): try again")))?;
        String::from_utf8(bytes.to_vec()).map_err(|_| unread("it is not UTF-8: replace it".into()))
    }

    /// Whose key it is, by the object that [`allowlist::grant::member_object`] names; `None` for nobody's, and for one
    /// that has expired by `clock`.
    ///
    /// # Errors
    /// [`Error::State`] when the file is not like `{"name":"alice"}`; [`Error::Aws`], [`Error::Throttled`].
    pub async fn member(&self, object: &str) -> Result<Option<(Member, Option<i64>)>, Error> {
        let Some(text) = self.text(object).await? else {
            return Ok(None);
        };
        let unread = |reason: String| Error::State {
            key: object.to_owned(),
            reason: format!("it should be like {{\"name\":\"alice\"}} ({reason})"),
        };
        let file = MemberFile::parse(&text).map_err(unread)?;
        Ok(Some((file.name, file.expires)))
    }

    /// Lists what lies under `grants/`.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Throttled`].
    pub async fn grants(&self) -> Result<GrantListing, Error> {
        let (mut grants, mut foreign, mut token) = (Vec::new(), Vec::new(), None);
        loop {
            let date = ServerDate::default();
            let page = self.client.list_objects_v2().bucket(&self.bucket).prefix(GRANTS);
            let page = page.set_continuation_token(token.take());
            let page = page.customize().interceptor(date.clone()).send().await;
            let page =
                page.map_err(|e| ErrorKind::report(e, "s3:ListBucket", &self.location(GRANTS)))?;
            for object in page.contents() {
                let key = object.key().unwrap_or_default();
                let granted_at = object.last_modified().map_or(0, |time| time.secs());
                match Grant::from_listing(key, granted_at, self.any_address) {
                    Some(grant) => grants.push(grant),
                    None => foreign.push(key.to_owned()),
                }
            }
            token = page.next_continuation_token().map(str::to_owned);
            if token.is_none() {
                return Ok(GrantListing { grants, foreign, clock: date.clock() });
            }
        }
    }

    /// Puts a grant, in one attempt; putting it again makes it young again.
    ///
    /// # Errors
    /// [`Error::Busy`] when there was no answer: then it may still land; [`Error::Aws`], [`Error::Throttled`].
    pub async fn put_grant(&self, key: &GrantKey, request_id: &str) -> Result<(), Error> {
        let object = key.object();
        let body = serde_json::json!({
            "network": key.network, "member": key.member, "end": key.end, "request": request_id,
        });
        // INVARIANT (GrantPutOnce): of two puts the first may land after the grant was removed.
        let attempts = if holds(Invariant::GrantPutOnce) { 1 } else { 2 };
        for _ in 0..attempts {
            let put = self.client.put_object().bucket(&self.bucket).key(&object);
            let put = put.content_type("application/json");
            let put = put.body(body.to_string().into_bytes().into());
            let once = aws_sdk_s3::Config::builder().retry_config(RetryConfig::disabled());
            match put.customize().config_override(once).send().await {
                Ok(_) => return Ok(()),
                Err(e) if ErrorKind::of(&e) == ErrorKind::Unanswered => {}
                Err(e) => {
                    return Err(ErrorKind::report(e, "s3:PutObject", &self.location(&object)));
                }
            }
        }
        Err(Error::Busy("S3 did not say whether it stored the request".to_owned()))
    }

    /// Deletes at most [`DELETES_AT_ONCE`] grants, in one attempt each; deleting one that is gone is no error.
    ///
    /// # Errors
    /// [`Error::Busy`] when one was not answered: then it may still be deleted later; [`Error::Aws`],
    /// [`Error::Throttled`].
    pub async fn delete_grants<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k GrantKey>,
    ) -> Result<(), Error> {
        let objects: Vec<String> = keys.into_iter().map(GrantKey::object).collect();
        let delete = async |object: &String| {
            let mut tries = 1;
            loop {
                let delete = self.client.delete_object().bucket(&self.bucket).key(object);
                let once = aws_sdk_s3::Config::builder().retry_config(RetryConfig::disabled());
                match delete.customize().config_override(once).send().await {
                    Ok(_) => return Ok(()),
                    Err(e) => match ErrorKind::of(&e) {
                        // Certainly not done, so it may be tried again.
                        ErrorKind::Throttled if tries < DELETE_TRIES => {
                            tokio::time::sleep(Duration::from_millis(100 << tries)).await;
                            tries += 1;
                        }
                        ErrorKind::Unanswered | ErrorKind::Throttled => {
                            let reason = "S3 did not say whether it deleted an entry";
                            return Err(Error::Busy(reason.to_owned()));
                        }
                        _ => {
                            let location = self.location(object);
                            return Err(ErrorKind::report(e, "s3:DeleteObject", &location));
                        }
                    },
                }
            }
        };
        // All of them, also after one has failed: each entry is off the list already.
        join_all(objects.iter().map(delete)).await.into_iter().collect()
    }

    /// The text of a target's baseline, unchecked; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Throttled`].
    pub async fn baseline(&self, target: &Target) -> Result<Option<String>, Error> {
        self.text(&target.baseline_object()).await
    }

    /// Saves a baseline if there is none. `false` if there is one already: it stays as it is.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Throttled`].
    pub async fn create_baseline(
        &self,
        target: &Target,
        document: &Document,
    ) -> Result<bool, Error> {
        let key = target.baseline_object();
        let put = self.client.put_object().bucket(&self.bucket).key(&key).if_none_match("*");
        let put = put.content_type("application/json").body(document.render().into_bytes().into());
        match put.send().await {
            Ok(_) => Ok(true),
            Err(e) if ErrorKind::of(&e) == ErrorKind::Precondition => Ok(false),
            Err(e) => Err(ErrorKind::report(e, "s3:PutObject", &self.location(&key))),
        }
    }
}

/// Whether there is no such object. A 404 that names the bucket is a mistake in the settings.
pub(super) fn is_missing(error: &SdkError<GetObjectError, Response>) -> bool {
    ErrorKind::of(error) == ErrorKind::NotFound && error.code() != Some("NoSuchBucket")
}
